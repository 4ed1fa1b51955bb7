# Needs: the configuration, and a user's .h5ad for datasets of source anndata.
# Makes: what each stage reads of the configuration, and one .h5ad per section, coordinates in µm.


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


rule simulate_section:
    input:
        config="<results>/{dataset}/config/section.json",
    output:
        "<results>/{dataset}/sections/{section}.h5ad",
    log:
        "<logs>/simulate_section/{dataset}/{section}.log",
    benchmark:
        "<benchmarks>/simulate_section/{dataset}/{section}.tsv"
    wildcard_constraints:
        dataset=one_of(datasets_from("simulate")),
    threads: 1
    resources:
        mem_mb=4000,
        runtime=10,
    message:
        "Simulating section {wildcards.section}; log in {log}"
    shell:
        "gest simulate --dataset-config {input.config:q} --section {wildcards.section:q} --out {output:q} 2> {log:q}"


rule import_section:
    input:
        config="<results>/{dataset}/config/section.json",
        data=data_file,
    output:
        "<results>/{dataset}/sections/{section}.h5ad",
    log:
        "<logs>/import_section/{dataset}/{section}.log",
    benchmark:
        "<benchmarks>/import_section/{dataset}/{section}.tsv"
    wildcard_constraints:
        dataset=one_of(datasets_from("anndata")),
    threads: 1
    resources:
        mem_mb=8000,
        runtime=60,
    message:
        "Reading section {wildcards.section} out of {input.data}; log in {log}"
    shell:
        "gest import --dataset-config {input.config:q} --section {wildcards.section:q} --out {output:q} 2> {log:q}"
