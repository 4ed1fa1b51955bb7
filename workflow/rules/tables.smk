# Needs: the scores of all methods on all test sections, and the values that the paper reports.
# Makes: the tables, each as csv, Markdown and HTML; scores/ gathers all scores of each task.


rule generation:
    """Unseen cells: every score of every method on every dataset."""
    input:
        scores=lambda _: run.generation.scores(),
        paper=PAPER_VALUES,
    output:
        table="<results>/tables/generation.csv",
        text="<results>/tables/generation.md",
        page=report(
            "<results>/tables/generation.html",
            caption="../report/generation.rst",
            category="4.1 Unseen cells",
            labels={"item": "Scores of every method"},
        ),
        scores="<results>/scores/generation.csv",
    log:
        "<logs>/generation.log",
    benchmark:
        "<benchmarks>/generation.tsv"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    message:
        "Table of generation: {output.table}; log in {log}"
    script:
        "../scripts/generation.py"


rule table_1:
    """Table 1: clusters of niches by every method (adjusted mutual information)."""
    input:
        scores=lambda _: run.items.label_scores("table_1"),
        runs=lambda _: run.items.label_runs("table_1"),
        paper=PAPER_VALUES,
    output:
        table="<results>/tables/table_1.csv",
        text="<results>/tables/table_1.md",
        page=report(
            "<results>/tables/table_1.html",
            caption="../report/table_1.rst",
            category="4.2 Niche clustering",
            labels={"item": "Table 1: clusters of niches"},
        ),
        scores="<results>/scores/clustering.csv",
    log:
        "<logs>/table_1.log",
    benchmark:
        "<benchmarks>/table_1.tsv"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        run=config["run"],
        datasets=lambda _: run.items.required_datasets("table_1"),
        algorithm=lambda _: run.items.settings("table_1", "clustering", "algorithm"),
        microns=lambda _: run.items.settings("table_1", "microns_per_unit"),
    message:
        "Table 1, clusters of niches: {output.table}; log in {log}"
    script:
        "../scripts/table_1.py"


rule table_2:
    """Table 2: annotation of niches by every method (macro F1)."""
    input:
        scores=lambda _: run.items.label_scores("table_2"),
        runs=lambda _: run.items.label_runs("table_2"),
        paper=PAPER_VALUES,
    output:
        table="<results>/tables/table_2.csv",
        text="<results>/tables/table_2.md",
        page=report(
            "<results>/tables/table_2.html",
            caption="../report/table_2.rst",
            category="4.3 Niche annotation",
            labels={"item": "Table 2: annotation of niches"},
        ),
        scores="<results>/scores/annotation.csv",
    log:
        "<logs>/table_2.log",
    benchmark:
        "<benchmarks>/table_2.tsv"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        run=config["run"],
        datasets=lambda _: run.items.required_datasets("table_2"),
        microns=lambda _: run.items.settings("table_2", "microns_per_unit"),
    message:
        "Table 2, annotation: {output.table}; log in {log}"
    script:
        "../scripts/table_2.py"


rule table_3:
    """Table 3: size of model and data."""
    input:
        scores=lambda _: run.ablation.table_scores("table_3"),
        models=lambda _: run.ablation.table_models("table_3"),
        paper=PAPER_VALUES,
    output:
        table="<results>/tables/table_3.csv",
        text="<results>/tables/table_3.md",
        page=report(
            "<results>/tables/table_3.html",
            caption="../report/ablation_table.rst",
            category="5 Ablations",
            labels={"item": "Table 3: size of model and data"},
        ),
        scores="<results>/scores/table_3.csv",
    log:
        "<logs>/table_3.log",
    benchmark:
        "<benchmarks>/table_3.tsv"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        run=config["run"],
        item="table_3",
        title="Table 3: size of model and data",
        variants=lambda _: run.ablation.variants("table_3"),
        converged=config["ablation"]["converged"],
    message:
        "Variants of the model: {output.table}; log in {log}"
    script:
        "../scripts/ablation_table.py"


use rule table_3 as table_4 with:
    """Table 4: window, loss, quantisation, order."""
    input:
        scores=lambda _: run.ablation.table_scores("table_4"),
        models=lambda _: run.ablation.table_models("table_4"),
        paper=PAPER_VALUES,
    output:
        table="<results>/tables/table_4.csv",
        text="<results>/tables/table_4.md",
        page=report(
            "<results>/tables/table_4.html",
            caption="../report/ablation_table.rst",
            category="5 Ablations",
            labels={"item": "Table 4: window, loss, quantisation, order"},
        ),
        scores="<results>/scores/table_4.csv",
    log:
        "<logs>/table_4.log",
    benchmark:
        "<benchmarks>/table_4.tsv"
    params:
        run=config["run"],
        item="table_4",
        title="Table 4: window, loss, quantisation, order",
        variants=lambda _: run.ablation.variants("table_4"),
        converged=config["ablation"]["converged"],


