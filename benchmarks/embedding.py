"""Embedding niches with the default model at 600 µm: cells per second, beside what the packaged methods take.

``python benchmarks/embedding.py --cells 1000 3000`` simulates sections of so many cells, 1,850 per mm² and 1,122 genes,
and represents their cells by zero-shot GeST and by every packaged method whose environment is in ``.venvs``, one seed
each, on one thread. GeST's weights are not trained: they do not change the work. The training on the section that the
others cannot do without is in their seconds.
"""

import argparse
import os

from measuring import keep, processor

DENSITY = 1.85e-3  # cells per µm², as in the paper's sections
N_GENES, N_METACELLS = 1122, 1000


def measure(n_cells: int) -> dict[str, dict[str, float]]:
    """Represent one section by every method; what each took."""
    import torch

    from gest import GeST
    from gest.clustering import PACKAGED, represent
    from gest.isolated import ENVIRONMENTS, FOLDER
    from gest.sources.simulate import simulate
    from gest.vocabulary import fit_sections

    torch.manual_seed(0)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    width = (n_cells / DENSITY) ** 0.5
    section = simulate("s", donor="d", n_cells=n_cells, width_um=width, height_um=width, n_genes=N_GENES, seed=0)
    model = GeST(None, fit_sections([section], {"n_metacells": N_METACELLS})).eval()
    packaged = [method for method in PACKAGED if (FOLDER / ENVIRONMENTS[method]).exists()]
    taken = {}
    for method in ("gest", *packaged):
        (made,) = represent(
            *(section, method),
            **{"seeds": [0], "models": [model], "levels": ["region"], "windows": [600.0], "organism": "simulated"},
        )
        taken[method] = {
            "seconds": round(made.seconds, 1),
            "cells_per_s": round(section.n_obs / made.seconds, 1),
            "peak_mb": round(made.peak_mb),
            "status": made.status,
        }
        print(n_cells, method, taken[method], flush=True)
    return taken


def main() -> None:
    """Measure every size, and add one line to the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, nargs="+", default=[1000, 3000], help="sizes of the section")
    arguments = parser.parse_args()
    runs = {str(n): measure(n) for n in arguments.cells}
    threads = os.environ.get("OMP_NUM_THREADS", "1")
    keep({"benchmark": "embedding", "machine": processor(), "cores": os.cpu_count(), "threads": threads, "runs": runs})


if __name__ == "__main__":
    main()
