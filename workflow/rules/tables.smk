# Needs: the scores of every method on every test section, and what the paper reports.
# Makes: the tables, each with a readable copy beside it, all rows that they are made of, and Figure 4 with its table.


rule generation:
    input:
        scores=score_files,
        paper="config/paper_values.yaml",
    output:
        table=report(
            "<results>/tables/generation.csv",
            caption="../report/generation.rst",
            category="Generation",
            labels={"item": "scores", "kind": "table"},
        ),
        text="<results>/tables/generation.md",
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
    input:
        scores="<results>/scores/generation.csv",
        genes=every_gene,
        paper="config/paper_values.yaml",
    output:
        png=report(
            "<results>/figures/figure_4.png",
            caption="../report/figure_4.rst",
            category="Generation",
            labels={"item": "figure 4", "kind": "figure"},
        ),
        pdf="<results>/figures/figure_4.pdf",
        table=report(
            "<results>/tables/figure_4.csv",
            caption="../report/figure_4.rst",
            category="Generation",
            labels={"item": "figure 4", "kind": "table"},
        ),
        text="<results>/tables/figure_4.md",
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
    input:
        scores="<results>/scores/generation.csv",
        paper="config/paper_values.yaml",
    output:
        table=report(
            "<results>/tables/table_a1.csv",
            caption="../report/table_a1.rst",
            category="Generation",
            labels={"item": "table A.1", "kind": "table"},
        ),
        text="<results>/tables/table_a1.md",
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
