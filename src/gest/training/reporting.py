"""Report on a training: its plan, a progress bar with throughput, and `log.csv`."""

from __future__ import annotations

import csv
import io
import sys
import time
from collections.abc import Sequence
from typing import Any, Self

from gest.model import GeST
from gest.training.schedule import Schedule
from gest.training.state import TrainingState
from gest.utils.progress import progress
from gest.windows import Tokens

_COLUMNS = (
    "step",
    "learning_rate",
    "loss",
    "loss_metacell",
    "validation_loss",
    "validation_metacell",
    "cells",
    "cells_per_second",
)
_FIRST_REPORT = 20  # the throughput is printed after this many steps


def describe_training(model: GeST, training: Sequence[Tokens], held_out: Sequence[Tokens]) -> str:
    """Describe a training in one line: its length, data and number of parameters."""
    plan = model.config.pretraining
    length = f"{plan.target_cells:,} target cells" if plan.target_cells else f"{plan.steps:,} steps"
    return (
        f"{length}, {plan.batch_size} windows of {model.config.window:g} µm per step; training sections: "
        f"{len(training)} ({count_cells(training):,} cells), held out: {len(held_out)} "
        f"({count_cells(held_out):,} cells); {sum(p.numel() for p in model.parameters()):,} parameters"
    )


def count_cells(sections: Sequence[Tokens]) -> int:
    """Count the cells of all sections."""
    return sum(len(section.xy) for section in sections)


class Reporter:
    """The progress bar of a run; use as a context.

    Parameters
    ----------
    state
        The state of the run. Throughput counts only the cells and steps after this state, not those of an earlier run.
    visible
        Whether this process shows the bar and prints.
    """

    def __init__(self, state: TrainingState, schedule: Schedule, *, visible: bool) -> None:
        self.state, self.schedule, self.visible = state, schedule, visible
        self.first_step, self.first_cells = state.step, state.cells

    def __enter__(self) -> Self:
        if self.schedule.target_cells:
            total, initial, unit = self.schedule.target_cells, self.state.cells, "cell"
        else:
            total, initial, unit = self.schedule.plan.steps, self.state.step, "step"
        self.bar = progress(total, unit, "training", initial=initial, disable=not self.visible)
        self.started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def cells_per_second(self) -> float:
        """Compute the number of target cells per second since the run started."""
        return (self.state.cells - self.first_cells) / (time.perf_counter() - self.started)

    def advance(self, cells: int) -> None:
        """Advance the bar by a step with this many target cells."""
        self.bar.update(cells if self.schedule.target_cells else 1)
        if self.visible and self.state.step == self.first_step + _FIRST_REPORT:
            device = self.state.model.device
            message = f"pretrain: {self.cells_per_second():,.0f} cells/s on {device} after {_FIRST_REPORT} steps"
            self.bar.write(message, file=sys.stderr)

    def show(self, row: dict[str, Any]) -> None:
        """Show the losses of a row of the log beside the bar."""
        text = f"loss {row['loss']:.4f}"
        if row["validation_loss"] is not None:
            text += f", validation {row['validation_loss']:.4f}"
        self.bar.set_postfix_str(f"{text}, {row['cells_per_second']:,} cells/s")


def log_table(log: list[dict[str, Any]]) -> bytes:
    """Format the rows of a log as the content of `log.csv`."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _COLUMNS)
    writer.writeheader()
    writer.writerows(log)
    return text.getvalue().encode()
