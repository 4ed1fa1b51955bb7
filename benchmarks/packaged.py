"""Time the embedding of sections by GeST, zero-shot, and by packaged methods.

Sections are simulated: 1,850 cells per mm², 1,122 genes; niches of 600 µm; one seed. GeST's weights are untrained,
which does not change its time; the seconds of the other methods include their training on the section. They run in
their environments in `.venvs` (`snakemake .venvs/NAME` creates one), on one thread as in the workflow; GeST runs on all
threads and, in another row, on one. A method that ran out of memory or time at one size is not run at
a larger one. Rows of an earlier run are kept for methods that `--methods` does
not name.

    python benchmarks/packaged.py --cells 1000 3000 10000 --limit 180
    python benchmarks/packaged.py --methods nichecompass
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from inputs import DENSITY, GENES, METACELLS, default_model
from measuring import in_process, machine, machine_memory_mb, options, results, write

from gest.baselines.packaged import environment_python
from gest.baselines.registry import packaged_names
from gest.data.sources.simulate import simulate
from gest.paper.methods.clustering import represent
from gest.training.vocabulary import fit_sections

PACKAGED = packaged_names("clustering")
ONE_THREAD = "gest, one thread"


def measure(method: str, n_cells: int) -> dict:
    """Embed one section by one method."""
    width = (n_cells / DENSITY) ** 0.5
    section = simulate("s", donor="d", n_cells=n_cells, width_um=width, height_um=width, n_genes=GENES, seed=0)
    models = []
    if method.startswith("gest"):
        vocabulary = fit_sections([section], {"n_metacells": min(METACELLS, n_cells // 20)})
        models = [default_model(vocabulary=vocabulary).eval().to("cuda" if torch.cuda.is_available() else "cpu")]
    if method == ONE_THREAD:
        torch.set_num_threads(1)
        models = [model.cpu() for model in models]
    (embedding,) = represent(
        section,
        method.partition(",")[0],
        seeds=[0],
        models=models,
        levels=["region"],
        windows=[600.0],
        organism="simulated",
    )
    return {"seconds": embedding.seconds, "peak_mb": embedding.peak_mb, "status": embedding.status}


def rows_of_others(methods: Sequence[str], path: Path) -> list[dict]:
    """Read the rows of an earlier run that belong to other methods."""
    earlier = pd.read_csv(path) if path.exists() else pd.DataFrame({"method": []})
    return earlier[~earlier["method"].isin(methods)].to_dict("records")


def main() -> None:
    """Measure every method at every size, each in a separate process."""
    parser = options(__doc__)
    parser.add_argument("--cells", type=int, nargs="+", default=[1000, 3000, 10_000], help="sizes of the section")
    parser.add_argument(
        "--methods", nargs="+", default=["gest", ONE_THREAD, *PACKAGED], help="methods to measure (default: all)"
    )
    parser.add_argument("--limit", type=float, default=180, help="minutes that a method may take (default: 180)")
    parser.add_argument("--part", nargs=2, metavar=("METHOD", "CELLS"), help="measure one method only")
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(measure(arguments.part[0], int(arguments.part[1]))))
        return
    rows = rows_of_others(arguments.methods, results(arguments.quick) / "packaged.csv")
    for method in arguments.methods:
        python = environment_python(method) if method in PACKAGED else Path()
        status = "ok"
        for n in [200] if arguments.quick else arguments.cells:
            if not python.exists():
                status = f"not measured: {python} is missing"
            elif status == "ok":
                result = in_process(__file__, "--part", method, n, limit=60 * arguments.limit)
                status = result["status"]
            else:
                status, result = f"not tried after {rows[-1]['cells']:,} cells", {}
            seconds, peak = (result.get(key) if python.exists() else None for key in ("seconds", "peak_mb"))
            speed = {"method": method, "cells": n, "seconds": seconds, "cells_per_s": seconds and n / seconds}
            memory = {"peak_mb": peak, "machine_mb": machine_memory_mb()}
            rows.append(speed | memory | {"status": status} | machine(torch.device("cpu")))
        write("packaged", rows, quick=arguments.quick)  # after every method, since all together take hours


if __name__ == "__main__":
    main()
