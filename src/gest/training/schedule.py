"""The schedule of a training: learning rate, validations, and end.

A training ends after a number of steps, or once it has predicted a number of target cells: models are compared at the
same number of target cells (section 5), which windows of different sizes reach in different numbers of steps.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gest.config import PretrainingConfig

# Of a training of `target_cells`: one part in 40 is warm-up, as in the paper's run (500 of 20,000 steps), and every
# model validates equally often, so that all have as many chances to keep their best weights.
_WARM_UP_PARTS = 40
_VALIDATIONS = 20


class Schedule:
    """The schedule, as pure functions of the step and the target cells predicted.

    Parameters
    ----------
    plan
        With `target_cells` above 0, `steps`, `warmup_steps` and `validate_every` are not used.
    """

    def __init__(self, plan: PretrainingConfig) -> None:
        self.plan = plan
        self.target_cells = plan.target_cells

    def rate(self, step: int, cells: int) -> float:
        """Return the share of the peak learning rate; `cells` include those of the step."""
        if not self.target_cells:
            return warmup_cosine(step, self.plan.warmup_steps, self.plan.steps)
        return warmup_cosine(cells, self.target_cells // _WARM_UP_PARTS, self.target_cells)

    def trim(self, lengths: Tensor, cells: int) -> Tensor:
        """Shorten the windows (B,) of the last batch to meet `target_cells` exactly."""
        if not self.target_cells:
            return lengths
        spent = (lengths - 1).cumsum(0).clamp(max=self.target_cells - cells)
        return torch.diff(spent, prepend=spent.new_zeros(1)) + 1

    def is_finished(self, step: int, cells: int) -> bool:
        """Return whether training ends after this step and these target cells."""
        return cells >= self.target_cells if self.target_cells else step >= self.plan.steps

    def validates(self, step: int, cells_before: int, cells: int) -> bool:
        """Return whether to validate after this step, which began at `cells_before`."""
        if not self.target_cells:
            return step % self.plan.validate_every == 0 or self.is_finished(step, cells)
        return cells_before * _VALIDATIONS // self.target_cells < cells * _VALIDATIONS // self.target_cells


def warmup_cosine(step: int, warmup: int, steps: int) -> float:
    """Rise linearly from 0 to 1 in the warm-up, then fall as half a cosine to 0."""
    if step <= warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))
