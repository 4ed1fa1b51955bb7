# Needs: the scores of the run, the values that the paper reports, and the configuration.
# Makes: the front pages of `snakemake --report`: the comparison with the paper and the parameters of the run; docs/paper_map.md.

from gest.paper.pipeline.stages import fingerprint


rule paper_comparison:
    """The paper against reproduction: every reported number beside the reproduced one, with a verdict."""
    input:
        scores=lambda _: run.items.scores(),
        paper=PAPER_VALUES,
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
    """The parameters of the run, merged from all configuration files, and the versions of its software."""
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
        fingerprint=fingerprint(config),  # the page is remade if any key changes
    message:
        "Parameters of the run: {output.text}; log in {log}"
    script:
        "../scripts/parameters.py"


rule paper_map:
    """docs/paper_map.md: the rule, script, modules and data of every item of the paper."""
    output:
        "docs/paper_map.md",
    log:
        "<logs>/paper_map.log",
    localrule: True
    params:
        mapped=lambda _: run.items.paper_map(lambda item: getattr(rules, item).rule),
    message:
        "Map of the paper: {output}; log in {log}"
    script:
        "../scripts/paper_map.py"
