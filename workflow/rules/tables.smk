# Needs: the scores of every method on every test section, and what the paper reports.
# Makes: the tables, each with a readable copy beside it, all rows that they are made of, and Figure 4 with its table.


rule generation:
    """Unseen cells: every score of every method on every dataset."""
    input:
        scores=score_files,
        paper="config/paper_values.yaml",
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


rule figure_4:
    """Figure 4: unseen cells, errors and correlations per section and gene, with paired tests."""
    input:
        scores="<results>/scores/generation.csv",
        genes=every_gene,
        paper="config/paper_values.yaml",
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
        datasets=made_of("figure_4"),
        slides=config["figure_4"]["slides"],
    message:
        "Figure 4, errors per slide and gene: {output.png}; log in {log}"
    script:
        "../scripts/figure_4.py"


rule table_a1:
    """Table A.1: unseen cells of liver cancer and Stereo-seq."""
    input:
        scores="<results>/scores/generation.csv",
        paper="config/paper_values.yaml",
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
        datasets=made_of("table_a1"),
    message:
        "Table A.1, liver cancer and Stereo-seq: {output.table}; log in {log}"
    script:
        "../scripts/table_a1.py"
