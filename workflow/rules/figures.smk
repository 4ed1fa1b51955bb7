# Needs: sections, vocabularies and crops, and what the methods predicted on the sections that are drawn.
# Makes: the figures, each as PNG and as PDF.


rule figure_2c:
    output:
        png=report(
            "<results>/figures/figure_2c.png",
            caption="../report/figure_2c.rst",
            category="Model",
            labels={"item": "figure 2c", "kind": "figure"},
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
    input:
        unpack(files_of("figure_a2", "section", "vocabulary", "crops", "svg", "predictions")),
    output:
        png=report(
            "<results>/figures/figure_a2.png",
            caption="../report/figure_a2.rst",
            category="Generation",
            labels={"item": "figure A.2", "kind": "figure"},
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
    input:
        unpack(files_of("figure_a3", "section", "crops")),
    output:
        png=report(
            "<results>/figures/figure_a3.png",
            caption="../report/figure_a3.rst",
            category="Generation",
            labels={"item": "figure A.3", "kind": "figure"},
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
    input:
        unpack(files_of("figure_a4", "section", "crops")),
    output:
        png=report(
            "<results>/figures/figure_a4.png",
            caption="../report/figure_a4.rst",
            category="Generation",
            labels={"item": "figure A.4", "kind": "figure"},
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
    input:
        unpack(files_of("figure_a5", "section", "vocabulary", "crops", "svg", "predictions")),
    output:
        png=report(
            "<results>/figures/figure_a5.png",
            caption="../report/figure_a5.rst",
            category="Generation",
            labels={"item": "figure A.5", "kind": "figure"},
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
    input:
        unpack(files_of("figure_a8", "section", role="train")),
    output:
        png=report(
            "<results>/figures/figure_a8.png",
            caption="../report/figure_a8.rst",
            category="Model",
            labels={"item": "figure A.8", "kind": "figure"},
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
    input:
        unpack(files_of("figure_a9", "sections", "vocabulary", role="train")),
    output:
        png=report(
            "<results>/figures/figure_a9.png",
            caption="../report/figure_a9.rst",
            category="Model",
            labels={"item": "figure A.9", "kind": "figure"},
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
    input:
        unpack(files_of("figure_a10", "section", "rounds")),
    output:
        png=report(
            "<results>/figures/figure_a10.png",
            caption="../report/figure_a10.rst",
            category="Generation",
            labels={"item": "figure A.10", "kind": "figure"},
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
