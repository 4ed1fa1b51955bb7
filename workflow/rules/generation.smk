# Needs: the test sections of a dataset, its vocabulary and, for GeST, its models.
# Makes: for each test section, the crops whose cells are hidden and the ranking of genes by spatial variability; for each test
# section and method, the predicted expression of the hidden cells and its scores. One job handles all crops and seeds.


rule crops:
    input:
        section="<results>/{dataset}/sections/{section}.h5ad",
        config="<results>/{dataset}/config/crops.json",
    output:
        "<results>/{dataset}/generation/{section}/crops.json",
    log:
        "<logs>/crops/{dataset}/{section}.log",
    benchmark:
        "<benchmarks>/crops/{dataset}/{section}.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(10),
    message:
        "Crops of section {wildcards.section}; log in {log}"
    shell:
        "gest paper crops {input.section:q} --config {input.config:q} --out {output:q} 2> {log:q}"


rule spatially_variable_genes:
    input:
        section="<results>/{dataset}/sections/{section}.h5ad",
        vocabulary="<results>/{dataset}/vocabulary.npz",
        config="<results>/{dataset}/config/svg.json",
        environment=lambda w: run.generation.svg_environment(w.dataset),
    output:
        "<results>/{dataset}/generation/{section}/svg.csv",
    log:
        "<logs>/spatially_variable_genes/{dataset}/{section}.log",
    benchmark:
        "<benchmarks>/spatially_variable_genes/{dataset}/{section}.tsv"
    threads: 1
    resources:
        mem_mb=lambda w, attempt: attempt * run.generation.svg_memory_mb(w.dataset),
        runtime=growing(60),
    message:
        "Spatially variable genes of section {wildcards.section}; log in {log}"
    shell:
        "gest paper svg {input.section:q} --vocabulary {input.vocabulary:q} --config {input.config:q} --out {output:q} 2> {log:q}"


rule predict:
    input:
        section="<results>/{dataset}/sections/{section}.h5ad",
        crops="<results>/{dataset}/generation/{section}/crops.json",
        learnt=lambda w: run.generation.learnt(w.dataset, w.method),
        config="<results>/{dataset}/config/prediction.json",
    output:
        "<results>/{dataset}/generation/{section}/{method}.h5ad",
    log:
        "<logs>/predict/{dataset}/{section}/{method}.log",
    benchmark:
        "<benchmarks>/predict/{dataset}/{section}/{method}.tsv"
    threads: lambda w: registry.method("generation", w.method).threads
    resources:
        mem_mb=lambda w, attempt: attempt * registry.method("generation", w.method).memory_mb,
        runtime=growing(240),
    params:
        learnt=lambda w, input: options(run.generation.learnt_option(w.method), input.learnt),
    message:
        "Unseen cells of section {wildcards.section} by {wildcards.method}; log in {log}"
    shell:
        "gest paper predict {input.section:q} --method {wildcards.method} --crops {input.crops:q} {params.learnt:q}"
        " --config {input.config:q} --out {output:q} 2> {log:q}"


rule score:
    input:
        predictions="<results>/{dataset}/generation/{section}/{method}.h5ad",
        section="<results>/{dataset}/sections/{section}.h5ad",
        vocabulary="<results>/{dataset}/vocabulary.npz",
        svg="<results>/{dataset}/generation/{section}/svg.csv",
    output:
        scores="<results>/{dataset}/generation/{section}/{method}.csv",
        genes="<results>/{dataset}/generation/{section}/{method}.genes.csv",
    log:
        "<logs>/score/{dataset}/{section}/{method}.log",
    benchmark:
        "<benchmarks>/score/{dataset}/{section}/{method}.tsv"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(30),
    params:
        run=config["run"],
        top=lambda w: run.datasets[w.dataset]["svg"]["top"],
    message:
        "Scores of {wildcards.method} on section {wildcards.section}; log in {log}"
    shell:
        "gest paper score {input.predictions:q} --section {input.section:q} --vocabulary {input.vocabulary:q}"
        " --svg {input.svg:q} --top {params.top} --run {params.run} --dataset {wildcards.dataset} --out {output.scores:q}"
        " --genes {output.genes:q} 2> {log:q}"
