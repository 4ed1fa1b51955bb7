# Needs: scores, models of variants, and the files of the sections that are drawn.
# Makes: the figures, each as PNG and PDF, some with a table of their numbers.


rule figure_2c:
    """Figure 2c: the spatial attention mask."""
    output:
        png=report(
            "<results>/figures/figure_2c.png",
            caption="../report/figure_2c.rst",
            category="3 Model",
            labels={"item": "Figure 2c: attention mask"},
        ),
        pdf="<results>/figures/figure_2c.pdf",
    log:
        "<logs>/figure_2c.log",
    benchmark:
        "<benchmarks>/figure_2c.tsv"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
    params:
        run=config["run"],
        cells=6,
    message:
        "Figure 2c, attention mask: {output.png}; log in {log}"
    script:
        "../scripts/figure_2c.py"


rule figure_4:
    """Figure 4: unseen cells, errors and correlations per section and gene, with paired tests."""
    input:
        scores="<results>/scores/generation.csv",
        genes=lambda _: run.generation.gene_scores(run.items.required_datasets("figure_4")),
        paper=PAPER_VALUES,
    output:
        png=report(
            "<results>/figures/figure_4.png",
            caption="../report/figure_4.rst",
            category="4.1 Unseen cells",
            labels={"item": "Figure 4: errors and correlations"},
        ),
        pdf="<results>/figures/figure_4.pdf",
        table="<results>/tables/figure_4.csv",
        text="<results>/tables/figure_4.md",
        page=report(
            "<results>/tables/figure_4.html",
            caption="../report/figure_4.rst",
            category="4.1 Unseen cells",
            labels={"item": "Figure 4: the numbers"},
        ),
    log:
        "<logs>/figure_4.log",
    benchmark:
        "<benchmarks>/figure_4.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(20),
    params:
        run=config["run"],
        datasets=lambda _: run.items.required_datasets("figure_4"),
        slides=config["figure_4"]["slides"],
    message:
        "Figure 4, errors per slide and gene: {output.png}; log in {log}"
    script:
        "../scripts/figure_4.py"


rule figure_5:
    """Figure 5: cells around a perturbed region, against the ischemia data."""
    input:
        cells=lambda _: run.items.perturbation_results("table_a3", "cells.h5ad"),
        calls=lambda _: run.items.perturbation_results("table_a3", "calls.csv"),
        replicates=lambda _: run.items.perturbation_results("table_a3", "replicates.csv"),
    output:
        png=report(
            "<results>/figures/figure_5.png",
            caption="../report/figure_5.rst",
            category="4.4 Perturbation",
            labels={"item": "Figure 5: surroundings of a perturbed region"},
        ),
        pdf="<results>/figures/figure_5.pdf",
    log:
        "<logs>/figure_5.log",
    benchmark:
        "<benchmarks>/figure_5.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(20),
    params:
        run=config["run"],
        datasets=lambda _: run.items.required_datasets("figure_5"),
        shown=config["perturbation"]["shown"],
        around=config["perturbation"]["regions"]["around"],
        main=lambda _: run.perturbation.main_variant(),
    message:
        "Figure 5, surroundings of a perturbed region: {output.png}; log in {log}"
    script:
        "../scripts/figure_5.py"


rule figure_a1:
    """Figure A.1: effect of quantisation over many rounds of generation."""
    input:
        unpack(lambda _: run.figures.figure_a1()),
    output:
        png=report(
            "<results>/figures/figure_a1.png",
            caption="../report/figure_a1.rst",
            category="4.1 Unseen cells",
            labels={"item": "Figure A.1: quantisation over many rounds"},
        ),
        pdf="<results>/figures/figure_a1.pdf",
        table="<results>/tables/figure_a1.csv",
        text="<results>/tables/figure_a1.md",
        page=report(
            "<results>/tables/figure_a1.html",
            caption="../report/figure_a1.rst",
            category="4.1 Unseen cells",
            labels={"item": "Figure A.1: the numbers"},
        ),
    log:
        "<logs>/figure_a1.log",
    benchmark:
        "<benchmarks>/figure_a1.tsv"
    threads: 2
    resources:
        mem_mb=growing(16000),
        runtime=growing(240),
    params:
        run=config["run"],
        datasets=lambda _: run.items.required_datasets("figure_a1"),
        gene=config["figure_a1"]["gene"],
        seen=config["figure_a1"]["seen"],
    message:
        "Figure A.1, error accumulation: {output.png}; log in {log}"
    script:
        "../scripts/figure_a1.py"


