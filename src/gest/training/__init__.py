"""Train a model on the tokens of sections.

`pretrain` prepares a run and hands it to `loop`, which goes over the steps. A step draws its windows (`batches`,
`sampling`), follows the `schedule`, and updates the weights (`step`) to lower the `objective`. `state` is what a
`checkpoint` stores and a resumed run restores. `distributed` connects several processes, which `launch` starts;
`signals` notices that a scheduler wants the job to end; `reporting` shows the progress. `vocabulary` fits the meta
cells beforehand.
"""
