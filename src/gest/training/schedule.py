"""How long a training goes on: for so many steps, or until it has predicted so many cells.

Models are compared at the same number of target cells (section 5), which windows of different sizes reach in different
numbers of steps.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from gest.config import PretrainingConfig

# Of a budget of cells: the part that is warm-up, as 500 of the paper's run's 20,000 steps are; and looks at the
# validation sections, so that every model has as many chances to keep its best weights.
_WARM_UP = 40
_LOOKS = 20


class Budget:
    """What of a training depends on its length; a function of the step and of the cells predicted so far alone.

    Parameters
    ----------
    plan
        With `target_cells` cells are counted, and `steps`, `warmup_steps` and `validate_every` are not read.
    """

    def __init__(self, plan: PretrainingConfig) -> None:
        self.plan = plan
        self.target = plan.target_cells

    def rate(self, step: int, cells: int) -> float:
        """Share of the peak learning rate at a step, with which so many cells will have been predicted."""
        if not self.target:
            return schedule(step, self.plan.warmup_steps, self.plan.steps)
        return schedule(cells, self.target // _WARM_UP, self.target)

    def trim(self, lengths: Tensor, cells: int) -> Tensor:
        """Shorten the windows (B,) of the last batch, so that the budget is met to the cell."""
        if not self.target:
            return lengths
        spent = (lengths - 1).cumsum(0).clamp(max=self.target - cells)
        return torch.diff(spent, prepend=spent.new_zeros(1)) + 1

    def ends(self, step: int, cells: int) -> bool:
        """Whether this step, after which so many cells were predicted, was the last."""
        return cells >= self.target if self.target else step >= self.plan.steps

    def looks(self, step: int, before: int, cells: int) -> bool:
        """Whether the validation sections are looked at after this step, which began at `before` cells."""
        if not self.target:
            return step % self.plan.validate_every == 0 or self.ends(step, cells)
        return before * _LOOKS // self.target < cells * _LOOKS // self.target


def schedule(step: int, warmup: int, steps: int) -> float:
    """Linear warm-up, then half a cosine to zero."""
    if step <= warmup:
        return step / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))
