# Needs: the labelled sections of a dataset, its vocabulary and, for GeST, its models.
# Makes: for each method, what it learnt from the train sections (annotators/{method}); for each test section and method, the
# predicted labels (annotation/{section}/{method}.csv) and the record of the runs (.runs.csv); for each test section, the scores of
# all methods.


rule learn_labels:
    input:
        train=lambda w: run.sections.in_role(w.dataset, "train"),
        validation=lambda w: run.sections.in_role(w.dataset, "validation"),
        vocabulary="<results>/{dataset}/vocabulary.npz",
        models=lambda w: run.labelling.models_for("annotation", w.dataset, w.method),
        environment=lambda w: run.labelling.environment("annotation", w.method),
        config="<results>/{dataset}/config/annotation.json",
    output:
        directory("<results>/{dataset}/annotators/{method}"),
    log:
        "<logs>/learn_labels/{dataset}/{method}.log",
    benchmark:
        "<benchmarks>/learn_labels/{dataset}/{method}.tsv"
    wildcard_constraints:
        method=one_of(registry.names("annotation")),
    threads: lambda w: run.labelling.threads("annotation", w.method)
    resources:
        mem_mb=lambda w, attempt: attempt * run.labelling.memory_mb("annotation", w.method),
        runtime=growing(1440),
    params:
        models=lambda _, input: options("model", input.models),
        validation=lambda _, input: options("validation", input.validation),
        seeds=lambda w: run.labelling.n_seeds("annotation", w.dataset, w.method),
    message:
        "Annotators of {wildcards.dataset} by {wildcards.method}; follow it with: tail -f {log}"
    shell:
        "gest paper learn-labels {input.train:q} {params.validation:q} --method {wildcards.method} {params.models:q}"
        " --vocabulary {input.vocabulary:q} --n-seeds {params.seeds} --config {input.config:q} --out {output:q} 2> {log:q}"


rule label:
    input:
        section="<results>/{dataset}/sections/{section}.h5ad",
        annotators="<results>/{dataset}/annotators/{method}",
        environment=lambda w: run.labelling.environment("annotation", w.method),
    output:
        labels="<results>/{dataset}/annotation/{section}/{method}.csv",
        runs="<results>/{dataset}/annotation/{section}/{method}.runs.csv",
    log:
        "<logs>/label/{dataset}/{section}/{method}.log",
    benchmark:
        "<benchmarks>/label/{dataset}/{section}/{method}.tsv"
    wildcard_constraints:
        method=one_of(registry.names("annotation")),
    threads: lambda w: run.labelling.threads("annotation", w.method)
    resources:
        mem_mb=growing(16000),
        runtime=growing(1440),
    message:
        "Labels of section {wildcards.section} by {wildcards.method}; log in {log}"
    shell:
        "gest paper label {input.section:q} --learnt {input.annotators:q} --out {output.labels:q} 2> {log:q}"


rule score_annotations:
    input:
        unpack(lambda w: run.labelling.labels("annotation", w.dataset, w.section)),
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
        labels=lambda _, input: options("labels", input.labels),
        run=config["run"],
    message:
        "Scores of all annotations of section {wildcards.section}; log in {log}"
    shell:
        "gest paper score-labels {input.section:q} {params.labels:q} --task annotation --run {params.run}"
        " --dataset {wildcards.dataset} --out {output:q} 2> {log:q}"
