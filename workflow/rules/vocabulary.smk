# Needs: the train sections of a dataset.
# Makes: its vocabulary of meta cells, with the gene order and the normalisation.


rule vocabulary:
    input:
        sections=lambda w: run.sections.in_role(w.dataset, "train"),
        config="<results>/{dataset}/config/vocabulary.json",
    output:
        "<results>/{dataset}/vocabulary.npz",
    log:
        "<logs>/vocabulary/{dataset}.log",
    benchmark:
        "<benchmarks>/vocabulary/{dataset}.tsv"
    threads: 2
    resources:
        mem_mb=growing(16000),
        runtime=growing(120),
    params:
        seed=config["seed"],
    message:
        "Vocabulary of {wildcards.dataset}; log in {log}"
    shell:
        "gest vocabulary {input.sections:q} --config {input.config:q} --seed {params.seed} --out {output:q} 2> {log:q}"
