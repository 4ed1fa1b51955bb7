"""The state of a training, which a checkpoint stores and a resumed run restores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from gest.model import GeST


@dataclass(kw_only=True)
class TrainingState:
    """Weights, optimiser and history of a training after a step."""

    model: GeST
    optimiser: torch.optim.Optimizer
    step: int = 0
    """Steps done."""
    cells: int = 0
    """Target cells predicted so far."""
    log: list[dict[str, Any]] = field(default_factory=list)
    """A row for every validation (`gest.training.reporting`)."""
    best: dict[str, Any] | None = None
    """The weights (`model`) of the lowest validation `loss`, and their `step`; without validation, the newest."""

    def to_dict(self) -> dict[str, Any]:
        """Return the state as a checkpoint stores it (`gest.training.checkpoint`)."""
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "log": self.log,
            "cells": self.cells,
            "kept": self.best,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Restore the state that `to_dict` returned."""
        self.model.load_state_dict(saved["model"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.step, self.cells = saved["step"], saved["cells"]
        self.log, self.best = saved["log"], saved["kept"]

    def keep_if_best(self, validation_loss: float | None) -> None:
        """Keep the weights if no earlier validation loss is lower, or without validation."""
        if validation_loss is None or self.best is None or validation_loss <= self.best["loss"]:
            weights = {name: w.detach().cpu().clone() for name, w in self.model.state_dict().items()}
            self.best = {"step": self.step, "loss": validation_loss, "model": weights}
