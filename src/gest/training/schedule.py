"""The schedule of a training: learning rate, validations, and end.

A training ends after a number of steps, or once it has predicted a number of target cells. Models are compared at the
same number of target cells (section 5); with windows of different sizes, they need different numbers of steps for it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gest.config import PretrainingConfig

# If `target_cells` sets the length: a fortieth of the training is warm-up, as in the paper's run (500 of 20,000 steps).
# All models validate equally often, so that all have the same number of chances to keep their best weights.
_WARM_UP_PARTS = 40
_VALIDATIONS = 20


class Schedule:
    """Pure functions of the step and of the number of target cells predicted.

    Parameters
    ----------
    plan
        Settings of the training; if `target_cells` is above 0, `steps`, `warmup_steps` and `validate_every` are
        ignored.
    """

    def __init__(self, plan: PretrainingConfig) -> None:
        self.plan = plan
        self.target_cells = plan.target_cells

    def rate(self, step: int, cells: int) -> float:
        """Return the learning rate as a share of its peak; `cells` include this step's."""
        if not self.target_cells:
            return warmup_cosine(step, self.plan.warmup_steps, self.plan.steps)
        return warmup_cosine(cells, self.target_cells // _WARM_UP_PARTS, self.target_cells)

    def trim(self, lengths: Tensor, cells: int) -> Tensor:
        """Shorten the lengths (B,) of the last batch to meet `target_cells` exactly."""
        if not self.target_cells:
            return lengths
        spent = (lengths - 1).cumsum(0).clamp(max=self.target_cells - cells)
        return torch.diff(spent, prepend=spent.new_zeros(1)) + 1

    def is_finished(self, step: int, cells: int) -> bool:
        """Return whether training ends after this step, with `cells` predicted so far."""
        return cells >= self.target_cells if self.target_cells else step >= self.plan.steps

    def validates(self, step: int, cells_before: int, cells: int) -> bool:
        """Return whether to validate after this step, which raised the cells to `cells`."""
        if not self.target_cells:
            return step % self.plan.validate_every == 0 or self.is_finished(step, cells)
        return cells_before * _VALIDATIONS // self.target_cells < cells * _VALIDATIONS // self.target_cells


def warmup_cosine(step: int, warmup: int, steps: int) -> float:
    """Rise linearly from 0 to 1 in the warm-up, then fall as half a cosine to 0."""
    if step <= warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))
