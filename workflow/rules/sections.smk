# Needs: the upstream files, or a user's own.
# Makes: what each stage reads of the configuration, one .h5ad per section, coordinates in µm, and the table of them.


rule configuration:
    output:
        "<results>/{dataset}/config/{stage}.json",
    log:
        "<logs>/configuration/{dataset}/{stage}.log",
    benchmark:
        "<benchmarks>/configuration/{dataset}/{stage}.tsv"
    params:
        settings=stage_settings,
    message:
        "Configuration of {wildcards.dataset} for its {wildcards.stage}"
    shell:
        "printf '%s\n' {params.settings:q} > {output:q} 2> {log:q}"


rule import_section:
    input:
        config="<results>/{dataset}/config/section.json",
        data=data_of_section,
    output:
        "<results>/{dataset}/sections/{section}.h5ad",
    log:
        "<logs>/import_section/{dataset}/{section}.log",
    benchmark:
        "<benchmarks>/import_section/{dataset}/{section}.tsv"
    wildcard_constraints:
        dataset=one_of(datasets_read_one_by_one()),
        section=none_of(cut_sections()),
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
        whole=section_cut_from,
    output:
        "<results>/{dataset}/sections/{section}.h5ad",
    log:
        "<logs>/cut_section/{dataset}/{section}.log",
    benchmark:
        "<benchmarks>/cut_section/{dataset}/{section}.tsv"
    wildcard_constraints:
        section=one_of(cut_sections()),
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(30),
    message:
        "Cutting section {wildcards.section} out of {input.whole}; log in {log}"
    shell:
        "gest paper cut --dataset-config {input.config:q} --section {wildcards.section:q} --out {output:q} 2> {log:q}"


# One job per animal: its matrix is one file, from which all sections are read in one pass.
for dataset, part, about in atlas_parts():

    rule:
        """All sections of one animal of the ABC Atlas, read in one pass."""
        name:
            f"import_{part}"
        input:
            config=f"<results>/{dataset}/config/section.json",
            data=receipts(about["upstream"]),
        output:
            sections=[f"<results>/{dataset}/sections/{name}.h5ad" for name in part_sections(part, about)],
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
    """Every section that is read: names, cells, genes."""
    input:
        sections=all_sections,
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
        roles=section_roles,
        expected=expected_totals,
    message:
        "Table of sections: {output.table}; log in {log}"
    script:
        "../scripts/sections.py"
