# Needs: a section and the models of an atlas, and sections of injured and of sham tissue.
# Makes: per model the infarct core's genes (core.csv), what every replicate calls (calls.csv) and what is known of it
# (replicates.csv), the cells of the first one (cells.h5ad); and of all models Table A.3, the scores, and Figure 5. One job per
# model; placements of the region, seeds, σ, contexts and controls are loops inside.


rule perturb_ischemia:
    input:
        reference=ischemia_sections,
        tables=atlas_tables,
        sections=atlas_sections,
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
        tables=table_options,
        folder=subpath(output.core, parent=True),
    message:
        "Ischaemia in a section of {wildcards.dataset}, model {wildcards.model_seed}; log in {log}"
    shell:
        "gest paper perturb-ischemia {input.reference:q} {params.tables:q} --model {input.model:q} --config {input.config:q}"
        " --out {params.folder:q} 2> {log:q}"


rule table_a3:
    """Table A.3: genes around an infarct, called High, Low or not significant."""
    input:
        core=perturbation_files("core.csv"),
        calls=perturbation_files("calls.csv"),
        replicates=perturbation_files("replicates.csv"),
        fixtures=served_fixtures,
        paper="config/paper_values.yaml",
    output:
        table="<results>/tables/table_a3.csv",
        text="<results>/tables/table_a3.md",
        page=report(
            "<results>/tables/table_a3.html",
            caption="../report/table_a3.rst",
            category="4.4 Perturbation",
            labels={"item": "Table A.3: genes around an infarct"},
        ),
        scores="<results>/scores/perturbation.csv",
    log:
        "<logs>/table_a3.log",
    benchmark:
        "<benchmarks>/table_a3.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(20),
    params:
        run=config["run"],
        datasets=made_of("table_a3"),
        reference=config["perturbation"]["reference"],
        section=config["perturbation"]["section"],
        main=main_variant,
        truth=known_degs,
    message:
        "Table A.3, genes around an infarct: {output.table}; log in {log}"
    script:
        "../scripts/table_a3.py"


rule figure_5:
    """Figure 5: cells around a perturbed region, against the ischaemia data."""
    input:
        cells=perturbation_files("cells.h5ad"),
        calls=perturbation_files("calls.csv"),
        replicates=perturbation_files("replicates.csv"),
    output:
        png=report(
            "<results>/figures/figure_5.png",
            caption="../report/figure_5.rst",
            category="4.4 Perturbation",
            labels={"item": "Figure 5: surroundings of a perturbed region"},
        ),
        pdf="<results>/figures/figure_5.pdf",
    log:
        "<logs>/figure_5.log",
    benchmark:
        "<benchmarks>/figure_5.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(20),
    params:
        run=config["run"],
        datasets=made_of("figure_5"),
        shown=config["perturbation"]["shown"],
        around=config["perturbation"]["regions"]["around"],
        main=main_variant,
    message:
        "Figure 5, surroundings of a perturbed region: {output.png}; log in {log}"
    script:
        "../scripts/figure_5.py"
