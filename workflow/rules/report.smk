# Needs: the scores of all tables of the run, what the paper reports, and the configuration.
# Makes: what `snakemake --report` opens with: the paper against reproduction, and the parameters of the run.


rule paper_comparison:
    """The paper against reproduction: every number that it reports, ours beside it, and a verdict."""
    input:
        scores=all_scores,
        paper="config/paper_values.yaml",
    output:
        table="<results>/tables/paper_comparison.csv",
        text="<results>/tables/paper_comparison.md",
        page=report(
            "<results>/tables/paper_comparison.html",
            caption="../report/paper_comparison.rst",
            category="0 Overview",
            labels={"item": "Paper against reproduction"},
        ),
    log:
        "<logs>/paper_comparison.log",
    benchmark:
        "<benchmarks>/paper_comparison.tsv"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        run=config["run"],
        simulated=bool(config["fixtures"]),
    message:
        "The paper against reproduction: {output.table}; log in {log}"
    script:
        "../scripts/paper_comparison.py"


rule parameters:
    """The parameters of the run, as merged from all configuration files, and the versions of its software."""
    output:
        text="<results>/tables/parameters.md",
        page=report(
            "<results>/tables/parameters.html",
            caption="../report/parameters.rst",
            category="0 Overview",
            labels={"item": "Parameters and software"},
        ),
    log:
        "<logs>/parameters.log",
    benchmark:
        "<benchmarks>/parameters.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        run=config["run"],
        fingerprint=fingerprint(config),  # a change of any key remakes it
    message:
        "Parameters of the run: {output.text}; log in {log}"
    script:
        "../scripts/parameters.py"


localrules:
    paper_map,


rule paper_map:
    """docs/paper_map.md: which rule, script and module makes which item of the paper, of what data."""
    output:
        "docs/paper_map.md",
    log:
        "<logs>/paper_map.log",
    params:
        mapped=mapped_items,
    message:
        "Map of the paper's items: {output}; log in {log}"
    script:
        "../scripts/paper_map.py"
