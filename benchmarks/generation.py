"""Measure the cost of generation against unseen cells, and the share of padding.

1, 3 and 9 square holes of one size lie far apart in a section of 1,850 cells per mm², so unseen cells and windows are
1, 3 and 9 times as many. They are generated with windows of 400 µm, which takes minutes; the default of 600 µm is
measured on one hole. Padding is counted in tokens of seen cells and of targets, because both pass
the same layers.

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
    """Square holes in a section; lengths in µm."""

    window: float
    side: float
    holes: int


CASES = (Case(400, 200, 1), Case(400, 200, 3), Case(400, 200, 9), Case(600, 450, 1))


def section(case: Case, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scatter cells xy (n, 2) over a row of tiles with a hole in each.

    Their tokens (n,) are −1 in the holes.
    """
    tile = case.side + 2 * case.window  # no window reaches two holes
    rng = np.random.default_rng(seed)
    xy = rng.random((round(DENSITY * tile**2 * case.holes), 2)) * (tile * case.holes, tile)
    hidden = (np.abs(xy - (np.floor(xy / tile) + 0.5) * tile) <= case.side / 2).all(1)
    return xy, np.where(hidden, -1, rng.integers(METACELLS, size=len(xy)))


class Counter:
    """Count the windows that a model runs, and the tokens in their batches."""

    def __init__(self, model: GeST) -> None:
        self.predict = model.predict
        self.windows = self.seen = self.padded = 0
        model.predict = self

    def __call__(self, tokens: torch.Tensor, bins: torch.Tensor, n_seen: torch.Tensor, target_bins: torch.Tensor):  # noqa: ANN204
        """Count, then predict."""
        self.windows += len(tokens)
        self.seen += int(n_seen.sum())
        self.padded += tokens.numel() + target_bins[..., 0].numel()
        return self.predict(tokens, bins, n_seen, target_bins)

    def waste(self, generated: Generated) -> float:
        """Compute the share of tokens that were padding.

        Every target of a window that is not padding gives one estimate.
        """
        return 1 - (self.seen + int(generated.estimates.sum())) / self.padded


def measure(case: Case, device: torch.device) -> dict:
    """Generate the holes of one section."""
    model = default_model({"window": case.window}).to(device).eval()
    xy, tokens = section(case)
    memory_before, counter = memory_mb(), Counter(model)
    start = time.perf_counter()
    generated = generate_tokens(model, xy, tokens)
    seconds = time.perf_counter() - start
    return {
        "unseen_cells": len(generated.rounds),
        "rounds": int(generated.rounds.max()),
        "windows": counter.windows,
        "seconds": seconds,
        "windows_per_s": counter.windows / seconds,
        "padding_waste": counter.waste(generated),
        "mean_seen": counter.seen / counter.windows,
        "peak_mb_before": memory_before,
        "peak_mb": memory_mb(),
    }


def main() -> None:
    """Measure every case in a separate process."""
    parser = options(__doc__)
    parser.add_argument("--part", nargs=2, metavar=("CASE", "DEVICE"), help="measure one case only")
    arguments = parser.parse_args()
    if arguments.part:
        case, device = arguments.part
        print(json.dumps(measure(Case(*json.loads(case)), torch.device(device))))
        return
    rows = []
    for device in devices():
        for case in [Case(100, 50, holes) for holes in (1, 2)] if arguments.quick else CASES:
            result = done(in_process(__file__, "--part", json.dumps(case), device.type), f"generation, {case}")
            rows.append({**case._asdict(), **result, **machine(device)})
    write("generation", rows, quick=arguments.quick)


if __name__ == "__main__":
    main()
