# Needs: upstream files, or a user's files.
# Makes: the settings that each stage reads, one .h5ad per section with coordinates in µm, and the table of sections.


rule configuration:
    output:
        "<results>/{dataset}/config/{stage}.json",
    log:
        "<logs>/configuration/{dataset}/{stage}.log",
    benchmark:
        "<benchmarks>/configuration/{dataset}/{stage}.tsv"
    localrule: True
    params:
        settings=lambda w: run.stage_json(w.dataset, w.stage),
    message:
        "Settings of {wildcards.dataset} for the stage {wildcards.stage}"
    shell:
        "printf '%s\n' {params.settings:q} > {output:q} 2> {log:q}"


rule import_section:
    input:
        config="<results>/{dataset}/config/section.json",
        data=lambda w: run.upstream.section_data(w.dataset, w.section),
    output:
        "<results>/{dataset}/sections/{section}.h5ad",
    log:
        "<logs>/import_section/{dataset}/{section}.log",
    benchmark:
        "<benchmarks>/import_section/{dataset}/{section}.tsv"
    wildcard_constraints:
        dataset=one_of(run.sections.single_datasets()),
        section=none_of(run.sections.cut()),
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    message:
        "Reading section {wildcards.section} of {wildcards.dataset}; log in {log}"
    shell:
        "gest paper import --dataset-config {input.config:q} --section {wildcards.section:q} --out {output:q} 2> {log:q}"


rule cut_section:
    input:
        config="<results>/{dataset}/config/cut.json",
        whole=lambda w: run.sections.cut_from(w.dataset, w.section),
    output:
        "<results>/{dataset}/sections/{section}.h5ad",
    log:
        "<logs>/cut_section/{dataset}/{section}.log",
    benchmark:
        "<benchmarks>/cut_section/{dataset}/{section}.tsv"
    wildcard_constraints:
        section=one_of(run.sections.cut()),
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(30),
    message:
        "Cutting section {wildcards.section} from {input.whole}; log in {log}"
    shell:
        "gest paper cut --dataset-config {input.config:q} --section {wildcards.section:q} --out {output:q} 2> {log:q}"


# One job per animal, as one file holds the matrix of all its sections.
for dataset, part, settings in run.sections.atlas_parts():

    rule:
        """All sections of one animal of the ABC Atlas, read in one pass."""
        name:
            f"import_{part}"
        input:
            config=f"<results>/{dataset}/config/section.json",
            data=run.upstream.receipts(settings["upstream"]),
        output:
            sections=run.sections.of_part(dataset, part),
            names=f"<results>/{dataset}/sections/{part}.csv",
        log:
            f"<logs>/import_atlas/{dataset}/{part}.log",
        benchmark:
            f"<benchmarks>/import_atlas/{dataset}/{part}.tsv"
        threads: 2
        resources:
            mem_mb=growing(8000),
            runtime=growing(120),
        params:
            part=part,
            folder=subpath(output.names, parent=True),
        message:
            "Reading all sections of {params.part}; follow it with: tail -f {log}"
        shell:
            "gest paper import-atlas --dataset-config {input.config:q} --part {params.part} --out {params.folder:q} 2> {log:q}"


rule sections:
    """All sections: names, cells, genes."""
    input:
        sections=lambda _: run.sections.all(),
    output:
        table="<results>/tables/sections.csv",
        text="<results>/tables/sections.md",
        page=report(
            "<results>/tables/sections.html",
            caption="../report/sections.rst",
            category="A.1 Data",
            labels={"item": "Sections"},
        ),
    log:
        "<logs>/sections.log",
    benchmark:
        "<benchmarks>/sections.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        run=config["run"],
        roles=lambda _: run.sections.roles(),
        expected=lambda _: run.sections.expected_totals(),
    message:
        "Table of sections: {output.table}; log in {log}"
    script:
        "../scripts/sections.py"
