# Needs: sections, vocabularies and crops, and what the methods predicted on the sections that are drawn.
# Makes: the figures, each as PNG and as PDF.


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


rule figure_a2:
    """Figure A.2: true and predicted spatially variable genes."""
    input:
        unpack(files_of("figure_a2", "section", "vocabulary", "crops", "svg", "predictions")),
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
    """Figure A.3: what is seen and unseen of the liver cancer section."""
    input:
        unpack(files_of("figure_a3", "section", "crops")),
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
    """Figure A.4: what is seen and unseen of the Stereo-seq section."""
    input:
        unpack(files_of("figure_a4", "section", "crops")),
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
        unpack(files_of("figure_a5", "section", "vocabulary", "crops", "svg", "predictions")),
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
        markers=setting_of("figure_a5", "vocabulary", "markers"),
    message:
        "Figure A.5, truth and predictions of marker genes: {output.png}; log in {log}"
    script:
        "../scripts/figure_a5.py"


rule figure_a8:
    """Figure A.8: random and ordinal order of cells."""
    input:
        unpack(files_of("figure_a8", "section", role="train")),
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
        window=setting_of("figure_a8", "window"),
        sharpness=setting_of("figure_a8", "serialisation", "sharpness"),
        seed=config["seed"],
    message:
        "Figure A.8, random and ordinal order: {output.png}; log in {log}"
    script:
        "../scripts/figure_a8.py"


rule figure_a9:
    """Figure A.9: UMAP of meta cells among cells."""
    input:
        unpack(files_of("figure_a9", "sections", "vocabulary", role="train")),
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
        unpack(files_of("figure_a10", "section", "rounds")),
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
        window=setting_of("figure_a10", "window"),
    message:
        "Figure A.10, rounds of iterative generation: {output.png}; log in {log}"
    script:
        "../scripts/figure_a10.py"
