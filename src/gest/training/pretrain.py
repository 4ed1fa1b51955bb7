"""Generative pre-training, and its continuation on other sections (sections 3.3, 3.4 and 4.2)."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from gest.config import Config
from gest.data.as_tokens import as_tokens
from gest.errors import UserError
from gest.model import MARKER, GeST, read_model
from gest.training.checkpoint import Checkpoints, run_key
from gest.training.distributed import ALONE, joined
from gest.training.loop import log_table, train
from gest.training.objective import marginal_loss, validate, window_losses
from gest.training.signals import Interruption
from gest.utils.files import replaceable
from gest.windows import Tokens

if TYPE_CHECKING:  # this file runs where only torch and numpy are
    from gest.vocabulary import Vocabulary

__all__ = ["finetune", "pretrain", "validate", "window_losses"]


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
        key = run_key(config, training, held_out, vocabulary, seed)
        if (trained := team.from_first(lambda: _already(out, key))) is not None:
            if team.first:
                shutil.rmtree(folder / key, ignore_errors=True)
                print(f"pretrain: {out} holds this very model; nothing to do", file=sys.stderr)
            return trained
        with Checkpoints(folder / key, team) as checkpoints:
            if team.first:
                told = f"{outline(model, training, held_out)} on {team.device}, processes: {team.size}"
                print(f"pretrain: {told}; state in {folder / key}", file=sys.stderr)
            with Interruption() as interruption:
                log = train(model, training, held_out, seed, team, interruption, checkpoints)
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
                "marginal_loss": marginal_loss(training, held_out or training, vocabulary, config),
                "device": str(model.device),
            }
            model.cpu().eval()
            if team.first:
                model.save(out)
                (out / "log.csv").write_bytes(log_table(log))
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
    train(tuned, given, [], seed, ALONE, Interruption())
    tuned.config, tuned.metrics = model.config, model.metrics | {"continued_steps": steps, "continued_seed": seed}
    return tuned.eval()


def outline(model: GeST, training: Sequence[Tokens], held_out: Sequence[Tokens]) -> str:
    """Say how long a training is, and what learns from what."""
    settings = model.config.pretraining
    length = f"{settings.target_cells:,} target cells" if settings.target_cells else f"{settings.steps:,} steps"
    cells, others = (sum(len(section.xy) for section in given) for given in (training, held_out))
    return (
        f"{length}, {settings.batch_size} windows of {model.config.window:g} µm in a step; {len(training)} training "
        f"sections with {cells:,} cells, {len(held_out)} held out with {others:,}; "
        f"{sum(p.numel() for p in model.parameters()):,} parameters"
    )


def _already(out: Path, key: str) -> GeST | None:
    """Load the model of an earlier, finished start of this very run."""
    try:
        model = read_model(out)
    except UserError:
        return None
    return model if model.metrics.get("run_key") == key and (out / "log.csv").is_file() else None
