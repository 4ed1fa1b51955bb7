# Needs: the scores of all methods' labels on every test section, and what the paper reports.
# Makes: Tables 1, 2 and A.2, each with a readable copy beside it and all rows that they are made of; Figures A.6 and A.7.


rule table_1:
    """Table 1: clusters of niches by every method (adjusted mutual information)."""
    input:
        scores=label_scores("table_1", "niches"),
        runs=label_runs("table_1", "niches"),
        paper="config/paper_values.yaml",
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
        datasets=made_of("table_1"),
        algorithm=settings_of("table_1", "clustering", "algorithm"),
        microns=settings_of("table_1", "microns_per_unit"),
    message:
        "Table 1, clusters of niches: {output.table}; log in {log}"
    script:
        "../scripts/table_1.py"


rule table_a2:
    """Table A.2: clusters of niches by the window of the embedding."""
    input:
        scores=label_scores("table_a2", "niches"),
        runs=label_runs("table_a2", "niches"),
        paper="config/paper_values.yaml",
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
        datasets=made_of("table_a2"),
        algorithm=settings_of("table_a2", "clustering", "algorithm"),
        microns=settings_of("table_a2", "microns_per_unit"),
    message:
        "Table A.2, clusters by window: {output.table}; log in {log}"
    script:
        "../scripts/table_a2.py"


rule table_2:
    """Table 2: annotation of niches by every method (macro F1)."""
    input:
        scores=label_scores("table_2", "annotation"),
        runs=label_runs("table_2", "annotation"),
        paper="config/paper_values.yaml",
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
        datasets=made_of("table_2"),
        microns=settings_of("table_2", "microns_per_unit"),
    message:
        "Table 2, annotation: {output.table}; log in {log}"
    script:
        "../scripts/table_2.py"


rule figure_a6:
    """Figure A.6: clusters of niches in one section, by every method."""
    input:
        unpack(shown_labels("figure_a6", "niches")),
        section=shown_section("figure_a6"),
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
        level=first_level("figure_a6"),
    message:
        "Figure A.6, clusters of one section: {output.png}; log in {log}"
    script:
        "../scripts/figure_a6.py"


rule figure_a7:
    """Figure A.7: annotated niches of one section, by every method."""
    input:
        unpack(shown_labels("figure_a7", "annotation")),
        section=shown_section("figure_a7"),
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
        level=first_level("figure_a7"),
    message:
        "Figure A.7, annotation of one section: {output.png}; log in {log}"
    script:
        "../scripts/figure_a7.py"
