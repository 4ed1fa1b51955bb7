# Needs: the inputs of pre-training; crops and ranked genes of the ablations' test sections.
# Makes: for each variant one model per seed, and for each of its test sections the predictions and scores (ablation/{variant}).
# A variant that changes the vocabulary also has its vocabulary there.


use rule vocabulary as vocabulary_of_variant with:
    input:
        sections=lambda w: run.sections.in_role(w.dataset, "train"),
        config="<results>/{dataset}/config/vocabulary-{variant}.json",
    output:
        "<results>/{dataset}/ablation/{variant}/vocabulary.npz",
    log:
        "<logs>/vocabulary_of_variant/{dataset}/{variant}.log",
    benchmark:
        "<benchmarks>/vocabulary_of_variant/{dataset}/{variant}.tsv"
    message:
        "Vocabulary of {wildcards.dataset} for the variant {wildcards.variant}; log in {log}"


use rule pretrain as pretrain_variant with:
    input:
        train=lambda w: run.ablation.train_sections(w.dataset, w.variant, w.model_seed),
        validation=lambda w: run.ablation.validation_sections(w.dataset),
        vocabulary=lambda w: run.ablation.vocabulary(w.dataset, w.variant),
        config="<results>/{dataset}/config/pretraining-{variant}.json",
    output:
        model=directory("<results>/{dataset}/ablation/{variant}/model-s{model_seed}"),
    log:
        "<logs>/pretrain_variant/{dataset}/{variant}-s{model_seed}.log",
    benchmark:
        "<benchmarks>/pretrain_variant/{dataset}/{variant}-s{model_seed}.tsv"
    message:
        "Pre-training the variant {wildcards.variant} on {wildcards.dataset}, seed {wildcards.model_seed}; follow it with: tail -f {log}"


rule predict_variant:
    input:
        section="<results>/{dataset}/sections/{section}.h5ad",
        crops="<results>/{dataset}/generation/{section}/crops.json",
        models=lambda w: run.ablation.variant_models(w.dataset, w.variant),
        config="<results>/{dataset}/config/prediction.json",
    output:
        "<results>/{dataset}/ablation/{variant}/{section}.h5ad",
    log:
        "<logs>/predict_variant/{dataset}/{variant}/{section}.log",
    benchmark:
        "<benchmarks>/predict_variant/{dataset}/{variant}/{section}.tsv"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
    params:
        models=lambda _, input: options("model", input.models),
    message:
        "Unseen cells of section {wildcards.section} by the variant {wildcards.variant}; log in {log}"
    shell:
        "gest paper predict {input.section:q} --method gest --crops {input.crops:q} {params.models:q} --config {input.config:q}"
        " --out {output:q} 2> {log:q}"


rule score_variant:
    input:
        predictions="<results>/{dataset}/ablation/{variant}/{section}.h5ad",
        section="<results>/{dataset}/sections/{section}.h5ad",
        vocabulary="<results>/{dataset}/vocabulary.npz",
        svg="<results>/{dataset}/generation/{section}/svg.csv",
    output:
        "<results>/{dataset}/ablation/{variant}/{section}.csv",
    log:
        "<logs>/score_variant/{dataset}/{variant}/{section}.log",
    benchmark:
        "<benchmarks>/score_variant/{dataset}/{variant}/{section}.tsv"
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(30),
    params:
        run=config["run"],
        top=config["ablation"]["svg_top"],
    message:
        "Scores of the variant {wildcards.variant} on section {wildcards.section}; log in {log}"
    shell:
        "gest paper score {input.predictions:q} --section {input.section:q} --vocabulary {input.vocabulary:q}"
        " --svg {input.svg:q} --top {params.top} --run {params.run} --dataset {wildcards.dataset} --out {output:q} 2> {log:q}"
