# Needs: what pre-training needs, the crops and the ranking of genes of the ablations' test sections, and what the paper reports.
# Makes: per variant a model per seed, and per test section its predictions and scores (ablation/{variant}); Tables 3, 4 and
# A.4 and that of further variants, what each cost, its validation curves, and the scaling with parameters and cells.


use rule vocabulary as vocabulary_of_variant with:
    input:
        sections=sections_for("train"),
        config="<results>/{dataset}/config/vocabulary-{variant}.json",
    output:
        "<results>/{dataset}/ablation/{variant}/vocabulary.npz",
    log:
        "<logs>/vocabulary_of_variant/{dataset}/{variant}.log",
    benchmark:
        "<benchmarks>/vocabulary_of_variant/{dataset}/{variant}.tsv"
    message:
        "Vocabulary of {wildcards.dataset} for the variant {wildcards.variant}; log in {log}"


use rule pretrain as pretrain_variant with:
    input:
        train=variant_train,
        validation=variant_validation,
        vocabulary=variant_vocabulary,
        config="<results>/{dataset}/config/pretraining-{variant}.json",
    output:
        model=directory("<results>/{dataset}/ablation/{variant}/model-s{model_seed}"),
    log:
        "<logs>/pretrain_variant/{dataset}/{variant}-s{model_seed}.log",
    benchmark:
        "<benchmarks>/pretrain_variant/{dataset}/{variant}-s{model_seed}.tsv"
    message:
        "Pre-training the variant {wildcards.variant} on {wildcards.dataset}, seed {wildcards.model_seed}; follow it with: tail -f {log}"


rule predict_variant:
    input:
        section="<results>/{dataset}/sections/{section}.h5ad",
        crops="<results>/{dataset}/generation/{section}/crops.json",
        models=seeds_of_variant,
        config="<results>/{dataset}/config/prediction.json",
    output:
        "<results>/{dataset}/ablation/{variant}/{section}.h5ad",
    log:
        "<logs>/predict_variant/{dataset}/{variant}/{section}.log",
    benchmark:
        "<benchmarks>/predict_variant/{dataset}/{variant}/{section}.tsv"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        models=model_options,
    message:
        "Unseen cells of section {wildcards.section} by the variant {wildcards.variant}; log in {log}"
    shell:
        "gest paper predict {input.section:q} --method gest --crops {input.crops:q} {params.models:q} --config {input.config:q}"
        " --out {output:q} 2> {log:q}"


rule score_variant:
    input:
        predictions="<results>/{dataset}/ablation/{variant}/{section}.h5ad",
        section="<results>/{dataset}/sections/{section}.h5ad",
        vocabulary="<results>/{dataset}/vocabulary.npz",
        svg="<results>/{dataset}/generation/{section}/svg.csv",
    output:
        "<results>/{dataset}/ablation/{variant}/{section}.csv",
    log:
        "<logs>/score_variant/{dataset}/{variant}/{section}.log",
    benchmark:
        "<benchmarks>/score_variant/{dataset}/{variant}/{section}.tsv"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(30),
    params:
        run=config["run"],
        top=config["ablation"]["svg_top"],
    message:
        "Scores of the variant {wildcards.variant} on section {wildcards.section}; log in {log}"
    shell:
        "gest paper score {input.predictions:q} --section {input.section:q} --vocabulary {input.vocabulary:q}"
        " --svg {input.svg:q} --top {params.top} --run {params.run} --dataset {wildcards.dataset} --out {output:q} 2> {log:q}"


for table in config["ablation"]["tables"]:

    rule:
        name:
            table
        input:
            scores=variant_scores(table),
            models=variant_models(table),
            paper="config/paper_values.yaml",
        output:
            table=f"<results>/tables/{table}.csv",
            text=f"<results>/tables/{table}.md",
            page=report(
                f"<results>/tables/{table}.html",
                caption="../report/ablation_table.rst",
                category="5 Ablations",
                labels={"item": VARIANT_TABLES[table]},
            ),
            scores=f"<results>/scores/{table}.csv",
        log:
            f"<logs>/{table}.log",
        benchmark:
            f"<benchmarks>/{table}.tsv"
        threads: 1
        resources:
            mem_mb=growing(2000),
            runtime=growing(20),
        params:
            run=config["run"],
            item=table,
            title=VARIANT_TABLES[table],
            variants=variants_of(table),
            converged=config["ablation"]["converged"],
        message:
            "Variants of the model: {output.table}; log in {log}"
        script:
            "../scripts/ablation_table.py"

    workflow.get_rule(table).docstring = f"{VARIANT_TABLES[table]}: variants of the model, each trained anew."


rule ablation_cost:
    """What every variant of the model cost to train, and its training log."""
    input:
        models=variant_models(),
    output:
        table="<results>/tables/ablation_cost.csv",
        text="<results>/tables/ablation_cost.md",
        page=report(
            "<results>/tables/ablation_cost.html",
            caption="../report/ablation_cost.rst",
            category="5 Ablations",
            labels={"item": "Cost of the variants"},
        ),
        logs="<results>/tables/ablation_logs.md",
        logs_page=report(
            "<results>/tables/ablation_logs.html",
            caption="../report/ablation_logs.rst",
            category="5 Ablations",
            labels={"item": "Training logs of the variants"},
        ),
    log:
        "<logs>/ablation_cost.log",
    benchmark:
        "<benchmarks>/ablation_cost.tsv"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        run=config["run"],
        converged=config["ablation"]["converged"],
    message:
        "Cost of the variants: {output.table}; log in {log}"
    script:
        "../scripts/ablation_cost.py"


rule figure_ablation_curves:
    """Validation curves of every variant of the model."""
    input:
        models=variant_models(),
    output:
        png=report(
            "<results>/figures/figure_ablation_curves.png",
            caption="../report/figure_ablation_curves.rst",
            category="5 Ablations",
            labels={"item": "Validation curves of the variants"},
        ),
        pdf="<results>/figures/figure_ablation_curves.pdf",
    log:
        "<logs>/figure_ablation_curves.log",
    benchmark:
        "<benchmarks>/figure_ablation_curves.tsv"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        run=config["run"],
        converged=config["ablation"]["converged"],
    message:
        "Validation curves of the variants: {output.png}; log in {log}"
    script:
        "../scripts/figure_ablation_curves.py"


rule figure_scaling:
    """Scaling of losses with parameters and with cells."""
    input:
        scores=variant_scores("table_3"),
        models=variant_models("table_3"),
    output:
        png=report(
            "<results>/figures/figure_scaling.png",
            caption="../report/figure_scaling.rst",
            category="5 Ablations",
            labels={"item": "Scaling with parameters and cells"},
        ),
        pdf="<results>/figures/figure_scaling.pdf",
        table="<results>/tables/figure_scaling.csv",
    log:
        "<logs>/figure_scaling.log",
    benchmark:
        "<benchmarks>/figure_scaling.tsv"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        run=config["run"],
        variants=variants_of("table_3"),
        converged=config["ablation"]["converged"],
    message:
        "Scaling with parameters and cells: {output.png}; log in {log}"
    script:
        "../scripts/figure_scaling.py"
