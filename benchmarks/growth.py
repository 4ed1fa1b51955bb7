"""Measure time and memory of every stage at 10⁴, 10⁵ and 10⁶ cells.

A stage that would take hours on all cells runs on a part of them, whose number is `done`; the seconds are extrapolated
to all cells at the measured rate. Each stage and size runs in a separate process.

    python benchmarks/growth.py --stages embedding scoring --cells 10000
"""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import abc_reader
import anndata as ad
import numpy as np
import pandas as pd
import torch
import vocabulary
from inputs import DENSITY, GENES, default_model, random_section
from measuring import in_process, machine, memory_mb, options, write
from scipy.sparse import csr_matrix

from gest.data.tokenize import tokenize
from gest.paper.scores.generation import score_predictions
from gest.sections import read_section
from gest.tasks.generation.rounds import generate_tokens
from gest.tasks.niches import Niches
from gest.training.batches import Windows
from gest.vocabulary import Vocabulary

SECTION = 20_000  # cells of a section, about what the paper's have
STEPS, WINDOWS = 20, 16
NICHES = 48
HOLE = 300.0  # µm
SCORED = 5  # sections at most
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

Done = dict[str, float]
"""`done`, the number of cells, and the `seconds` that they took."""


def importing(n_cells: int, folder: Path) -> Done:
    """Read the upstream files and write the sections."""
    return abc_reader.read_and_write(folder)


def fitting(n_cells: int, folder: Path) -> Done:
    """Fit the vocabulary."""
    fitted = vocabulary.fit(folder)
    return {"done": fitted["cells"], "seconds": fitted["seconds"]}


def tokenising(n_cells: int, folder: Path) -> Done:
    """Read and tokenise every section."""
    fitted, start = Vocabulary.load(folder / "vocabulary.npz"), time.perf_counter()
    done = sum(len(tokenize(read_section(path), fitted).tokens) for path in vocabulary.files(folder))
    return {"done": done, "seconds": time.perf_counter() - start}


def training_data(n_cells: int, folder: Path) -> Done:
    """Draw the windows of some training steps; `done` counts their target cells."""
    sizes = [min(SECTION, n_cells - start) for start in range(0, n_cells, SECTION)]
    sections = [random_section(n, seed=i) for i, n in enumerate(sizes)]
    windows = Windows(sections, default_model().config, seed=0)
    start = time.perf_counter()
    done = sum(int((windows.batch(step, range(WINDOWS), DEVICE)[2] - 1).sum()) for step in range(STEPS))
    return {"done": done, "seconds": time.perf_counter() - start}


@torch.no_grad()
def embedding(n_cells: int, folder: Path) -> Done:
    """Embed some niches of a section of `n_cells`, as `embed_tokens` does."""
    model = default_model().to(DEVICE).eval()
    niches = Niches(random_section(n_cells), model.config)
    chosen = np.random.default_rng(0).choice(n_cells, min(NICHES, n_cells), replace=False)
    start = time.perf_counter()
    for cells in niches.split_by_size(chosen, 16):
        tokens, bins, lengths = niches.batch(cells, DEVICE)
        model.norm(model.context(tokens, bins, lengths, bins[:, :1])).float().cpu()
    return {"done": len(chosen), "seconds": time.perf_counter() - start}


def generating(n_cells: int, folder: Path) -> Done:
    """Generate a hole in the middle of a section of `n_cells`."""
    model, section = default_model().to(DEVICE).eval(), random_section(n_cells)
    middle = (n_cells / DENSITY) ** 0.5 / 2
    hidden = (np.abs(section.xy - middle) <= HOLE / 2).all(1)
    start = time.perf_counter()
    generate_tokens(model, section.xy, np.where(hidden, -1, section.tokens))
    return {"done": int(hidden.sum()), "seconds": time.perf_counter() - start}


