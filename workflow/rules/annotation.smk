# Needs: the sections of a dataset whose labels are known, its vocabulary and, for GeST, a model.
# Makes: per method what it learnt from the training sections (annotators/{method}); per test section and method the labels it gives
# (annotation/{section}/{method}.csv, and what is known of the runs in .runs.csv), and per section the scores of all methods.


rule learn_labels:
    input:
        train=sections_for("train"),
        validation=sections_for("validation"),
        vocabulary="<results>/{dataset}/vocabulary.npz",
        models=models_of,
        environment=environment_of,
        config="<results>/{dataset}/config/annotation.json",
    output:
        directory("<results>/{dataset}/annotators/{method}"),
    log:
        "<logs>/learn_labels/{dataset}/{method}.log",
    benchmark:
        "<benchmarks>/learn_labels/{dataset}/{method}.tsv"
    wildcard_constraints:
        method=one_of(LABELLING["annotation"]),
    threads: threads_of_method
    resources:
        mem_mb=growing(32000),
        runtime=growing(1440),
    params:
        models=model_options,
        validation=validation_options,
        seeds=n_seeds("annotation"),
    message:
        "Annotators of {wildcards.dataset} by {wildcards.method}; follow it with: tail -f {log}"
    shell:
        "gest paper learn-labels {input.train:q} {params.validation:q} --method {wildcards.method} {params.models:q}"
        " --vocabulary {input.vocabulary:q} --n-seeds {params.seeds} --config {input.config:q} --out {output:q} 2> {log:q}"


rule label:
    input:
        section="<results>/{dataset}/sections/{section}.h5ad",
        annotators="<results>/{dataset}/annotators/{method}",
        environment=environment_of,
    output:
        labels="<results>/{dataset}/annotation/{section}/{method}.csv",
        runs="<results>/{dataset}/annotation/{section}/{method}.runs.csv",
    log:
        "<logs>/label/{dataset}/{section}/{method}.log",
    benchmark:
        "<benchmarks>/label/{dataset}/{section}/{method}.tsv"
    wildcard_constraints:
        method=one_of(LABELLING["annotation"]),
    threads: threads_of_method
    resources:
        mem_mb=growing(16000),
        runtime=growing(1440),
    message:
        "Labels of section {wildcards.section} by {wildcards.method}; log in {log}"
    shell:
        "gest paper label {input.section:q} --learnt {input.annotators:q} --out {output.labels:q} 2> {log:q}"


rule score_annotations:
    input:
        unpack(labels_of_section("annotation", "annotation")),
        section="<results>/{dataset}/sections/{section}.h5ad",
    output:
        "<results>/{dataset}/annotation/{section}.csv",
    log:
        "<logs>/score_annotations/{dataset}/{section}.log",
    benchmark:
        "<benchmarks>/score_annotations/{dataset}/{section}.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        labels=label_options,
        run=config["run"],
    message:
        "Scores of all annotations of section {wildcards.section}; log in {log}"
    shell:
        "gest paper score-labels {input.section:q} {params.labels:q} --task annotation --run {params.run}"
        " --dataset {wildcards.dataset} --out {output:q} 2> {log:q}"
