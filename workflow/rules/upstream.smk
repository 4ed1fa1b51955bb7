# Needs: config/datasets.yaml, and the internet or files placed by hand.
# Makes: one receipt per upstream file, once its size and hash are verified. The files themselves are in data_dir, shared by all
# runs. They are not outputs, because Snakemake deletes the outputs of failed jobs.


rule download:
    input:
        fixtures=lambda _: run.upstream.fixtures(),
    output:
        "<results>/upstream/{set}/{file}.json",
    log:
        "<logs>/download/{set}/{file}.log",
    benchmark:
        "<benchmarks>/download/{set}/{file}.tsv"
    wildcard_constraints:
        set=one_of(config["upstream"]),
        file=".+",
    localrule: True  # the nodes of a cluster rarely reach the internet
    threads: 1
    resources:
        mem_mb=1000,
        runtime=600,
    params:
        serving=lambda _, input: run.upstream.server(input.fixtures),
        entry=lambda w, input: run.upstream.entry(w.set, w.file, fixtures=input.fixtures),
        page=lambda w: run.upstream.page(w.set),
        folder=lambda w: run.upstream.folder(w.set),
    message:
        "Downloading unless present, and verifying, {wildcards.file} of {wildcards.set}; log in {log}"
    shell:
        "{params.serving} gest paper download {wildcards.file:q} --folder {params.folder:q} --entry {params.entry:q}"
        " --page {params.page:q} --again 'snakemake all' --receipt {output:q} 2> {log:q}"


rule fixtures:
    """Small simulated upstream files, which replace the real ones in the toy run."""
    output:
        directory("<results>/fixtures"),
    log:
        "<logs>/fixtures.log",
    benchmark:
        "<benchmarks>/fixtures.tsv"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
    params:
        settings=lambda _: run.upstream.fixture_settings(),
    message:
        "Simulating small upstream files; log in {log}"
    shell:
        "printf '%s\n' {params.settings:q} | gest paper fixtures --config /dev/stdin --out {output:q} 2> {log:q}"
