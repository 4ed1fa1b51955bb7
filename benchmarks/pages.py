"""Huge pages: a training step and zero-shot embedding with the memory that `gest` asks for, and with ordinary pages.

A process takes them up when it starts, so that each kind has its own; the two kinds take turns. Only Linux with glibc,
and a system that gives huge pages for the asking, knows a difference.

    python benchmarks/pages.py
"""

import argparse
import json
import os

import numpy as np
import torch
from embedding import SIDE
from inputs import default_model, random_section, random_windows
from measuring import in_process, machine, options, ratio, seconds, write
from step import LENGTH, WINDOWS, step

from gest.__main__ import HUGE_PAGES, TUNABLES
from gest.niche import embed_tokens
from gest.objective import window_losses

KINDS = {"ordinary": 0, "huge": 1}


def measure(length: int) -> dict[str, float]:
    """Time one step, the median of three after one that does not count, and the embedding of a window's cells."""
    model = default_model()
    batch = random_windows(model, WINDOWS, length)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.0, fused=True)
    steps = [seconds(lambda: step(lambda: window_losses(model, *batch), model, optimiser)) for _ in range(4)]
    section = random_section(length, density=length / SIDE**2)
    return {
        "training step": float(np.median(steps[1:])),
        "embedding": seconds(lambda: embed_tokens(model.eval(), section)),
    }


def main() -> None:
    """Compare them in rounds."""
    parser = options(__doc__)
    parser.add_argument("--part", type=int, metavar="CELLS", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        print(json.dumps(measure(given.part)))
        return
    length, rounds = (65, 2) if given.quick else (LENGTH, 4)
    found = {kind: [] for kind in KINDS}
    for _ in range(rounds):
        for kind, number in KINDS.items():
            os.environ[TUNABLES] = f"{HUGE_PAGES}={number}"
            found[kind].append(in_process(__file__, "--part", length))
    rows = []
    for work in ("training step", "embedding"):
        taken = {kind: np.array([one[work] for one in parts]) for kind, parts in found.items()}
        of = ratio(taken["ordinary"], taken["huge"])
        medians = {f"{kind}_s": np.median(one) for kind, one in taken.items()}
        spread = {"ratio": of.median, "ratio_low": of.low, "ratio_high": of.high}
        rows.append({"work": work, **medians, **spread, **machine(torch.device("cpu"))})
    write("pages", rows, quick=given.quick)


if __name__ == "__main__":
    main()
