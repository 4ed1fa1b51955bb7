# Needs: two variants of the model (ablation.smk), a test section and its ranking of genes.
# Makes: Figure A.1, with the errors of every round.


rule figure_a1:
    input:
        unpack(figure_a1_inputs),
    output:
        png=report(
            "<results>/figures/figure_a1.png",
            caption="../report/figure_a1.rst",
            category="Generation",
            labels={"item": "figure A.1", "kind": "figure"},
        ),
        pdf="<results>/figures/figure_a1.pdf",
        table=report(
            "<results>/tables/figure_a1.csv",
            caption="../report/figure_a1.rst",
            category="Generation",
            labels={"item": "figure A.1", "kind": "table"},
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
        datasets=made_of("figure_a1"),
        gene=config["figure_a1"]["gene"],
        seen=config["figure_a1"]["seen"],
    message:
        "Figure A.1, error accumulation: {output.png}; log in {log}"
    script:
        "../scripts/figure_a1.py"
