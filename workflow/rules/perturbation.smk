# Needs: a section and the models of an atlas, and sections of injured and of sham tissue.
# Makes: for each model, the genes of the infarct core (core.csv), the calls of every replicate (calls.csv), the replicates
# (replicates.csv) and the cells of the first one (cells.h5ad). One job handles all placements, seeds, σ, contexts and controls.


rule perturb_ischemia:
    input:
        reference=lambda _: run.perturbation.reference_sections(),
        tables=lambda w: run.perturbation.atlas_tables(w.dataset),
        sections=lambda w: run.sections.whole_files(w.dataset),
        model="<results>/{dataset}/model-s{model_seed}",
        config="<results>/{dataset}/config/perturbation.json",
    output:
        core="<results>/{dataset}/perturbation/s{model_seed}/core.csv",
        calls="<results>/{dataset}/perturbation/s{model_seed}/calls.csv",
        replicates="<results>/{dataset}/perturbation/s{model_seed}/replicates.csv",
        cells="<results>/{dataset}/perturbation/s{model_seed}/cells.h5ad",
    log:
        "<logs>/perturb_ischemia/{dataset}-s{model_seed}.log",
    benchmark:
        "<benchmarks>/perturb_ischemia/{dataset}-s{model_seed}.tsv"
    threads: 8
    resources:
        mem_mb=growing(16000),
        runtime=growing(480),
    params:
        tables=lambda _, input: options("table", input.tables),
        folder=subpath(output.core, parent=True),
    message:
        "Ischemia in a section of {wildcards.dataset}, model {wildcards.model_seed}; log in {log}"
    shell:
        "gest paper perturb-ischemia {input.reference:q} {params.tables:q} --model {input.model:q} --config {input.config:q}"
        " --out {params.folder:q} 2> {log:q}"
