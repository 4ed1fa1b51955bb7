"""Several processes train as one does, with the same windows, gradients and losses; they stop and fail together."""

import os
import signal
from itertools import pairwise
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from helpers import TINY
from torch.distributed import TCPStore

import gest
from gest.errors import Interrupted
from gest.training import step as training_step
from gest.training.batches import Windows
from gest.training.distributed import process_group
from gest.training.objective import validate

STEPS = 50
# Six windows per step cannot be shared equally by four processes.
CONFIG = TINY | {"pretraining": TINY["pretraining"] | {"steps": STEPS, "batch_size": 6, "validate_every": 1}}


def together(size, work, folder):
    """Run `work(rank)` in forked processes that form a group, as torchrun's do; return their results."""
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    fork = get_context("fork")
    begin = fork.Event()

    def run(rank):
        begin.wait()
        torch.set_num_threads(1)  # a fork has lost OpenMP's threads
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank)}
        os.environ |= {"LOCAL_WORLD_SIZE": str(size), "TORCHELASTIC_USE_AGENT_STORE": "True"}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}
        torch.save(work(rank), folder / f"{size}-{rank}")

    processes = [fork.Process(target=run, args=(rank,)) for rank in range(size)]
    for process in processes:
        process.start()
    begin.set()  # only now: a process forked while the store answers would inherit its locks and wait for ever
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * size
    return [torch.load(folder / f"{size}-{rank}", weights_only=False) for rank in range(size)]


@pytest.fixture
def recorded(tokens, vocabulary, tmp_path, monkeypatch):
    """Return a function that trains in several processes and records gradients, windows, losses and cells."""

    def train(size, config=CONFIG):
        windows, gradients = {}, []
        draw, clip = Windows.draw, torch.nn.utils.clip_grad_norm_

        def drawn(self, step, i):
            window = draw(self, step, i)
            windows[step, i] = window[0].tobytes() + window[1].tobytes()
            return window

        def clipped(parameters, largest):
            parameters = list(parameters)
            gradients.append(torch.cat([p.grad.flatten() for p in parameters]))
            return clip(parameters, largest)

        def work(rank):
            monkeypatch.setattr(Windows, "draw", drawn)
            monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", clipped)
            out = tmp_path / f"{size}-{config['pretraining'].get('target_cells')}"
            gest.pretrain(tokens, vocabulary, config, out=out, state=tmp_path / str(size))
            last = len(gradients)
            return torch.stack(gradients), {key: window for key, window in windows.items() if key[0] <= last}, out

        results = together(size, work, tmp_path)
        rows = [line.split(",") for line in (results[0][2] / "log.csv").read_text().splitlines()[1:]]
        losses, cells = (np.array([float(row[column]) for row in rows]) for column in (2, 6))
        return [result[0] for result in results], [result[1] for result in results], losses, cells

    return train


def test_many_processes_train_as_one_does(recorded):
    (alone,), (windows,), losses, cells = recorded(1)
    assert len(alone) == len(losses) == STEPS
    for size in (2, 4):
        gradients, shares, shared_losses, shared_cells = recorded(size)
        assert sum(map(len, shares)) == len(windows), "no window is drawn twice"
        assert {key: window for share in shares for key, window in share.items()} == windows
        assert all(torch.equal(a, b) for a, b in pairwise(gradients)), "all processes make the same update"
        # In float32, the order of additions changes the rounding, and the weights slowly drift apart.
        assert (gradients[0][0] - alone[0]).abs().max() < 1e-6
        torch.testing.assert_close(gradients[0], alone, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(shared_losses, losses, rtol=1e-5)
        assert np.array_equal(shared_cells, cells)


def test_target_cells_are_met_even_if_a_process_has_none_left(recorded):
    """The last batch is cut to one target, which only one process has; gradients are weighted by targets."""
    cells_after_4 = int(recorded(1)[3][3])
    config = CONFIG | {"pretraining": CONFIG["pretraining"] | {"target_cells": cells_after_4 + 1, "validate_every": 1}}
    (alone,), _, losses, _ = recorded(1, config)
    gradients, _, shared_losses, cells = recorded(4, config)
    assert cells[-1] == cells_after_4 + 1
    assert len(gradients[0]) == len(alone) == 5
    assert alone[-1].abs().max() > 0.01
    torch.testing.assert_close(gradients[0][-1], alone[-1], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(shared_losses, losses, rtol=1e-5)


def test_processes_share_the_validation(model, tokens, tmp_path):
    def work(rank):
        with process_group() as group:
            return validate(model, tokens, seed=0, group=group)

    shared = together(3, work, tmp_path)
    assert shared[0] == shared[1] == shared[2] == pytest.approx(validate(model, tokens, seed=0), rel=1e-6)


def test_a_signal_to_one_process_stops_all_at_the_same_step(tokens, vocabulary, tmp_path, monkeypatch):
    """A single process then resumes from the checkpoint of the two."""
    arguments = {"out": tmp_path / "m", "state": tmp_path / "state"}
    draw = Windows.draw

    def interrupted(self, step, i):
        if step == 6:
            os.kill(os.getpid(), signal.SIGUSR1)
        return draw(self, step, i)

    def work(rank):
        if rank == 1:
            monkeypatch.setattr(Windows, "draw", interrupted)
        try:
            gest.pretrain(tokens, vocabulary, TINY, **arguments)
        except (Interrupted, SystemExit) as error:  # the first to end reports the signal, the others end silently
            return str(error), getattr(error, "code", 75)

    ends = together(2, work, tmp_path)
    assert [code for _, code in ends] == [75, 75]
    (sentence,) = (text for text, _ in ends if text != "75")
    (state,) = (tmp_path / "state").glob("*/")
    newest = sorted(state.glob("step-*.pt"))[-1]
    assert f"stopped it after step {int(newest.stem[5:])};" in sentence
    resumed = gest.pretrain(tokens, vocabulary, TINY, **arguments)
    whole = gest.pretrain(tokens, vocabulary, TINY, out=tmp_path / "whole")
    for a, b in zip(resumed.state_dict().values(), whole.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_windows_that_are_not_finite_are_named(tokens, vocabulary, tmp_path, monkeypatch):
    losses, draw = training_step.window_losses, Windows.draw
    marked = 7

    def draw_marked(self, step, i):
        drawn, bins = draw(self, step, i)
        return (np.full_like(drawn, marked) if (step, i) == (3, 2) else drawn), bins

    def broken(model, drawn, bins, lengths):
        return losses(model, drawn, bins, lengths) * (float("nan") if (drawn[:, :9] == marked).all(1).any() else 1)

    def work(rank):
        monkeypatch.setattr(Windows, "draw", draw_marked)
        monkeypatch.setattr(training_step, "window_losses", broken)
        try:
            gest.pretrain(tokens, vocabulary, TINY, seed=5, out=tmp_path / f"m{os.environ['WORLD_SIZE']}")
        except (FloatingPointError, SystemExit) as error:
            return str(error)

    for size in (1, 2):
        (message,) = (text for text in together(size, work, tmp_path) if text != "2")
        assert "loss is nan" in message
        assert "at step 3 (windows 2 of seed 5); nothing was updated" in message
