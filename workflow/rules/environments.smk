# Needs: envs/{name}.txt, every package of an isolated environment pinned, and envs/{name}.check.py, which imports the
# packaged method there and trains something small; the package registry, and a C++ compiler where a package has to be built.
# Makes: .venvs/{name}, for all runs: a link into the cache of environments (~/.cache/gest/environments), which outlives this
# folder. A rule of a packaged method has it as input; gest.baselines.packaged runs scripts in it.

# `gest` itself is installed beside this Python, be its environment activated or not.

import os
import sys

os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
# Threads that wait must sleep: spinning ones slow small models many times over when cores are shared.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


localrules:
    environment,  # the nodes of a cluster seldom reach the internet


rule environment:
    input:
        pins="envs/{name}.txt",
        check="envs/{name}.check.py",
    output:
        directory(".venvs/{name}"),
    log:
        "<logs>/environment/{name}.log",
    benchmark:
        "<benchmarks>/environment/{name}.tsv"
    wildcard_constraints:
        name="[^/]+",
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    message:
        "Isolated environment {wildcards.name}: its packages are installed and tried; log in {log}"
    script:
        "../scripts/environment.py"