rule table_a1:
    """Table A.1: unseen cells of liver cancer and Stereo-seq."""
    input:
        scores="<results>/scores/generation.csv",
        paper=PAPER_VALUES,
    output:
        table="<results>/tables/table_a1.csv",
        text="<results>/tables/table_a1.md",
        page=report(
            "<results>/tables/table_a1.html",
            caption="../report/table_a1.rst",
            category="4.1 Unseen cells",
            labels={"item": "Table A.1: liver cancer and Stereo-seq"},
        ),
    log:
        "<logs>/table_a1.log",
    benchmark:
        "<benchmarks>/table_a1.tsv"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
    params:
        run=config["run"],
        datasets=lambda _: run.items.required_datasets("table_a1"),
    message:
        "Table A.1, liver cancer and Stereo-seq: {output.table}; log in {log}"
    script:
        "../scripts/table_a1.py"


rule table_a2:
    """Table A.2: clusters of niches by the window of the embedding."""
    input:
        scores=lambda _: run.items.label_scores("table_a2"),
        runs=lambda _: run.items.label_runs("table_a2"),
        paper=PAPER_VALUES,
    output:
        table="<results>/tables/table_a2.csv",
        text="<results>/tables/table_a2.md",
        page=report(
            "<results>/tables/table_a2.html",
            caption="../report/table_a2.rst",
            category="4.2 Niche clustering",
            labels={"item": "Table A.2: clusters by window"},
        ),
    log:
        "<logs>/table_a2.log",
    benchmark:
        "<benchmarks>/table_a2.tsv"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        run=config["run"],
        datasets=lambda _: run.items.required_datasets("table_a2"),
        algorithm=lambda _: run.items.settings("table_a2", "clustering", "algorithm"),
        microns=lambda _: run.items.settings("table_a2", "microns_per_unit"),
    message:
        "Table A.2, clusters by window: {output.table}; log in {log}"
    script:
        "../scripts/table_a2.py"


rule table_a3:
    """Table A.3: genes around an infarct, called High, Low or not significant."""
    input:
        core=lambda _: run.items.perturbation_results("table_a3", "core.csv"),
        calls=lambda _: run.items.perturbation_results("table_a3", "calls.csv"),
        replicates=lambda _: run.items.perturbation_results("table_a3", "replicates.csv"),
        fixtures=lambda _: run.upstream.fixtures(),
        paper=PAPER_VALUES,
    output:
        table="<results>/tables/table_a3.csv",
        text="<results>/tables/table_a3.md",
        page=report(
            "<results>/tables/table_a3.html",
            caption="../report/table_a3.rst",
            category="4.4 Perturbation",
            labels={"item": "Table A.3: genes around an infarct"},
        ),
        scores="<results>/scores/perturbation.csv",
    log:
        "<logs>/table_a3.log",
    benchmark:
        "<benchmarks>/table_a3.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(20),
    params:
        run=config["run"],
        datasets=lambda _: run.items.required_datasets("table_a3"),
        reference=config["perturbation"]["reference"],
        section=config["perturbation"]["section"],
        main=lambda _: run.perturbation.main_variant(),
        truth=lambda _, input: run.perturbation.known_degs(input.fixtures),
    message:
        "Table A.3, genes around an infarct: {output.table}; log in {log}"
    script:
        "../scripts/table_a3.py"


use rule table_3 as table_a4 with:
    """Table A.4: spatial information."""
    input:
        scores=lambda _: run.ablation.table_scores("table_a4"),
        models=lambda _: run.ablation.table_models("table_a4"),
        paper=PAPER_VALUES,
    output:
        table="<results>/tables/table_a4.csv",
        text="<results>/tables/table_a4.md",
        page=report(
            "<results>/tables/table_a4.html",
            caption="../report/ablation_table.rst",
            category="5 Ablations",
            labels={"item": "Table A.4: spatial information"},
        ),
        scores="<results>/scores/table_a4.csv",
    log:
        "<logs>/table_a4.log",
    benchmark:
        "<benchmarks>/table_a4.tsv"
    params:
        run=config["run"],
        item="table_a4",
        title="Table A.4: spatial information",
        variants=lambda _: run.ablation.variants("table_a4"),
        converged=config["ablation"]["converged"],


use rule table_3 as ablation_extra with:
    """Further variants of the model."""
    input:
        scores=lambda _: run.ablation.table_scores("ablation_extra"),
        models=lambda _: run.ablation.table_models("ablation_extra"),
        paper=PAPER_VALUES,
    output:
        table="<results>/tables/ablation_extra.csv",
        text="<results>/tables/ablation_extra.md",
        page=report(
            "<results>/tables/ablation_extra.html",
            caption="../report/ablation_table.rst",
            category="5 Ablations",
            labels={"item": "Further variants"},
        ),
        scores="<results>/scores/ablation_extra.csv",
    log:
        "<logs>/ablation_extra.log",
    benchmark:
        "<benchmarks>/ablation_extra.tsv"
    params:
        run=config["run"],
        item="ablation_extra",
        title="Further variants",
        variants=lambda _: run.ablation.variants("ablation_extra"),
        converged=config["ablation"]["converged"],


rule ablation_cost:
    """Training cost and training log of every variant of the model."""
    input:
        models=lambda _: run.ablation.table_models(),
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