rule figure_a2:
    """Figure A.2: true and predicted spatially variable genes."""
    input:
        unpack(lambda _: run.figures.files("figure_a2", "section", "vocabulary", "crops", "svg", "predictions")),
    output:
        png=report(
            "<results>/figures/figure_a2.png",
            caption="../report/figure_a2.rst",
            category="4.1 Unseen cells",
            labels={"item": "Figure A.2: predicted genes"},
        ),
        pdf="<results>/figures/figure_a2.pdf",
    log:
        "<logs>/figure_a2.log",
    benchmark:
        "<benchmarks>/figure_a2.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(10),
    params:
        run=config["run"],
        genes=config["figure"]["genes"],
    message:
        "Figure A.2, truth and predictions of spatially variable genes: {output.png}; log in {log}"
    script:
        "../scripts/figure_a2.py"


rule figure_a3:
    """Figure A.3: seen and unseen spots of the liver cancer section."""
    input:
        unpack(lambda _: run.figures.files("figure_a3", "section", "crops")),
    output:
        png=report(
            "<results>/figures/figure_a3.png",
            caption="../report/figure_a3.rst",
            category="4.1 Unseen cells",
            labels={"item": "Figure A.3: liver cancer, seen and unseen"},
        ),
        pdf="<results>/figures/figure_a3.pdf",
    log:
        "<logs>/figure_a3.log",
    benchmark:
        "<benchmarks>/figure_a3.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(10),
    params:
        run=config["run"],
    message:
        "Figure A.3, evaluation setting of liver cancer: {output.png}; log in {log}"
    script:
        "../scripts/figure_a3.py"


rule figure_a4:
    """Figure A.4: seen and unseen bins of the Stereo-seq section."""
    input:
        unpack(lambda _: run.figures.files("figure_a4", "section", "crops")),
    output:
        png=report(
            "<results>/figures/figure_a4.png",
            caption="../report/figure_a4.rst",
            category="4.1 Unseen cells",
            labels={"item": "Figure A.4: Stereo-seq, seen and unseen"},
        ),
        pdf="<results>/figures/figure_a4.pdf",
    log:
        "<logs>/figure_a4.log",
    benchmark:
        "<benchmarks>/figure_a4.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(10),
    params:
        run=config["run"],
    message:
        "Figure A.4, evaluation setting of Stereo-seq: {output.png}; log in {log}"
    script:
        "../scripts/figure_a4.py"


rule figure_a5:
    """Figure A.5: true and predicted marker genes of liver cancer."""
    input:
        unpack(lambda _: run.figures.files("figure_a5", "section", "vocabulary", "crops", "svg", "predictions")),
    output:
        png=report(
            "<results>/figures/figure_a5.png",
            caption="../report/figure_a5.rst",
            category="4.1 Unseen cells",
            labels={"item": "Figure A.5: predicted markers"},
        ),
        pdf="<results>/figures/figure_a5.pdf",
    log:
        "<logs>/figure_a5.log",
    benchmark:
        "<benchmarks>/figure_a5.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(10),
    params:
        run=config["run"],
        markers=lambda _: run.figures.setting("figure_a5", "vocabulary", "markers"),
    message:
        "Figure A.5, truth and predictions of marker genes: {output.png}; log in {log}"
    script:
        "../scripts/figure_a5.py"


rule figure_a6:
    """Figure A.6: clusters of niches in one section, by every method."""
    input:
        unpack(lambda _: run.figures.labels("figure_a6")),
    output:
        png=report(
            "<results>/figures/figure_a6.png",
            caption="../report/figure_a6.rst",
            category="4.2 Niche clustering",
            labels={"item": "Figure A.6: clusters of one section"},
        ),
        pdf="<results>/figures/figure_a6.pdf",
    log:
        "<logs>/figure_a6.log",
    benchmark:
        "<benchmarks>/figure_a6.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(20),
    params:
        run=config["run"],
        level=lambda _: run.figures.first_level("figure_a6"),
    message:
        "Figure A.6, clusters of one section: {output.png}; log in {log}"
    script:
        "../scripts/figure_a6.py"


