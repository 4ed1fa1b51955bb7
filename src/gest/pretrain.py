"""Generative pre-training: one plain loop over steps (sections 3.3, 3.4).

What step t trains on is a pure function of (seed, t), so a run that is killed and resumed equals one that was not, and
many processes, which share out the windows of every step, train as one does: they differ in the last bits of their sums
alone. (With dropout also in what is dropped, which is drawn batch by batch.)
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from gest.batches import VALIDATION, Windows
from gest.budget import Budget
from gest.checkpoint import Checkpoints
from gest.config import Config
from gest.distributed import ALONE, Processes, joined
from gest.errors import Interrupted, UserError
from gest.folders import replaceable
from gest.interruption import Interruption
from gest.loss import level_losses
from gest.model import MARKER, GeST, load
from gest.windows import Tokens

if TYPE_CHECKING:  # this file runs where only torch and numpy are
    from gest.vocabulary import Vocabulary

_LOG = ("step", "learning_rate", "loss", "loss_metacell", "validation_loss", "validation_metacell")
_LOG += ("cells", "cells_per_second")
_VALIDATION_WINDOWS = 64
_EARLY = 20  # steps after which the throughput is told


def window_losses(model: GeST, tokens: Tensor, bins: Tensor, lengths: Tensor) -> Tensor:
    """(4,) mean losses of all targets of a batch of windows, level by level; (1,) squared error of expression."""
    targets = tokens[:, 1:]
    real = torch.arange(targets.shape[1], device=tokens.device) < lengths[:, None] - 1
    output = model.output(model.encode(tokens, bins))  # (B, N − 1, K or T)
    if not model.quantised:
        return functional.mse_loss(output.float()[real], targets[real])[None]
    return level_losses(output.float()[real], targets[real], model.levels)


def pretrain(
    sections: Sequence[Any],
    vocabulary: Vocabulary,
    config: Any = None,
    *,
    out: str | os.PathLike,
    validation: Sequence[Any] = (),
    state: str | os.PathLike | None = None,
    seed: int = 0,
    processes: int | None = None,
) -> GeST:
    """Train a model from nothing and write it to `out`.

    Started by torchrun, or by `gest pretrain --processes`, in several processes it trains one model in all of them.

    Parameters
    ----------
    sections
        Sections (AnnData with `obsm["spatial"]` in µm), paths of section files, or `windows.Tokens`.
    config
        A `Config` or a mapping with the keys of `config/config.yaml`.
    out
        The model directory to write: weights, configuration, vocabulary, metrics, `log.csv`.
    validation
        Sections held out: their loss is logged, and the weights with the lowest are the ones kept.
    state
        Folder for what a killed run resumes from; beside `out` by default. It is keyed by configuration, data and
        seed, not by the number of processes, and kept until a later start finds the model whole in `out`.
    processes
        How many there have to be; None: as many as were started.

    Raises
    ------
    UserError
        No cells to train on, another training of the same model, processes that do not match the GPUs, or a full disk.
    FloatingPointError
        The loss is not finite; nothing was updated with it.
    Interrupted
        SIGTERM or SIGUSR1 came: the step was finished, its state saved.
    """
    with joined(processes) as team:
        config = Config.of(config)
        if config.pretraining.batch_size < team.size:
            raise UserError(
                f"config: 'pretraining.batch_size' is {config.pretraining.batch_size}, and must give each of "
                f"{team.size} processes a window; raise it, or ask for fewer processes."
            )
        out = replaceable(out, MARKER)
        folder = Path(state) if state is not None else out.with_name(f"{out.name}.state")
        training, held_out = (as_tokens(given, vocabulary, config, folder) for given in (sections, validation))
        torch.manual_seed(seed)
        model = GeST(config, vocabulary).to(team.device)
        key = _key(config, training, held_out, vocabulary, seed)
        if (trained := team.from_first(lambda: _already(out, key))) is not None:
            if team.first:
                shutil.rmtree(folder / key, ignore_errors=True)
                print(f"pretrain: {out} holds this very model; nothing to do", file=sys.stderr)
            return trained
        with Checkpoints(folder / key, team) as checkpoints:
            with Interruption() as interruption:
                log = _train(model, training, held_out, seed, team, interruption, checkpoints)
            last = log[-1]
            model.metrics = {
                "run_key": key,
                "seed": seed,
                "steps": last["step"],
                "kept_step": last["kept_step"],
                "training_cells": int(sum(len(s.xy) for s in training)),
                "target_cells_seen": last["cells"],
                "loss": last["loss"],
                "validation_loss": last["kept_loss"],
                "marginal_loss": _marginal_loss(training, held_out or training, vocabulary, config),
                "device": str(model.device),
            }
            model.cpu().eval()
            if team.first:
                model.save(out)
                (out / "log.csv").write_bytes(_table(log))
        return model


def finetune(sections: Sequence[Any], model: GeST, *, steps: int, seed: int = 0) -> GeST:
    """Continue generative training on other sections (section 4.2, "Ours-FT"); the model given is left as it is.

    Parameters
    ----------
    sections
        Sections or `windows.Tokens`; only cells that may be seen.
    steps
        How many; the rate warms up to half that of pre-training over a tenth of them, and falls to zero.

    Returns
    -------
    A new model, on the same device.
    """
    settings = model.config.to_dict()
    # Not thinned: what kinds of cells stand where in these very sections is what is to be learnt.
    rate = model.config.pretraining.learning_rate / 2
    plan = {"steps": steps, "warmup_steps": max(steps // 10, 1), "learning_rate": rate}
    settings["pretraining"] |= plan | {"thinning": 0.0, "target_cells": 0}
    tuned = GeST(settings, model.vocabulary).to(model.device)
    tuned.load_state_dict(model.state_dict())
    given = as_tokens(sections, model.vocabulary, model.config, Path(tempfile.gettempdir()))
    _train(tuned, given, [], seed, ALONE, Interruption())
    tuned.config, tuned.metrics = model.config, model.metrics | {"continued_steps": steps, "continued_seed": seed}
    return tuned.eval()


def _train(
    model: GeST,
    training: Sequence[Tokens],
    held_out: Sequence[Tokens],
    seed: int,
    team: Processes,
    interruption: Interruption,
    checkpoints: Checkpoints | None = None,
) -> list[dict[str, Any]]:
    """Run the loop from the newest whole checkpoint; the model ends with the weights kept."""
    plan, budget = model.config.pretraining, Budget(model.config.pretraining)
    windows = Windows(training, model.config, seed=seed, states=model.vocabulary.states())
    optimiser = torch.optim.AdamW(parameter_groups(model, plan.weight_decay), lr=plan.learning_rate, betas=(0.9, 0.98))
    alphas = _alphas(model)
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

    # A log file is spared the many states of a bar that moves on a terminal.
    interval = 0.5 if sys.stderr.isatty() else 10
    total, initial, unit = (budget.target, cells, "cell") if budget.target else (plan.steps, start, "step")
    bar = tqdm(total=total, initial=initial, unit=unit, mininterval=interval, desc="training", disable=not team.first)
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
                    checkpoints.write("log.csv", _table(log))
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


@torch.no_grad()
def validate(model: GeST, sections: Sequence[Tokens], *, seed: int, team: Processes = ALONE) -> tuple[float, float]:
    """Loss (Eq. 10) and its first level on a fixed set of windows of held-out sections, shared out to all processes."""
    was_training = model.training
    model.eval()
    windows = Windows(sections, model.config, seed=seed)
    size = min(8, _VALIDATION_WINDOWS)
    alphas = _alphas(model)
    total, n = torch.zeros_like(alphas), torch.zeros_like(alphas[:1])
    for i in range(_VALIDATION_WINDOWS // size)[team.mine]:
        tokens, bins, lengths = windows.batch(VALIDATION + i, range(size), model.device)
        targets = int((lengths - 1).sum())
        total += window_losses(model, tokens, bins, lengths.to(model.device)) * targets
        n += targets
    model.train(was_training)
    team.sum(total, n)
    losses = total / n
    return float((losses * alphas).sum()), float(losses[0])


def _alphas(model: GeST) -> Tensor:
    """Weights of the losses of Eq. 10; squared error is one loss."""
    return torch.tensor(model.config.loss.weights if model.quantised else (1.0,), device=model.device)


def parameter_groups(model: GeST, weight_decay: float) -> list[dict[str, Any]]:
    """Decay matrices; leave biases and norms alone, as is usual for transformers."""
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def as_tokens(sections: Sequence[Any], vocabulary: Vocabulary, config: Config, folder: Path) -> list[Tokens]:
    """Tokenise one section after the other: neither files nor expression are held in memory together."""

    def one(section: Any) -> Tokens:
        if isinstance(section, Tokens):
            if section.expression is None and not config.model.quantised:
                raise UserError(
                    "pretrain: a model without quantisation learns from expression, and a section's tokens have none; "
                    "give the section itself, or `Tokens` with 'expression'."
                )
            return section
        from gest.continuous import streamed
        from gest.sections import read_section
        from gest.tokens import tokenize

        whole = read_section(section) if isinstance(section, str | os.PathLike) else section
        return tokenize(whole, vocabulary) if config.model.quantised else streamed(whole, vocabulary, folder)

    return [one(section) for section in sections]


def _key(
    config: Config, training: Sequence[Tokens], held_out: Sequence[Tokens], vocabulary: Vocabulary, seed: int
) -> str:
    """Name a training run by what decides its result: configuration, data, seed, and the format of the state."""
    settings = asdict(config)
    for section, key, usual in (
        ("model", "quantised", True),
        ("model", "spatial", True),
        ("pretraining", "target_cells", 0),
    ):
        if settings[section][key] == usual:
            del settings[section][key]  # as it was before there was a choice: no training is lost to it
    digest = hashlib.sha256(json.dumps([Checkpoints.FORMAT, settings, seed], sort_keys=True).encode())
    digest.update(vocabulary.digest())
    for group in (training, held_out):
        digest.update(str(len(group)).encode())
        for section in group:
            digest.update(np.ascontiguousarray(section.xy).tobytes() + section.tokens.tobytes())
            if not config.model.quantised:
                for array in (section.expression.data, section.expression.indices, section.expression.indptr):
                    digest.update(array)
    return digest.hexdigest()[:16]


def _already(out: Path, key: str) -> GeST | None:
    """Load the model of an earlier, finished start of this very run."""
    try:
        model = load(out)
    except UserError:
        return None
    return model if model.metrics.get("run_key") == key and (out / "log.csv").is_file() else None


def _marginal_loss(
    training: Sequence[Tokens], scored: Sequence[Tokens], vocabulary: Vocabulary, config: Config
) -> float:
    """Loss of a model that knows the training frequencies, or mean, alone: what a trained one has to beat."""
    if not config.model.quantised:
        from gest.continuous import error_of_mean

        return error_of_mean(training, scored)
    K = len(vocabulary)
    prior = np.bincount(np.concatenate([s.tokens for s in training]), minlength=K) + 0.5
    share = np.bincount(np.concatenate([s.tokens for s in scored]), minlength=K).astype(np.float64)
    prior, share = prior / prior.sum(), share / share.sum()
    losses = [-share @ np.log(prior)]
    losses += [-share @ np.log(np.bincount(labels, weights=prior)[labels]) for labels in vocabulary.levels]
    return float(np.dot(losses, config.loss.weights))


def _table(log: list[dict[str, Any]]) -> bytes:
    """Content of `log.csv`."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _LOG, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(log)
    return text.getvalue().encode()
