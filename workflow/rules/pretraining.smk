# Needs: the training and validation sections and the vocabulary of a dataset.
# Makes: one model directory per model seed. What a killed training resumes from lies in {dataset}/state, which is not
# declared, because Snakemake deletes the declared outputs of a failed job. It trains on every GPU that the job was given, a
# process on each; `exec` makes it the process that a scheduler's signal reaches.


rule pretrain:
    input:
        train=sections_for("train"),
        validation=sections_for("validation"),
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
        validation=validation_options,
        folder=subpath(output.model, parent=True),
        launcher=once_on_each_node,
    message:
        "Pre-training on {wildcards.dataset}, seed {wildcards.model_seed}; follow it with: tail -f {log}"
    shell:
        "exec {params.launcher} gest pretrain {input.train:q} {params.validation:q} --vocabulary {input.vocabulary:q}"
        " --config {input.config:q} --seed {wildcards.model_seed} --state {params.folder:q}/state"
        " --out {output.model:q} 2> {log:q}"
