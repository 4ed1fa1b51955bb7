"""Pre-train a model, and fine-tune it on other sections (sections 3.4 and 4.2)."""

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
from gest.training.distributed import SINGLE_PROCESS, ProcessGroup, process_group
from gest.training.loop import train
from gest.training.objective import marginal_loss
from gest.training.reporting import count_cells, describe_training, log_table
from gest.training.signals import Interruption
from gest.training.state import TrainingState
from gest.utils.files import replaceable
from gest.windows import Tokens

if TYPE_CHECKING:  # this module must work with torch and NumPy alone
    from gest.vocabulary import Vocabulary


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
    """Train a model from scratch and write it to `out`.

    Several processes, started by torchrun or by `gest pretrain --processes`, train one model together.

    Parameters
    ----------
    sections
        Sections (AnnData with `obsm["spatial"]` in µm), paths of section files, or `windows.Tokens`.
    config
        A `Config` or a mapping with the keys of `config/config.yaml`.
    out
        The model directory to write: weights, configuration, vocabulary, metrics, `log.csv`.
    validation
        Held-out sections: their loss is logged, and the weights with the lowest loss are kept.
    state
        Folder for the checkpoints from which a killed run resumes; beside `out` by default. Their key depends on
        configuration, data, vocabulary and seed, but not on the number of processes. They are kept until a later
        call finds the finished model in `out`.
    processes
        Expected number of processes; None: as many as were started.

    Raises
    ------
    UserError
        No section has two cells, another process trains the same model, the processes do not match the GPUs, the disk
        is full, or `out` is a folder that holds something else.
    FloatingPointError
        The loss or its gradient is not finite; the weights were not updated with it.
    Interrupted
        SIGTERM or SIGUSR1 arrived; the current step was finished and its state saved.

    Examples
    --------
    >>> import tempfile
    >>> import gest
    >>> from gest.data.sources.simulate import simulate
    >>> from gest.training.vocabulary import fit_sections
    >>> section = simulate("s1", donor="a", n_cells=200, width_um=400, height_um=400, n_genes=20, seed=0)
    >>> vocabulary = fit_sections([section], {"n_metacells": 10, "n_components": 5, "hierarchy": [4, 3, 2]})
    >>> config = {
    ...     "window": 200,
    ...     "model": {"layers": 1, "heads": 1, "width": 8},
    ...     "pretraining": {"steps": 2, "batch_size": 2, "warmup_steps": 1},
    ... }
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model = gest.pretrain([section], vocabulary, config, out=f"{folder}/model")
    >>> model.metrics["steps"]
    2
    """
    with process_group(processes) as group:
        config = Config.of(config)
        _check_batch_size(config, group)
        out = replaceable(out, MARKER)
        folder = Path(state) if state is not None else out.with_name(f"{out.name}.state")
        training = as_tokens(sections, vocabulary, config, folder)
        held_out = as_tokens(validation, vocabulary, config, folder)
        torch.manual_seed(seed)
        model = GeST(config, vocabulary).to(group.device)
        key = run_key(config, training, held_out, vocabulary, seed)
        finished = group.compute_on_first(lambda: _read_finished(out, key))
        if finished is not None:
            if group.is_first:
                shutil.rmtree(folder / key, ignore_errors=True)
                print(f"pretrain: {out} already holds this model; nothing to do", file=sys.stderr)
            return finished
        with Checkpoints(folder / key, group) as checkpoints:
            if group.is_first:
                plan = f"{describe_training(model, training, held_out)} on {group.device}, processes: {group.size}"
                print(f"pretrain: {plan}; state in {folder / key}", file=sys.stderr)
            with Interruption() as interruption:
                trained = train(
                    model,
                    training,
                    held_out,
                    seed=seed,
                    group=group,
                    interruption=interruption,
                    checkpoints=checkpoints,
                )
            model.metrics = {"run_key": key, "seed": seed} | _summarise(trained, training, held_out)
            model.cpu().eval()
            if group.is_first:
                model.save(out)
                (out / "log.csv").write_bytes(log_table(trained.log))
        return model


def finetune(sections: Sequence[Any], model: GeST, *, steps: int, seed: int = 0) -> GeST:
    """Continue generative training on other sections (section 4.2, "Ours-FT").

    The model that is passed in is not changed.

    Parameters
    ----------
    sections
        Sections, paths of section files, or `windows.Tokens`; they must hold no cells to be predicted later.
    steps
        Number of steps. In the first tenth, the learning rate rises to half that of pre-training, then it falls to 0.

    Returns
    -------
    A new model, on the same device.

    Examples
    --------
    >>> import gest
    >>> from gest.data.sources.simulate import simulate
    >>> from gest.training.vocabulary import fit_sections
    >>> section = simulate("s1", donor="a", n_cells=200, width_um=400, height_um=400, n_genes=20, seed=0)
    >>> vocabulary = fit_sections([section], {"n_metacells": 10, "n_components": 5, "hierarchy": [4, 3, 2]})
    >>> config = {"window": 200, "model": {"layers": 1, "heads": 1, "width": 8}, "pretraining": {"batch_size": 2}}
    >>> model = gest.GeST(config, vocabulary)
    >>> gest.finetune([section], model, steps=2).metrics["continued_steps"]
    2
    """
    settings = model.config.to_dict()
    settings["pretraining"] |= {
        "steps": steps,
        "warmup_steps": max(steps // 10, 1),
        "learning_rate": model.config.pretraining.learning_rate / 2,
        "thinning": 0.0,  # the model must learn the true composition of these sections
        "target_cells": 0,
    }
    tuned = GeST(settings, model.vocabulary).to(model.device)
    tuned.load_state_dict(model.state_dict())
    tokens = as_tokens(sections, model.vocabulary, model.config, Path(tempfile.gettempdir()))
    train(tuned, tokens, [], seed=seed, group=SINGLE_PROCESS, interruption=Interruption())
    tuned.config = model.config
    tuned.metrics = model.metrics | {"continued_steps": steps, "continued_seed": seed}
    return tuned.eval()


def _check_batch_size(config: Config, group: ProcessGroup) -> None:
    if config.pretraining.batch_size < group.size:
        raise UserError(
            f"config: 'pretraining.batch_size' is {config.pretraining.batch_size}, too few for {group.size} processes "
            "(expected a window for each); raise it, or start fewer processes."
        )


def _summarise(trained: TrainingState, training: Sequence[Tokens], held_out: Sequence[Tokens]) -> dict[str, Any]:
    """Return the metrics of a finished training for the model directory."""
    model, last_row = trained.model, trained.log[-1]
    return {
        "steps": trained.step,
        "kept_step": trained.best["step"],
        "training_cells": count_cells(training),
        "target_cells_seen": trained.cells,
        "loss": last_row["loss"],
        "validation_loss": trained.best["loss"],
        "marginal_loss": marginal_loss(training, held_out or training, model.vocabulary, model.config),
        "device": str(model.device),
    }


def _read_finished(out: Path, key: str) -> GeST | None:
    """Return the model in `out` if the run with this key finished it."""
    try:
        model = read_model(out)
    except UserError:
        return None
    return model if model.metrics.get("run_key") == key and (out / "log.csv").is_file() else None
