"""Generation: its cost against the number of unseen cells, and how much of what is computed is padding.

Square holes of one size lie far apart in a section of 1,850 cells per mm², 1, 3 and 9 of them: as many times the
unseen cells, and as many times the windows. These are generated with windows of 400 µm, to be done in minutes; the
default of 600 µm is measured on one hole. Padding is counted in tokens, seen cells and targets together, which pass
through the same layers.

    python benchmarks/generation.py
"""

import json
import time
from typing import NamedTuple

import numpy as np
import torch
from inputs import DENSITY, METACELLS, default_model
from measuring import devices, done, in_process, machine, memory_mb, options, write

from gest import GeST
from gest.tasks.generation.rounds import Generated, generate_tokens


class Case(NamedTuple):
    """Holes in a section; all lengths in µm."""

    window: float
    side: float
    holes: int


CASES = (Case(400, 200, 1), Case(400, 200, 3), Case(400, 200, 9), Case(600, 450, 1))


def section(case: Case, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scatter cells xy (n, 2) over a row of tiles with a hole in each; tokens (n,) are −1 in the holes."""
    tile = case.side + 2 * case.window  # no window reaches two holes
    rng = np.random.default_rng(seed)
    xy = rng.random((round(DENSITY * tile**2 * case.holes), 2)) * (tile * case.holes, tile)
    hidden = (np.abs(xy - (np.floor(xy / tile) + 0.5) * tile) <= case.side / 2).all(1)
    return xy, np.where(hidden, -1, rng.integers(METACELLS, size=len(xy)))


class Counter:
    """Counts the windows that a model runs, and the tokens in their batches."""

    def __init__(self, model: GeST) -> None:
        self.predict = model.predict
        self.windows = self.seen = self.padded = 0
        model.predict = self

    def __call__(self, tokens: torch.Tensor, bins: torch.Tensor, n_seen: torch.Tensor, places: torch.Tensor):  # noqa: ANN204
        """Predict, and count."""
        self.windows += len(tokens)
        self.seen += int(n_seen.sum())
        self.padded += tokens.numel() + places[..., 0].numel()
        return self.predict(tokens, bins, n_seen, places)

    def waste(self, made: Generated) -> float:
        """Share of the tokens that were padding: a window's targets are the estimates that it gave."""
        return 1 - (self.seen + int(made.estimates.sum())) / self.padded


def measure(case: Case, device: torch.device) -> dict:
    """Generate the holes of one section."""
    model = default_model({"window": case.window}).to(device).eval()
    xy, tokens = section(case)
    before, counted = memory_mb(), Counter(model)
    start = time.perf_counter()
    made = generate_tokens(model, xy, tokens)
    seconds, unseen = time.perf_counter() - start, len(made.rounds)
    about = {"windows": counted.windows, "seconds": seconds, "windows_per_s": counted.windows / seconds}
    waste = {"padding_waste": counted.waste(made), "mean_seen": counted.seen / counted.windows}
    peak = {"peak_mb_before": before, "peak_mb": memory_mb()}
    return {"unseen_cells": unseen, "rounds": int(made.rounds.max()), **about, **waste, **peak}


def main() -> None:
    """Measure every case in a process of its own."""
    parser = options(__doc__)
    parser.add_argument("--part", nargs=2, metavar=("CASE", "DEVICE"), help="measure one alone")
    given = parser.parse_args()
    if given.part:
        case, device = given.part
        print(json.dumps(measure(Case(*json.loads(case)), torch.device(device))))
        return
    rows = []
    for device in devices():
        for case in [Case(100, 50, holes) for holes in (1, 2)] if given.quick else CASES:
            found = done(in_process(__file__, "--part", json.dumps(case), device.type), f"generation, {case}")
            rows.append({**case._asdict(), **found, **machine(device)})
    write("generation", rows, quick=given.quick)


if __name__ == "__main__":
    main()
