# Needs: config/datasets.yaml, and the internet or files placed by hand.
# Makes: one receipt per upstream file: it is there, and its size and hash are right. The files themselves lie in
# data_dir, for all runs, and are no outputs: Snakemake deletes outputs of failed jobs, and a user's file is the user's.


rule download:
    input:
        fixtures=served_fixtures,
    output:
        "<results>/upstream/{set}/{file}.json",
    log:
        "<logs>/download/{set}/{file}.log",
    benchmark:
        "<benchmarks>/download/{set}/{file}.tsv"
    wildcard_constraints:
        set=one_of(config["upstream"]),
        file=".+",
    threads: 1
    resources:
        mem_mb=1000,
        runtime=600,
    params:
        serving=serving,
        entry=upstream_entry,
        page=upstream_page,
        folder=upstream_folder,
    message:
        "Upstream file {wildcards.file} of {wildcards.set}: downloaded unless it is there, and verified; log in {log}"
    shell:
        "{params.serving} gest paper download {wildcards.file:q} --folder {params.folder:q} --entry {params.entry:q}"
        " --page {params.page:q} --again 'snakemake all' --receipt {output:q} 2> {log:q}"


rule fixtures:
    """Small simulated upstream files, in the place of the real ones (the toy run)."""
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
        settings=fixture_settings,
    message:
        "Simulating small upstream files; log in {log}"
    shell:
        "printf '%s\n' {params.settings:q} | gest paper fixtures --config /dev/stdin --out {output:q} 2> {log:q}"
