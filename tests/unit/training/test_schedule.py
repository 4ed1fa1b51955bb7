"""Training for a number of target cells: it ends exactly there, validates equally often, and can be resumed."""

import pytest
import torch
from helpers import TINY

import gest
from gest.config import PretrainingConfig
from gest.errors import UserError
from gest.training import step as training_step
from gest.training.batches import Windows
from gest.training.checkpoint import run_key
from gest.training.schedule import Schedule, warmup_cosine

CELLS = 3000


def budgeted(**other):
    return TINY | {"pretraining": TINY["pretraining"] | {"target_cells": CELLS}} | other


def rows(path):
    head, *lines = [line.split(",") for line in path.read_text().splitlines()]
    return [dict(zip(head, line, strict=True)) for line in lines]


@pytest.mark.parametrize("window", [100, 300])
def test_exactly_target_cells_are_predicted(tokens, vocabulary, tmp_path, monkeypatch, window):
    """Exactly this many targets enter the loss, for any size of windows."""
    losses, counted = training_step.window_losses, []

    def counting(model, tokens, bins, lengths):
        if model.training:
            counted.append(int((lengths - 1).sum()))
        return losses(model, tokens, bins, lengths)

    monkeypatch.setattr(training_step, "window_losses", counting)
    config = budgeted(window=window)
    model = gest.pretrain(tokens[:1], vocabulary, config, validation=tokens[1:], out=tmp_path / "m")
    assert sum(counted) == model.metrics["target_cells_seen"] == CELLS
    assert model.metrics["steps"] == len(counted) != TINY["pretraining"]["steps"]
    log = rows(tmp_path / "m/log.csv")
    assert len(log) == min(20, len(counted))
    assert int(log[-1]["cells"]) == CELLS


def test_resumed_equals_uninterrupted(tokens, vocabulary, tmp_path, monkeypatch):
    whole = gest.pretrain(tokens, vocabulary, budgeted(), out=tmp_path / "whole")
    draw = Windows.batch

    def killed(self, step, *rest):
        if step == 6:  # after the checkpoint of step 4
            raise KeyboardInterrupt
        return draw(self, step, *rest)

    monkeypatch.setattr(Windows, "batch", killed)
    with pytest.raises(KeyboardInterrupt):
        gest.pretrain(tokens, vocabulary, budgeted(), out=tmp_path / "cut")
    steps = []
    monkeypatch.setattr(Windows, "batch", lambda self, step, *rest: (steps.append(step), draw(self, step, *rest))[1])
    resumed = gest.pretrain(tokens, vocabulary, budgeted(), out=tmp_path / "cut")
    assert steps == list(range(5, whole.metrics["steps"] + 2)), "one batch is drawn ahead"
    assert all(
        torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    )


def test_the_last_batch_is_cut_exactly():
    schedule = Schedule(PretrainingConfig(target_cells=100))
    lengths = torch.tensor([11, 21, 6])
    assert schedule.trim(lengths, 0).tolist() == [11, 21, 6]
    assert schedule.trim(lengths, 65).tolist() == [11, 21, 6]
    assert schedule.trim(lengths, 75).tolist() == [11, 16, 1]
    assert schedule.trim(lengths, 99).tolist() == [2, 1, 1]


def test_the_rate_depends_on_cells_alone():
    schedule = Schedule(PretrainingConfig(target_cells=4000))
    assert schedule.rate(1, 50) == 0.5  # a fortieth is warm-up
    assert schedule.rate(4, 100) == 1
    assert schedule.rate(4, 2050) == schedule.rate(400, 2050) == pytest.approx(0.5)
    assert schedule.rate(9, 4000) == 0
    steps = Schedule(PretrainingConfig(steps=10, warmup_steps=4))
    assert [steps.rate(step, 7) for step in range(1, 11)] == [warmup_cosine(step, 4, 10) for step in range(1, 11)]


def test_later_settings_change_the_key_only_if_they_are_used(tokens, vocabulary):
    """Runs from before `target_cells`, `quantised` and `spatial` existed keep their key."""
    import hashlib
    import json
    from dataclasses import asdict

    settings = asdict(gest.Config.of(TINY))
    for name in ("quantised", "spatial"):
        del settings["model"][name]
    del settings["pretraining"]["target_cells"]
    digest = hashlib.sha256(json.dumps([1, settings, 0], sort_keys=True).encode())
    digest.update(vocabulary.digest() + b"1" + tokens[0].xy.tobytes() + tokens[0].tokens.tobytes() + b"0")
    key = run_key(gest.Config.of(TINY), tokens[:1], [], vocabulary, 0)
    assert key == digest.hexdigest()[:16]
    others = [budgeted(), TINY | {"model": TINY["model"] | {"spatial": False}}]
    keys = {run_key(gest.Config.of(config), tokens[:1], [], vocabulary, 0) for config in others}
    assert len(keys | {key}) == 3


def test_continued_training_counts_steps(tokens, vocabulary, tmp_path):
    model = gest.pretrain(tokens[:1], vocabulary, budgeted(), out=tmp_path / "m")
    tuned = gest.finetune(tokens[1:], model, steps=3)
    assert tuned.metrics["continued_steps"] == 3
    assert tuned.config == model.config


def test_negative_target_cells_are_refused():
    with pytest.raises(UserError, match=r"pretraining\.target_cells: -1 is out of range \(expected at least 0\)"):
        gest.Config.of({"pretraining": {"target_cells": -1}})