rule figure_a7:
    """Figure A.7: annotated niches of one section, by every method."""
    input:
        unpack(lambda _: run.figures.labels("figure_a7")),
    output:
        png=report(
            "<results>/figures/figure_a7.png",
            caption="../report/figure_a7.rst",
            category="4.3 Niche annotation",
            labels={"item": "Figure A.7: annotation of one section"},
        ),
        pdf="<results>/figures/figure_a7.pdf",
    log:
        "<logs>/figure_a7.log",
    benchmark:
        "<benchmarks>/figure_a7.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(20),
    params:
        run=config["run"],
        level=lambda _: run.figures.first_level("figure_a7"),
    message:
        "Figure A.7, annotation of one section: {output.png}; log in {log}"
    script:
        "../scripts/figure_a7.py"


rule figure_a8:
    """Figure A.8: random and ordinal order of cells."""
    input:
        unpack(lambda _: run.figures.files("figure_a8", "section", role="train")),
    output:
        png=report(
            "<results>/figures/figure_a8.png",
            caption="../report/figure_a8.rst",
            category="3 Model",
            labels={"item": "Figure A.8: orders of cells"},
        ),
        pdf="<results>/figures/figure_a8.pdf",
    log:
        "<logs>/figure_a8.log",
    benchmark:
        "<benchmarks>/figure_a8.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(10),
    params:
        run=config["run"],
        window=lambda _: run.figures.setting("figure_a8", "window"),
        sharpness=lambda _: run.figures.setting("figure_a8", "serialisation", "sharpness"),
        seed=config["seed"],
    message:
        "Figure A.8, random and ordinal order: {output.png}; log in {log}"
    script:
        "../scripts/figure_a8.py"


rule figure_a9:
    """Figure A.9: UMAP of meta cells among cells."""
    input:
        unpack(lambda _: run.figures.files("figure_a9", "sections", "vocabulary", role="train")),
    output:
        png=report(
            "<results>/figures/figure_a9.png",
            caption="../report/figure_a9.rst",
            category="3 Model",
            labels={"item": "Figure A.9: meta cells among cells"},
        ),
        pdf="<results>/figures/figure_a9.pdf",
    log:
        "<logs>/figure_a9.log",
    benchmark:
        "<benchmarks>/figure_a9.tsv"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(30),
    params:
        run=config["run"],
        cells=20000,
        seed=config["seed"],
    message:
        "Figure A.9, UMAP of meta cells and cells: {output.png}; log in {log}"
    script:
        "../scripts/figure_a9.py"


rule figure_a10:
    """Figure A.10: rounds of iterative generation."""
    input:
        unpack(lambda _: run.figures.files("figure_a10", "section", "rounds")),
    output:
        png=report(
            "<results>/figures/figure_a10.png",
            caption="../report/figure_a10.rst",
            category="A.2 Iterative generation",
            labels={"item": "Figure A.10: rounds of generation"},
        ),
        pdf="<results>/figures/figure_a10.pdf",
    log:
        "<logs>/figure_a10.log",
    benchmark:
        "<benchmarks>/figure_a10.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(10),
    params:
        run=config["run"],
        window=lambda _: run.figures.setting("figure_a10", "window"),
    message:
        "Figure A.10, rounds of iterative generation: {output.png}; log in {log}"
    script:
        "../scripts/figure_a10.py"


rule figure_ablation_curves:
    """Validation curves of every variant of the model."""
    input:
        models=lambda _: run.ablation.table_models(),
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
        scores=lambda _: run.ablation.table_scores("table_3"),
        models=lambda _: run.ablation.table_models("table_3"),
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
        variants=lambda _: run.ablation.variants("table_3"),
        converged=config["ablation"]["converged"],
    message:
        "Scaling with parameters and cells: {output.png}; log in {log}"
    script:
        "../scripts/figure_scaling.py"
