# Needs: the train and validation sections and the vocabulary of a dataset.
# Makes: one model directory per model seed. A stopped training resumes from {dataset}/state. This is not a declared output, because
# Snakemake deletes those of a failed job. One process runs on each GPU of the job; `exec` lets the scheduler's signals reach the
# training.


rule pretrain:
    input:
        train=lambda w: run.sections.in_role(w.dataset, "train"),
        validation=lambda w: run.sections.in_role(w.dataset, "validation"),
        vocabulary="<results>/{dataset}/vocabulary.npz",
        config="<results>/{dataset}/config/pretraining.json",
    output:
        model=directory("<results>/{dataset}/model-s{model_seed}"),
    log:
        "<logs>/pretrain/{dataset}-s{model_seed}.log",
    benchmark:
        "<benchmarks>/pretrain/{dataset}-s{model_seed}.tsv"
    threads: 8
    resources:
        mem_mb=growing(16000),
        runtime=growing(720),
    params:
        validation=lambda _, input: options("validation", input.validation),
        folder=subpath(output.model, parent=True),
        launcher=lambda _, resources, threads: node_launcher(resources, threads),
    message:
        "Pre-training on {wildcards.dataset}, seed {wildcards.model_seed}; follow it with: tail -f {log}"
    shell:
        "exec {params.launcher} gest pretrain {input.train:q} {params.validation:q} --vocabulary {input.vocabulary:q}"
        " --config {input.config:q} --seed {wildcards.model_seed} --state {params.folder:q}/state"
        " --out {output.model:q} 2> {log:q}"
