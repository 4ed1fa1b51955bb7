# Needs: two variants of the model (ablation.smk), a test section and its ranking of genes.
# Makes: Figure A.1, with the errors of every round.


rule figure_a1:
    """Figure A.1: what quantisation does over many rounds of generation."""
    input:
        unpack(figure_a1_inputs),
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
        datasets=made_of("figure_a1"),
        gene=config["figure_a1"]["gene"],
        seen=config["figure_a1"]["seen"],
    message:
        "Figure A.1, error accumulation: {output.png}; log in {log}"
    script:
        "../scripts/figure_a1.py"
