"""The training loop: one plain loop over steps, resumable, in one process or many (section 3.4).

What step t trains on is a pure function of (seed, t), so a run that is killed and resumed equals one that was not, and
many processes, which share out the windows of every step, train as one does: they differ in the last bits of their sums
alone. (With dropout also in what is dropped, which is drawn batch by batch.)
"""

from __future__ import annotations

import csv
import io
import math
import sys
import time
from collections.abc import Sequence
from contextlib import closing, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from gest.errors import Interrupted
from gest.model import GeST
from gest.training.batches import Windows
from gest.training.checkpoint import Checkpoints
from gest.training.distributed import Processes
from gest.training.objective import level_weights, validate, window_losses
from gest.training.schedule import Budget
from gest.training.signals import Interruption
from gest.utils.progress import progress
from gest.windows import Tokens

_LOG = ("step", "learning_rate", "loss", "loss_metacell", "validation_loss", "validation_metacell")
_LOG += ("cells", "cells_per_second")
_EARLY = 20  # steps after which the throughput is told


def train(
    model: GeST,
    training: Sequence[Tokens],
    held_out: Sequence[Tokens],
    seed: int,
    team: Processes,
    interruption: Interruption,
    checkpoints: Checkpoints | None = None,
) -> list[dict[str, Any]]:
    """Run the loop from the newest whole checkpoint; the model ends with the weights kept.

    Returns
    -------
    A row for every look at the validation sections (`log_table`); the last tells of the weights kept.
    """
    plan, budget = model.config.pretraining, Budget(model.config.pretraining)
    windows = Windows(training, model.config, seed=seed, states=model.vocabulary.states())
    optimiser = torch.optim.AdamW(
        parameter_groups(model, plan.weight_decay), lr=plan.learning_rate, betas=(0.9, 0.98), fused=True
    )
    alphas = level_weights(model)
    half = torch.autocast("cuda", torch.bfloat16) if model.device.type == "cuda" else nullcontext()
    log: list[dict[str, Any]] = []
    cells, kept, start = 0, None, 0
    if checkpoints and (found := checkpoints.newest()):
        model.load_state_dict(found["model"])
        optimiser.load_state_dict(found["optimiser"])
        log, cells, kept, start = found["log"], found["cells"], found["kept"], found["step"]
        if team.first:
            print(f"pretrain: resumed at step {start} from {checkpoints.folder}", file=sys.stderr)

    def save() -> None:
        now = {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
        checkpoints.save(step, now | {"step": step, "log": log, "cells": cells, "kept": kept})

    total, initial, unit = (budget.target, cells, "cell") if budget.target else (plan.steps, start, "step")
    bar = progress(total, unit, "training", initial=initial, disable=not team.first)
    began, counted = time.perf_counter(), cells
    step = start
    batches = windows.ahead(step + 1, range(plan.batch_size)[team.mine], model.device)
    with bar, closing(batches):
        while not budget.ends(step, cells):
            tokens, bins, drawn = next(batches)
            lengths, told = drawn.new_zeros(plan.batch_size), drawn.new_tensor([bool(interruption.name)])
            lengths[team.mine] = drawn
            team.sum(lengths, told)  # now they are those of the whole batch, and of all processes
            if told:
                save()
                team.sum(told)  # no process ends before the state is saved
                raise Interrupted(
                    f"pretrain: {interruption.name or 'a signal to another process'} stopped it after step {step}; "
                    "its state is saved, and the same command goes on from there."
                )
            step, before = step + 1, cells
            model.train()
            torch.manual_seed((team.rank << 48) + (seed << 32) + step)  # dropout, too, is a function of (seed, step)
            lengths = budget.trim(lengths, before)
            own, targets = lengths[team.mine], int((lengths - 1).sum())
            weight = int((own - 1).sum()) / targets  # of this process's mean in that of the whole batch
            if not weight:  # the budget's last batch left it no target
                own = own.clamp(min=2)
            cells += targets
            for group in optimiser.param_groups:
                group["lr"] = plan.learning_rate * budget.rate(step, cells)
            with half:
                losses = window_losses(model, tokens, bins, own.to(model.device)) * weight
            optimiser.zero_grad()
            (losses * alphas).sum().backward()  # Eq. 10
            losses = losses.detach()
            team.sum(losses, *(parameter.grad for parameter in model.parameters()))
            loss = (losses * alphas).sum()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
            if not torch.isfinite(loss + norm):
                broken = _not_finite(model, tokens, bins, own, team, plan.batch_size)
                raise FloatingPointError(
                    f"pretrain: the loss is {loss.item()}, its gradient's norm {norm.item()}, at step {step} (windows "
                    f"{broken} of seed {seed}); nothing was updated with it; lower the 'learning_rate'."
                )
            optimiser.step()
            bar.update(cells - before if budget.target else 1)
            if team.first and step == start + _EARLY:
                rate = (cells - counted) / (time.perf_counter() - began)
                bar.write(f"pretrain: {rate:,.0f} cells/s on {model.device} after {_EARLY} steps", file=sys.stderr)
            if budget.looks(step, before, cells):
                validation = validate(model, held_out, seed=seed, team=team) if held_out else None
                if validation and not math.isfinite(validation[0]):
                    raise FloatingPointError(
                        f"pretrain: the validation loss after step {step} is {validation[0]}; lower 'learning_rate'."
                    )
                rate = (cells - counted) / (time.perf_counter() - began)
                row = {
                    "step": step,
                    "learning_rate": optimiser.param_groups[0]["lr"],
                    "loss": loss.item(),
                    "loss_metacell": losses[0].item(),
                    "validation_loss": validation and validation[0],
                    "validation_metacell": validation and validation[1],
                    "cells_per_second": round(rate),
                    "cells": cells,
                }
                log.append(row)
                if checkpoints and team.first:
                    checkpoints.write("log.csv", log_table(log))
                shown = f", validation {validation[0]:.4f}" if validation else ""
                bar.set_postfix_str(f"loss {row['loss']:.4f}{shown}, {rate:,.0f} cells/s")
                if validation is None or kept is None or validation[0] <= kept["loss"]:
                    weights = {name: w.detach().cpu().clone() for name, w in model.state_dict().items()}
                    kept = {"step": step, "loss": validation and validation[0], "model": weights}
            due = step % plan.checkpoint_every == 0 or budget.ends(step, cells)
            if checkpoints and (due or checkpoints.overdue()):
                save()
    model.load_state_dict(kept["model"])
    log[-1] = log[-1] | {"kept_step": kept["step"], "kept_loss": kept["loss"]}
    return log


@torch.no_grad()
def _not_finite(model: GeST, tokens: Tensor, bins: Tensor, lengths: Tensor, team: Processes, size: int) -> str:
    """Name the windows whose loss is not finite, one by one; all, where only their sum or its gradient is not."""
    broken = torch.zeros(size)
    losses = [
        window_losses(model, *(x[i : i + 1] for x in (tokens, bins, lengths.to(model.device))))
        for i in range(len(lengths))
    ]
    broken[team.mine] = torch.stack([~loss.isfinite().all() for loss in losses]).float().cpu()
    team.sum(broken)
    return ", ".join(map(str, broken.nonzero().flatten().tolist())) or f"0 to {size - 1}"


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay matrices; leave biases and norms alone, as is usual for transformers."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def log_table(log: list[dict[str, Any]]) -> bytes:
    """Content of `log.csv`."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _LOG, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(log)
    return text.getvalue().encode()
