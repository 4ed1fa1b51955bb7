"""List the goals on the CPU, and check which the results of the benchmarks reach."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

Tables = dict[str, pd.DataFrame]
"""Results by name of the benchmark; a benchmark that was not run is missing."""


class Goal(NamedTuple):
    """A bound, and the measured value."""

    what: str
    least: bool
    """Whether the bound is a minimum."""
    bound: float
    reached: float
    """NaN if it was not measured."""

    @property
    def met(self) -> bool | None:
        """Return whether the goal is reached; None if it was not measured."""
        if np.isnan(self.reached):
            return None
        return self.reached >= self.bound if self.least else self.reached <= self.bound


def get(tables: Tables, name: str) -> pd.DataFrame:
    """Return a result, or an empty table if it is missing."""
    return tables.get(name, pd.DataFrame())


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """Fit the slope on a log-log scale: 1 is linear growth, 2 quadratic."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def goals(tables: Tables) -> list[Goal]:
    """List every goal with the measured value."""

    def largest(name: str, column: str, **where: object) -> float:
        rows = get(tables, name)
        for key, value in where.items():
            rows = rows[rows[key] == value] if len(rows) else rows
        return float(rows[column].max()) if len(rows) else np.nan

    cpu = {"device": "cpu"}
    dense, plain = {"path": "dense mask"} | cpu, {"path": "written out"} | cpu
    memory, loop = get(tables, "attention_memory"), get(tables, "loop")
    gest_memory = memory[(memory["path"] == "gest") & (memory["device"] == "cpu")] if len(memory) else memory
    return [
        Goal("attention against the dense mask, L = 675", True, 2, largest("attention", "ratio", L=675, **dense)),
        Goal("attention against the dense mask, L = 1200", True, 3, largest("attention", "ratio", L=1200, **dense)),
        Goal(
            "its memory: power of L",
            False,
            1.1,
            exponent(gest_memory["L"], gest_memory["mb"]) if len(gest_memory) > 1 else np.nan,
        ),
        Goal("training step against the dense mask", True, 2, largest("step", "ratio", **dense)),
        Goal("training step against the softmax written out", True, 10, largest("step", "ratio", **plain)),
        Goal(
            "share of the loop around the step",
            False,
            0.05,
            loop.loc[(loop["part"] != "step") & (loop["device"] == "cpu"), "share"].sum(min_count=1)
            if len(loop)
            else np.nan,
        ),
        Goal(
            "zero-shot embedding against the training graph",
            True,
            1.8,
            largest("embedding", "speedup", path="gest", **cpu),
        ),
        Goal("padding in generation, most", False, 0.15, largest("generation", "padding_waste", **cpu)),
        Goal("dry run of the paper's configuration, s", False, 15, largest("dag", "dry_run_s")),
    ]
