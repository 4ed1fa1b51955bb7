"""Extrapolate the hours of the paper's full run from measured rates.

One mouse is for training, the other for testing.
"""

import numpy as np
import pandas as pd
from inputs import DENSITY

TRAINING_CELLS, TEST_CELLS, TEST_SECTIONS = 2_839_984, 1_227_408, 66
TARGET_CELLS = 168_000_000  # predicted in the configuration's 20,000 steps of 16 windows
CROPS, SIDES, WINDOW = 5, (300.0, 900.0), 600.0  # per test section; µm
VARIANTS = 3  # scored for every prediction
NODE = 64  # cores of a CPU node
PAPER_GPU_HOURS = 4 * 3  # four A800 for three hours


def windows_of_hole(side: float, window: float = WINDOW) -> float:
    """Count the windows that generate a square hole.

    In every round, each seen cell within half a window of the hole has one window; then the hole shrinks by half a
    window on each side.
    """
    sides = np.arange(side, 0, -window)
    return float(DENSITY * ((sides + window) ** 2 - sides**2).sum())


def hours(tables: dict[str, pd.DataFrame]) -> list[dict]:
    """Compute the hours of every stage.

    Parameters
    ----------
    tables
        The benchmarks' results by name; the hours of a stage whose result is missing are NaN.

    Returns
    -------
    One row per stage: `stage`, `work` as text, and hours on this machine (`cpu`), on a node of `NODE` cores (`node`),
    on one GPU (`gpu`) and on four (`gpus`). The hours on a node and on four GPUs assume perfect scaling. GPU hours are
    NaN if a stage does not run on a GPU.
    """
    sides = np.linspace(*SIDES, 61)
    n_windows = TEST_SECTIONS * CROPS * np.mean([windows_of_hole(side) for side in sides])
    unseen = TEST_SECTIONS * CROPS * DENSITY * np.mean(sides**2)
    all_cells = TRAINING_CELLS + TEST_CELLS
    step = ("step", {"path": "gest"}, "cells_per_s")
    embedding = ("embedding", {"path": "gest"}, "cells_per_s")
    generation = ("generation", {"window": WINDOW}, "windows_per_s")

    def growth(stage: str) -> tuple[str, dict, str]:
        return "growth", {"stage": stage}, "cells_per_s"

    stages = (
        ("import", all_cells, "cells of both mice", growth("import"), False),
        ("vocabulary", TRAINING_CELLS, "training cells", growth("vocabulary"), False),
        ("tokens", all_cells, "cells", growth("tokenise"), False),
        ("pre-training", TARGET_CELLS, "target cells", step, True),
        ("generation, one seed", n_windows, f"windows of {TEST_SECTIONS * CROPS} crops", generation, True),
        ("embedding, one seed", TEST_CELLS, "niches of 676 cells", embedding, True),
        ("scores of one method", VARIANTS * unseen, "predicted cells", growth("scoring"), False),
    )
    rows = []
    for stage, amount, unit, source, on_gpu in stages:
        cpu, cores = rate(tables, *source, gpu=False)
        gpu = rate(tables, *source, gpu=True)[0] if on_gpu else np.nan
        cpu_hours, gpu_hours = amount / cpu / 3600, amount / gpu / 3600
        times = {"cpu": cpu_hours, "node": cpu_hours * cores / NODE, "gpu": gpu_hours, "gpus": gpu_hours / 4}
        rows.append({"stage": stage, "work": f"{amount:,.0f} {unit}", "runs_on_gpu": on_gpu, **times})
    return rows


def rate(
    tables: dict[str, pd.DataFrame], name: str, where: dict[str, object], column: str, *, gpu: bool
) -> tuple[float, float]:
    """Look up a rate and the cores it was measured on; NaN if there is none.

    Of several rates, the last one is returned, which is that of the most cells.
    """
    if name not in tables:
        return np.nan, np.nan
    table = tables[name]
    chosen = table[(table["device"] != "cpu") == gpu]
    for key, value in where.items():
        chosen = chosen[chosen[key] == value]
    if chosen.empty:
        return np.nan, np.nan
    last = chosen.iloc[-1]
    return float(last[column]), float(last["cores"])
