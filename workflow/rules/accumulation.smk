# Needs: what pre-training needs, and for the figure a test section, its ranking of genes and the pre-trained model.
# Makes: a model of the same training without quantisation, and Figure A.1 with the errors of every round.


use rule pretrain as pretrain_no_quantisation with:
    input:
        train=sections_for("train"),
        validation=sections_for("validation"),
        vocabulary="<results>/{dataset}/vocabulary.npz",
        config="<results>/{dataset}/config/no_quantisation.json",
    output:
        model=directory("<results>/{dataset}/model-no_quantisation-s{model_seed}"),
    log:
        "<logs>/pretrain_no_quantisation/{dataset}-s{model_seed}.log",
    benchmark:
        "<benchmarks>/pretrain_no_quantisation/{dataset}-s{model_seed}.tsv"
    message:
        "Pre-training without quantisation on {wildcards.dataset}, seed {wildcards.model_seed}; follow it with: tail -f {log}"


rule figure_a1:
    input:
        unpack(figure_a1_inputs),
    output:
        png=report(
            "<results>/figures/figure_a1.png",
            caption="../report/figure_a1.rst",
            category="Generation",
            labels={"item": "figure A.1", "kind": "figure"},
        ),
        pdf="<results>/figures/figure_a1.pdf",
        table=report(
            "<results>/tables/figure_a1.csv",
            caption="../report/figure_a1.rst",
            category="Generation",
            labels={"item": "figure A.1", "kind": "table"},
        ),
    log:
        "<logs>/figure_a1.log",
    benchmark:
        "<benchmarks>/figure_a1.tsv"
    threads: 2
    resources:
        mem_mb=16000,
        runtime=240,
    params:
        run=config["run"],
        datasets=made_of("figure_a1"),
        gene=config["figure_a1"]["gene"],
        seen=config["figure_a1"]["seen"],
    message:
        "Figure A.1, error accumulation: {output.png}; log in {log}"
    script:
        "../scripts/figure_a1.py"
