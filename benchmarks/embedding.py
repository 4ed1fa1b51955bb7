"""Time zero-shot embedding against the training graph, also in bfloat16.

All cells lie in a square of 300 µm, so every niche of 600 µm holds all of them: 676, as many as a training window. The
training graph runs both streams of Eq. 6 without gradients; only its last output is read.

    python benchmarks/embedding.py
"""

import numpy as np
import torch
from inputs import default_model, random_section
from measuring import devices, has_bfloat16, machine, options, ratio, turns, write
from reference import check_equal, largest_error

from gest import GeST
from gest.tasks.embed import embed_tokens
from gest.tasks.niches import Niches
from gest.windows import Tokens

CELLS, SIDE, BATCH = 676, 300.0, 16
TOLERANCE = 1e-4


@torch.no_grad()
def training_graph(model: GeST, section: Tokens) -> np.ndarray:
    """Embed every cell with the training graph (`GeST.niche`): (n, D)."""
    niches, rows = Niches(section, model.config), []
    for cells in np.array_split(np.arange(len(section.xy)), -(-len(section.xy) // BATCH)):
        tokens, bins, lengths = niches.batch(cells, model.device)
        rows.append(model.niche(tokens, bins, lengths)[torch.arange(len(cells)), lengths - 1].float().cpu())
    return torch.cat(rows).numpy()


def embed_in_bfloat16(model: GeST, section: Tokens) -> np.ndarray:
    """Embed in bfloat16."""
    with torch.autocast(model.device.type, torch.bfloat16):
        return embed_tokens(model, section)


def measure(device: torch.device, n_cells: int, repeats: int) -> list[dict]:
    """Time the paths in turn.

    `error` is the largest relative difference from the training graph, `cosine` the lowest cosine similarity with it.
    """
    model = default_model().to(device).eval()
    section = random_section(n_cells, density=n_cells / SIDE**2)
    works = {
        "training graph": lambda: training_graph(model, section),
        "gest": lambda: embed_tokens(model, section),
    }
    if has_bfloat16(device):
        works["gest, bfloat16"] = lambda: embed_in_bfloat16(model, section)
    expected = works["training graph"]()
    times, rows = turns(works, repeats), []
    for name, taken in times.items():
        embedded = works[name]()
        error = largest_error([torch.from_numpy(embedded)], [torch.from_numpy(expected)])
        if name == "gest":
            check_equal("embedding", error, TOLERANCE)
        norms = np.linalg.norm(embedded, axis=1) * np.linalg.norm(expected, axis=1)
        cosine = (embedded * expected).sum(1) / norms
        faster = ratio(times["training graph"], taken)
        speed = {"path": name, "niche_cells": n_cells, "cells_per_s": n_cells / np.median(taken)}
        spread = {"speedup": faster.median, "speedup_low": faster.low, "speedup_high": faster.high}
        rows.append({**speed, **spread, "error": error, "cosine": cosine.min(), **machine(device)})
    return rows


def main() -> None:
    """Measure on every device."""
    arguments = options(__doc__).parse_args()
    size = (64, 2) if arguments.quick else (CELLS, 7)  # seven rounds, since they differ by a tenth
    write("embedding", [row for device in devices() for row in measure(device, *size)], quick=arguments.quick)


if __name__ == "__main__":
    main()
