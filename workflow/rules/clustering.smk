# Needs: the labelled test sections of a dataset and, for GeST, its models.
# Makes: for each section and method, representations of the cells (niches/{section}/{method}.h5ad), their clusters (.csv) and the
# record of the runs (.runs.csv); for each section, the scores of all methods. One job handles all seeds, windows and levels.


rule represent:
    input:
        section="<results>/{dataset}/sections/{section}.h5ad",
        models=lambda w: run.labelling.models_for("clustering", w.dataset, w.method),
        environment=lambda w: run.labelling.environment("clustering", w.method),
        config="<results>/{dataset}/config/representation.json",
    output:
        "<results>/{dataset}/niches/{section}/{method}.h5ad",
    log:
        "<logs>/represent/{dataset}/{section}/{method}.log",
    benchmark:
        "<benchmarks>/represent/{dataset}/{section}/{method}.tsv"
    wildcard_constraints:
        method=one_of(registry.names("clustering")),
    threads: lambda w: run.labelling.threads("clustering", w.method)
    resources:
        mem_mb=lambda w, attempt: attempt * run.labelling.memory_mb("clustering", w.method),
        runtime=growing(1440),
    params:
        models=lambda _, input: options("model", input.models),
        seeds=lambda w: run.labelling.n_seeds("clustering", w.dataset, w.method),
    message:
        "Niches of section {wildcards.section} by {wildcards.method}; log in {log}"
    shell:
        "gest paper represent {input.section:q} --method {wildcards.method} {params.models:q} --n-seeds {params.seeds}"
        " --config {input.config:q} --out {output:q} 2> {log:q}"


rule cluster:
    input:
        representations="<results>/{dataset}/niches/{section}/{method}.h5ad",
        section="<results>/{dataset}/sections/{section}.h5ad",
        config="<results>/{dataset}/config/clusters.json",
    output:
        labels="<results>/{dataset}/niches/{section}/{method}.csv",
        runs="<results>/{dataset}/niches/{section}/{method}.runs.csv",
    log:
        "<logs>/cluster/{dataset}/{section}/{method}.log",
    benchmark:
        "<benchmarks>/cluster/{dataset}/{section}/{method}.tsv"
    wildcard_constraints:
        method=one_of(registry.names("clustering")),
    threads: 1
    resources:
        mem_mb=growing(16000),
        runtime=growing(240),
    message:
        "Clusters of section {wildcards.section} by {wildcards.method}; log in {log}"
    shell:
        "gest paper group {input.representations:q} --section {input.section:q} --method {wildcards.method}"
        " --config {input.config:q} --out {output.labels:q} 2> {log:q}"


rule score_clusters:
    input:
        unpack(lambda w: run.labelling.labels("clustering", w.dataset, w.section)),
        section="<results>/{dataset}/sections/{section}.h5ad",
    output:
        "<results>/{dataset}/niches/{section}.csv",
    log:
        "<logs>/score_clusters/{dataset}/{section}.log",
    benchmark:
        "<benchmarks>/score_clusters/{dataset}/{section}.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        labels=lambda _, input: options("labels", input.labels),
        run=config["run"],
    message:
        "Scores of all clusters of section {wildcards.section}; log in {log}"
    shell:
        "gest paper score-labels {input.section:q} {params.labels:q} --task clustering --run {params.run}"
        " --dataset {wildcards.dataset} --out {output:q} 2> {log:q}"
