"""Train a model on the tokens of sections.

`vocabulary` fits the meta cells beforehand. `pretrain` prepares a run, and `loop` goes over its steps. Each step draws
its windows (`batches`, `sampling`), reads its learning rate from the `schedule`, and updates the weights (`step`) to
lower the `objective`. `state` holds what a `checkpoint` stores and a resumed run restores. `launch` starts several
processes, and `distributed` connects them. `signals` records that the scheduler will end the job; `reporting` shows the
progress.
"""
