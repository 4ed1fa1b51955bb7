# Needs: envs/{name}.txt, the pinned packages of an isolated environment; envs/{name}.check.py, which runs the packaged method on a
# small example; the package registry, and a C++ compiler for packages that are built from source.
# Makes: .venvs/{name}, shared by all runs: a link into the cache of environments (~/.cache/gest/environments), which outlives this
# folder. It is an input of every rule that runs a packaged method; gest.baselines.packaged runs scripts in it.

import os
import sys
from pathlib import Path

# Jobs find `gest` beside this Python, even when its environment is not activated.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
# Waiting threads must sleep: if they spin on shared cores, small models become many times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


rule environment:
    input:
        pins=lambda w: source_file(workflow.source_path(f"../../envs/{w.name}.txt")),
        check=lambda w: source_file(workflow.source_path(f"../../envs/{w.name}.check.py")),
    output:
        directory(".venvs/{name}"),
    log:
        "<logs>/environment/{name}.log",
    benchmark:
        "<benchmarks>/environment/{name}.tsv"
    wildcard_constraints:
        name="[^/]+",
    localrule: True  # the nodes of a cluster rarely reach the internet
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    message:
        "Isolated environment {wildcards.name}: installing and checking its packages; log in {log}"
    script:
        "../scripts/environment.py"
