"""The training loop of an annotator, with early stopping on the held-out loss (paper, section 3.5).

The batch of step t is a pure function of (seed, t).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gest.model import GeST
from gest.tasks.annotation.annotator import POOLS, Annotator
from gest.tasks.annotation.labels import LabelledSection
from gest.tasks.niches import Niches
from gest.training.batches import pad
from gest.training.schedule import warmup_cosine
from gest.training.step import parameter_groups
from gest.utils.progress import progress
from gest.utils.settings import check_bounds, setting

log = logging.getLogger(__name__)

_HELD_OUT_BATCH = 64  # held-out niches per batch


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of an annotator and of its fine-tuning."""

    pool: str = setting("mean", choices=POOLS)
    """How the outputs of a niche are pooled: `mean` or `max`."""
    steps: int = setting(500, above=0)
    """Maximum number of steps; training stops earlier once the held-out loss no longer falls."""
    batch_size: int = setting(32, above=0)
    """Niches per step."""
    learning_rate: float = setting(1e-3, above=0)
    """Peak learning rate of AdamW: linear warm-up over a tenth of the steps, then cosine decay to zero."""
    class_weights: bool = True
    """Whether to weight classes by their inverse frequency, so that rare classes count as much as common ones."""
    validate_every: int = setting(50, above=0)
    """Steps between validations; the last step is always validated."""
    patience: int = setting(5, above=0)
    """Training stops after this many validations in a row without a new lowest loss."""
    held_out_cells: int = setting(1000, above=0)
    """Validate on at most this many held-out cells."""

    def __post_init__(self) -> None:
        check_bounds(self, "annotation")


class Targets:
    """The labelled cells of sections, from which batches are drawn."""

    def __init__(self, sections: Sequence[LabelledSection], classes: np.ndarray, model: GeST, *, seed: int) -> None:
        self.niches = [Niches(section.tokens, model.config, seed=seed) for section in sections]
        labelled = [np.flatnonzero(section.labels != "") for section in sections]
        self.cells = [(i, cell) for i, cells in enumerate(labelled) for cell in cells]
        """(m,) pairs: the index of the section, and of the cell in it."""
        labels = [section.labels[cells] for section, cells in zip(sections, labelled, strict=True)]
        self.codes = np.searchsorted(classes, np.concatenate(labels))
        """(m,) integers: the class of each cell."""

    def batch(self, rows: np.ndarray, device: torch.device) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
        """Draw the niches of B cells, as input of `GeST.niche`, and their classes (B,)."""
        drawn = [self.niches[section].draw(cell) for section, cell in (self.cells[row] for row in rows)]
        return pad(drawn, device), torch.tensor(self.codes[rows], device=device)


def fine_tune(
    annotator: Annotator, targets: Targets, held_out: Targets, settings: Settings, *, seed: int
) -> dict[str, float | int]:
    """Fine-tune an annotator, and keep the weights with the lowest held-out loss.

    Returns
    -------
    dict
        `steps`, the number of steps that were run; `kept_step`, the step whose weights were kept; `held_out_loss` and
        `held_out_f1`, the loss and macro F1 of these weights.
    """
    groups = parameter_groups(annotator, annotator.model.config.pretraining.weight_decay)
    optimiser = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), fused=True)
    weights = None
    if settings.class_weights:
        weights = class_weights(targets.codes, len(annotator.classes)).to(annotator.device)
    best = {"step": 0, "loss": float("inf"), "f1": 0.0}
    best_weights: dict[str, Tensor] = {}
    validations_without_gain = 0
    with progress(settings.steps, "step", f"fine-tuning, {annotator.label}") as bar:
        for step in range(1, settings.steps + 1):
            loss = _take_step(annotator, optimiser, targets, weights, settings, step=step, seed=seed)
            bar.update()
            if step % settings.validate_every and step < settings.steps:
                continue
            scores = validate(annotator, held_out, weights)
            if not math.isfinite(scores["loss"]):
                raise FloatingPointError(
                    f"annotation: the held-out loss is {scores['loss']} at step {step} of seed {seed}; lower the "
                    "'learning_rate'."
                )
            bar.set_postfix_str(f"loss {loss:.4f}, held out {scores['loss']:.4f}, macro F1 {scores['f1']:.3f}")
            validations_without_gain += 1
            if scores["loss"] < best["loss"]:
                best = scores | {"step": step}
                best_weights = {name: w.detach().cpu().clone() for name, w in annotator.state_dict().items()}
                validations_without_gain = 0
            if validations_without_gain == settings.patience:
                break
    annotator.load_state_dict(best_weights)
    outcome = {"steps": step, "kept_step": best["step"], "held_out_loss": best["loss"], "held_out_f1": best["f1"]}
    summary = ", ".join(f"{name} {value:.4g}" for name, value in outcome.items())
    log.info("annotation: '%s', %s", annotator.label, summary)
    return outcome


def _take_step(
    annotator: Annotator,
    optimiser: torch.optim.Optimizer,
    targets: Targets,
    weights: Tensor | None,
    settings: Settings,
    *,
    step: int,
    seed: int,
) -> float:
    """Update the weights with the batch of one step; return its loss."""
    annotator.train()
    torch.manual_seed((seed << 32) + step)  # dropout, too, is a function of (seed, step)
    for group in optimiser.param_groups:
        group["lr"] = settings.learning_rate * warmup_cosine(step, max(settings.steps // 10, 1), settings.steps)
    rows = np.random.default_rng((seed, step)).integers(len(targets.codes), size=settings.batch_size)
    niches, codes = targets.batch(rows, annotator.device)
    autocast = torch.autocast("cuda", torch.bfloat16) if annotator.device.type == "cuda" else nullcontext()
    with autocast:
        logits = annotator(*niches)
    loss = functional.cross_entropy(logits.float(), codes, weight=weights)
    optimiser.zero_grad()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(annotator.parameters(), annotator.model.config.pretraining.clip)
    if not (torch.isfinite(loss) and torch.isfinite(norm)):
        raise FloatingPointError(
            f"annotation: the loss is {loss.item()}, its gradient's norm {norm.item()}, at step {step} of seed {seed}; "
            "lower the 'learning_rate'."
        )
    optimiser.step()
    return loss.item()


@torch.no_grad()
def validate(annotator: Annotator, held_out: Targets, weights: Tensor | None) -> dict[str, float]:
    """Compute the loss, weighted as in training, and macro F1 of held-out cells."""
    from gest.metrics import macro_f1

    annotator.eval()
    rows, logits, codes = np.arange(len(held_out.codes)), [], []
    for start in range(0, len(rows), _HELD_OUT_BATCH):
        niches, batch_codes = held_out.batch(rows[start : start + _HELD_OUT_BATCH], annotator.device)
        logits.append(annotator(*niches).float())
        codes.append(batch_codes)
    all_logits, all_codes = torch.cat(logits), torch.cat(codes)
    loss = float(functional.cross_entropy(all_logits, all_codes, weight=weights))
    f1 = macro_f1(all_codes.cpu().numpy(), all_logits.argmax(1).cpu().numpy())
    return {"loss": loss, "f1": f1}


def class_weights(codes: np.ndarray, n_classes: int) -> Tensor:
    """Compute the weights of C classes, (C,), so that all count equally.

    The weight of class c, with n_c of the n cells, is n / (C n_c).
    """
    return torch.tensor(len(codes) / (n_classes * np.bincount(codes, minlength=n_classes)), dtype=torch.float32)
