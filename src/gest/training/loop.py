"""The training loop: one plain loop over steps (section 3.4).

The windows of step t are a pure function of (seed, t), so a run that is killed and resumed equals an uninterrupted one.
Several processes share the windows of each step. They train the same model as one process would, except for the
rounding of sums and for the dropout masks, which each process draws independently.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from torch import Tensor

from gest.errors import Interrupted
from gest.model import GeST
from gest.training.batches import Windows
from gest.training.checkpoint import Checkpoints
from gest.training.distributed import ProcessGroup
from gest.training.objective import level_weights, validate
from gest.training.reporting import Reporter, log_table
from gest.training.schedule import Schedule
from gest.training.signals import Interruption
from gest.training.state import TrainingState
from gest.training.step import make_optimiser, update
from gest.windows import Tokens


def train(
    model: GeST,
    training: Sequence[Tokens],
    held_out: Sequence[Tokens],
    *,
    seed: int,
    group: ProcessGroup,
    interruption: Interruption,
    checkpoints: Checkpoints | None = None,
) -> TrainingState:
    """Train a model, resuming from the newest checkpoint, and keep its best weights.

    Raises
    ------
    FloatingPointError
        A loss is not finite.
    Interrupted
        A signal arrived; the state was saved.
    """
    plan = model.config.pretraining
    schedule = Schedule(plan)
    state = TrainingState(model=model, optimiser=make_optimiser(model, plan))
    resume(state, checkpoints, group)
    windows = Windows(training, model.config, seed=seed, states=model.vocabulary.states())
    batches = windows.prefetch(state.step + 1, range(plan.batch_size)[group.shard], model.device)
    with Reporter(state, schedule, visible=group.is_first) as reporter, closing(batches):
        while not schedule.is_finished(state.step, state.cells):
            tokens, bins, own_lengths = next(batches)
            lengths, stop = synchronise(own_lengths, plan.batch_size, interruption, group)
            if stop:
                checkpoints.save(state.step, state.to_dict())
                group.wait()  # no process ends before the state is saved
                raise Interrupted(
                    f"pretrain: {interruption.signal_name or 'a signal to another process'} stopped it after step "
                    f"{state.step}; its state is saved. Run the same command to continue."
                )

            lengths = schedule.trim(lengths, state.cells)
            cells_before = state.cells
            state.step += 1
            state.cells += int((lengths - 1).sum())
            learning_rate = plan.learning_rate * schedule.rate(state.step, state.cells)
            losses = update(state, tokens, bins, lengths, learning_rate=learning_rate, seed=seed, group=group)
            reporter.advance(state.cells - cells_before)

            if schedule.validates(state.step, cells_before, state.cells):
                row = measure(state, losses, held_out, seed=seed, group=group)
                row["cells_per_second"] = round(reporter.cells_per_second())
                state.log.append(row)
                if checkpoints and group.is_first:
                    checkpoints.write("log.csv", log_table(state.log))
                reporter.show(row)
                state.keep_if_best(row["validation_loss"])
            is_due = state.step % plan.checkpoint_every == 0 or schedule.is_finished(state.step, state.cells)
            if checkpoints and (is_due or checkpoints.overdue()):
                checkpoints.save(state.step, state.to_dict())
    model.load_state_dict(state.best["model"])
    return state


def resume(state: TrainingState, checkpoints: Checkpoints | None, group: ProcessGroup) -> None:
    """Restore the newest checkpoint, if there is one."""
    saved = checkpoints.newest() if checkpoints else None
    if saved is None:
        return
    state.restore(saved)
    if group.is_first:
        print(f"pretrain: resumed at step {state.step} from {checkpoints.folder}", file=sys.stderr)


def synchronise(
    own_lengths: Tensor, batch_size: int, interruption: Interruption, group: ProcessGroup
) -> tuple[Tensor, bool]:
    """Gather the lengths (B,) of a batch; check whether any process received a signal."""
    lengths = own_lengths.new_zeros(batch_size)
    lengths[group.shard] = own_lengths
    interrupted = own_lengths.new_tensor([bool(interruption.signal_name)])
    group.sum(lengths, interrupted)
    return lengths, bool(interrupted)


def measure(
    state: TrainingState, losses: Tensor, held_out: Sequence[Tokens], *, seed: int, group: ProcessGroup
) -> dict[str, Any]:
    """Measure the loss on the held-out sections, if any; return a row of the log.

    Parameters
    ----------
    losses
        (4,) the training loss of the step at each level; (1,) without quantisation.
    """
    validation_loss = validation_metacell = None
    if held_out:
        validation_loss, validation_metacell = validate(state.model, held_out, seed=seed, group=group)
        if not math.isfinite(validation_loss):
            raise FloatingPointError(
                f"pretrain: the validation loss after step {state.step} is {validation_loss}. Lower "
                "'pretraining.learning_rate'."
            )
    return {
        "step": state.step,
        "learning_rate": state.optimiser.param_groups[0]["lr"],
        "loss": (losses * level_weights(state.model)).sum().item(),
        "loss_metacell": losses[0].item(),
        "validation_loss": validation_loss,
        "validation_metacell": validation_metacell,
        "cells": state.cells,
    }
