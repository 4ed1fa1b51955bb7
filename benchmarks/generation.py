"""Generating a square of unseen cells with the default model: time, windows and memory, and their growth with its side.

``python benchmarks/generation.py --side 450 900`` hides a square of each side (µm) in a simulated section of 1,850
cells per mm² and 1,122 genes, and generates its cells in weighted mode. The weights are not trained: they do not change
the work. Each side runs in a process of its own, whose peak resident memory the kernel tells.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time

from measuring import keep, processor

DENSITY = 1.85e-3  # cells per µm², as in the paper's sections
N_GENES, N_METACELLS = 1122, 500  # K is bound by a twentieth of the smallest section's cells
MARGIN = 450  # µm of seen tissue around the square


def measure(side: float) -> dict[str, float]:
    """Generate one square; what it took."""
    import numpy as np
    import torch

    from gest import GeST, generate
    from gest.sources.simulate import simulate
    from gest.vocabulary import fit_sections

    torch.manual_seed(0)
    width = side + 2 * MARGIN
    section = simulate(
        "s", donor="d", n_cells=int(DENSITY * width**2), width_um=width, height_um=width, n_genes=N_GENES, seed=0
    )
    vocabulary = fit_sections([section], {"n_metacells": min(N_METACELLS, section.n_obs // 20)})
    model = GeST(None, vocabulary).eval()
    unseen = (np.abs(section.obsm["spatial"] - width / 2) <= side / 2).all(axis=1)
    counted = sys.modules["gest.generate"]
    windows, find = [], counted._reference_windows

    def counting(*arguments: object, **settings: object) -> list:
        windows.append(find(*arguments, **settings))
        return windows[-1]

    counted._reference_windows = counting
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    generate(section, model, unseen=unseen, mode="weighted")
    seconds = time.perf_counter() - start
    n_windows = sum(map(len, windows))
    seen = [len(window.seen) for found in windows for window in found]
    return {
        "side_um": side,
        "unseen_cells": int(unseen.sum()),
        "rounds": int(section.obs["gest_round"].max()),
        "windows": n_windows,
        "mean_seen_per_window": round(float(np.mean(seen)), 1),
        "seconds": round(seconds, 1),
        "cells_per_s": round(unseen.sum() / seconds, 2),
        "windows_per_s": round(n_windows / seconds, 2),
        "peak_mb_before": round(before / 1024),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    """Measure each side in a process of its own, and add one line to the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=float, nargs="+", default=[450, 900], help="sides of the square, µm")
    parser.add_argument("--part", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(measure(arguments.side[0])))
        return
    runs = []
    for side in arguments.side:
        command = [sys.executable, __file__, "--part", "--side", str(side)]
        runs.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1]))
    about = {"benchmark": "generation", "machine": processor(), "cores": os.cpu_count(), "genes": N_GENES, "runs": runs}
    keep(about)


if __name__ == "__main__":
    main()
