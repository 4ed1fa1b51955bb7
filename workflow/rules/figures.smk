# Needs: what the methods predicted on the first test section of the first dataset.
# Makes: the figures.


rule generation_genes:
    input:
        unpack(figure_inputs),
    output:
        report(
            "<results>/figures/generation_genes.png",
            caption="../report/generation_genes.rst",
            category="Generation",
            labels={"item": "genes", "kind": "figure"},
        ),
    log:
        "<logs>/generation_genes.log",
    benchmark:
        "<benchmarks>/generation_genes.tsv"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        genes=config["figure"]["genes"],
    message:
        "Figure of generated genes: {output}; log in {log}"
    script:
        "../scripts/generation_genes.py"