def scoring(n_cells: int, folder: Path) -> Done:
    """Score one prediction of every cell, with five crops per section."""
    done, taken = 0, 0.0
    for i, first in enumerate(range(0, n_cells, SECTION)[:SCORED]):
        n, rng = min(SECTION, n_cells - first), np.random.default_rng(i)
        genes, cells = [f"gene_{j}" for j in range(GENES)], [f"c{j}" for j in range(n)]
        truth = csr_matrix(np.log1p(rng.poisson(0.2, (n, GENES)).astype(np.float32)))
        section = ad.AnnData(truth, obs=pd.DataFrame({"section": "s"}, index=cells))
        obs = pd.DataFrame({"crop": np.arange(n) * 5 // n, "cell": cells}, index=cells)
        predictions = ad.AnnData(
            obs=obs.assign(crop=obs["crop"].astype(str), model_seed=0, seed=0, failed=""),
            var=pd.DataFrame(index=genes),
            layers={"weighted": rng.random((n, GENES), dtype=np.float32)},
            uns={"gest": {"method": "gest"}},
        )
        svg = pd.DataFrame({"gene": genes, "rank": np.arange(GENES) + 1})
        start = time.perf_counter()
        score_predictions(predictions, section, truth, svg, run="r", dataset="d", top=200)
        done, taken = done + n, taken + time.perf_counter() - start
    return {"done": done, "seconds": taken}


STAGES: dict[str, Callable[[int, Path], Done]] = {
    "import": importing,
    "vocabulary": fitting,
    "tokenise": tokenising,
    "training data": training_data,
    "embedding": embedding,
    "generation": generating,
    "scoring": scoring,
}
FILES = {"import": "atlas", "vocabulary": "sections", "tokenise": "sections"}
"""The folder of files that a stage reads."""


def row(stage: str, n_cells: int, result: dict) -> dict:
    """Make a row of the results; the time of a part is scaled to all cells."""
    labels = {"stage": stage, "cells": n_cells, "status": result["status"]}
    if result["status"] != "ok":
        return labels
    done, taken = result["done"], result["seconds"]
    rate = {"seconds": taken * n_cells / done, "cells_per_s": done / taken}
    return labels | {"done": done, **rate, "peak_mb": result["peak_mb"], "extrapolated": done < n_cells}


def main() -> None:
    """Run every stage at every size."""
    parser = options(__doc__)
    parser.add_argument("--cells", type=int, nargs="+", default=[10**4, 10**5, 10**6], help="numbers of cells")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES), help="stages (default: all)")
    parser.add_argument("--part", nargs=3, metavar=("STAGE", "CELLS", "FOLDER"), help="run one stage only")
    arguments = parser.parse_args()
    if arguments.part:
        stage, n_cells, folder = arguments.part
        result = STAGES[stage](int(n_cells), Path(folder))
        print(json.dumps(result | {"peak_mb": memory_mb()}))
        return
    rows = []
    if arguments.quick:  # a window is as large in a small section; `generation.py --quick` has smaller ones
        arguments.cells, arguments.stages = [1000], [stage for stage in arguments.stages if stage != "generation"]
    for n_cells in arguments.cells:
        with tempfile.TemporaryDirectory() as parent:
            folders = {name: Path(parent, name) for name in ("atlas", "sections")}
            if "import" in arguments.stages:
                abc_reader.make(folders["atlas"], n_cells)
            if {"vocabulary", "tokenise"} & set(arguments.stages):
                vocabulary.make(folders["sections"], n_cells)
            for stage in arguments.stages:
                result = in_process(__file__, "--part", stage, n_cells, folders.get(FILES.get(stage), parent))
                device = machine(DEVICE if stage in ("embedding", "generation") else torch.device("cpu"))
                rows.append(row(stage, n_cells, result) | device)
                print(f"{stage}, {n_cells:,} cells: {rows[-1]['status']}", flush=True)
        write("growth", rows, quick=arguments.quick)  # after every size, so that an interrupted run keeps its results


if __name__ == "__main__":
    main()
