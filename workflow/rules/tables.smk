# Needs: the scores of every method on every test section.
# Makes: the tables, each with a readable copy beside it, and all rows that they are made of.


rule generation:
    input:
        scores=score_files,
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
        mem_mb=2000,
        runtime=10,
    message:
        "Table of generation: {output.table}; log in {log}"
    script:
        "../scripts/generation.py"
