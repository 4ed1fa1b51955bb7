"""Fine-tuning an annotator: one plain loop, stopped where held-out cells say so (section 3.5).

What step t trains on is a pure function of (seed, t).
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gest.config import check_type
from gest.errors import UserError
from gest.model import GeST
from gest.tasks.annotation.annotator import POOLS, Annotator
from gest.tasks.annotation.labels import Labelled, draw_labels, hold_out_blocks
from gest.tasks.embed import Niches
from gest.training.batches import padded
from gest.training.loop import parameter_groups
from gest.training.schedule import schedule
from gest.utils.progress import progress

log = logging.getLogger(__name__)

_LOOKED_AT = 64  # held-out niches run together


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an annotator is and how it is fine-tuned."""

    pool: str = "mean"
    """Over the outputs of a niche: `mean` or `max`."""
    steps: int = 500
    """At most; fewer where the loss of the held-out cells stops to fall."""
    batch_size: int = 32
    """Niches per step."""
    learning_rate: float = 1e-3
    """Peak, of AdamW: a tenth of the steps to warm up, then a cosine to zero."""
    class_weights: bool = True
    """Weigh every class by the inverse of its frequency, so that rare ones count as much."""
    validate_every: int = 50
    patience: int = 5
    """Looks at the held-out cells without a lower loss before training stops."""
    held_out_cells: int = 1000
    """At most so many are looked at."""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Take settings by name.

        Raises
        ------
        UserError
            An unknown name, or a value that cannot be.
        """
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(given) - set(known)):
            raise UserError(f"annotation: '{unknown[0]}' is not a setting; those are {', '.join(known)}.")
        for name, value in given.items():
            check_type(value, getattr(cls, name), f"annotation: '{name}'")
        return cls(**given)

    def __post_init__(self) -> None:
        if self.pool not in POOLS:
            raise UserError(f"annotation: 'pool' is '{self.pool}', and must be {' or '.join(POOLS)}.")
        for name in ("steps", "batch_size", "learning_rate", "validate_every", "patience", "held_out_cells"):
            if not (value := vars(self)[name]) > 0:
                raise UserError(f"annotation: '{name}' is {value}, and must be above 0.")


def train_annotator(
    train: Sequence[Labelled],
    model: GeST,
    *,
    label: str,
    validation: Sequence[Labelled] = (),
    settings: Settings,
    seed: int = 0,
) -> Annotator:
    """Fine-tune on all labelled cells; see `fit_annotator`, which reads them out of sections."""
    training, held_out = (train, validation) if validation else hold_out_blocks(train, model.config.window / 2, seed)
    classes = np.unique(np.concatenate([labels[labels != ""] for _, labels in train]))
    if len(classes) < 2:
        found = f"the single class '{classes[0]}'" if len(classes) else "no labelled cell"
        raise UserError(f"annotation: '{label}' has {found} to learn from, where at least two classes are needed.")
    held_out = [one._replace(labels=np.where(np.isin(one.labels, classes), one.labels, "")) for one in held_out]
    held_out_labels = draw_labels([labels for _, labels in held_out], settings.held_out_cells, seed=seed)
    held_out = [one._replace(labels=labels) for one, labels in zip(held_out, held_out_labels, strict=True)]
    targets, looked_at = (_Targets(group, classes, model, seed=seed) for group in (training, held_out))
    if not len(looked_at.codes):
        raise UserError(
            f"annotation: no held-out cell has one of the {len(classes)} classes of '{label}'; give others."
        )
    torch.manual_seed(seed)
    annotator = Annotator(copy.deepcopy(model), classes.tolist(), label=label, pool=settings.pool).to(model.device)
    last = _train(annotator, targets, looked_at, settings, seed=seed)
    annotator.metrics = {
        "seed": seed,
        "training_cells": len(targets.codes),
        "held_out_cells": len(looked_at.codes),
    } | last
    return annotator.eval()


def _train(
    annotator: Annotator, targets: _Targets, held_out: _Targets, plan: Settings, *, seed: int
) -> dict[str, float | int]:
    """Run the loop; the annotator ends with the weights of the lowest held-out loss, of which is told."""
    groups = parameter_groups(annotator, annotator.model.config.pretraining.weight_decay)
    optimiser = torch.optim.AdamW(groups, lr=plan.learning_rate, betas=(0.9, 0.98), fused=True)
    weights = class_weights(targets.codes, len(annotator.classes)) if plan.class_weights else None
    weights = weights if weights is None else weights.to(annotator.device)
    half = torch.autocast("cuda", torch.bfloat16) if annotator.device.type == "cuda" else nullcontext()
    bar = progress(plan.steps, "step", f"fine-tuning, {annotator.label}")
    kept: dict[str, Any] = {"loss": float("inf")}
    waited = 0
    for step in range(1, plan.steps + 1):
        annotator.train()
        torch.manual_seed((seed << 32) + step)  # dropout, too, is a function of (seed, step)
        for group in optimiser.param_groups:
            group["lr"] = plan.learning_rate * schedule(step, max(plan.steps // 10, 1), plan.steps)
        rows = np.random.default_rng((seed, step)).integers(len(targets.codes), size=plan.batch_size)
        niches, codes = targets.batch(rows, annotator.device)
        with half:
            logits = annotator(*niches)
        loss = functional.cross_entropy(logits.float(), codes, weight=weights)
        optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(annotator.parameters(), annotator.model.config.pretraining.clip)
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            raise FloatingPointError(
                f"annotation: the loss is {loss.item()}, its gradient's norm {norm.item()}, at step {step} of seed "
                f"{seed}; lower the 'learning_rate'."
            )
        optimiser.step()
        bar.update()
        if step % plan.validate_every and step < plan.steps:
            continue
        found = validate(annotator, held_out, weights)
        if not math.isfinite(found["loss"]):
            raise FloatingPointError(
                f"annotation: the held-out loss is {found['loss']} at step {step} of seed {seed}; lower "
                "the 'learning_rate'."
            )
        bar.set_postfix_str(f"loss {loss.item():.4f}, held out {found['loss']:.4f}, macro F1 {found['f1']:.3f}")
        waited += 1
        if found["loss"] < kept["loss"]:
            state = {name: w.detach().cpu().clone() for name, w in annotator.state_dict().items()}
            kept, waited = found | {"step": step, "state": state}, 0
        if waited == plan.patience:
            break
    bar.close()
    annotator.load_state_dict(kept["state"])
    told = {"steps": step, "kept_step": kept["step"], "held_out_loss": kept["loss"], "held_out_f1": kept["f1"]}
    log.info("annotation: '%s', %s", annotator.label, ", ".join(f"{name} {value:.4g}" for name, value in told.items()))
    return told


@torch.no_grad()
def validate(annotator: Annotator, held_out: _Targets, weights: Tensor | None) -> dict[str, float]:
    """Loss, weighted as in training, and macro F1 of held-out cells."""
    from gest.metrics import macro_f1

    annotator.eval()
    everything = np.arange(len(held_out.codes))
    batches = [
        held_out.batch(everything[i : i + _LOOKED_AT], annotator.device) for i in range(0, len(everything), _LOOKED_AT)
    ]
    logits = torch.cat([annotator(*niches).float() for niches, _ in batches])
    codes = torch.cat([of for _, of in batches])
    loss = float(functional.cross_entropy(logits, codes, weight=weights))
    truth, predicted = codes.cpu().numpy(), logits.argmax(1).cpu().numpy()
    return {"loss": loss, "f1": macro_f1(truth, predicted)}


class _Targets:
    """Labelled cells of sections, to make batches of."""

    def __init__(self, sections: Sequence[Labelled], classes: np.ndarray, model: GeST, *, seed: int) -> None:
        self.niches = [Niches(section, model.config, seed=seed) for section, _ in sections]
        self.where = [(i, cell) for i, (_, labels) in enumerate(sections) for cell in np.flatnonzero(labels != "")]
        self.codes = np.searchsorted(classes, np.concatenate([labels[labels != ""] for _, labels in sections]))

    def batch(self, rows: np.ndarray, device: torch.device) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
        """Niches of these targets, padded as `GeST.niche` takes them, and the codes of their classes (B,)."""
        drawn = [self.niches[section].draw(cell) for section, cell in (self.where[row] for row in rows)]
        return padded(drawn, device), torch.tensor(self.codes[rows], device=device)


def class_weights(codes: np.ndarray, n_classes: int) -> Tensor:
    """Weigh classes by n / (C n_c), so that each adds the same to the loss: (n,) codes -> (C,)."""
    return torch.tensor(len(codes) / (n_classes * np.bincount(codes, minlength=n_classes)), dtype=torch.float32)
