"""The training loop: it learns, resumes to the same bits, and stops at errors and signals."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from helpers import TINY

import gest
from gest import GeST
from gest.errors import Interrupted, UserError, exit_code
from gest.training import checkpoint, loop, reporting, step
from gest.training.batches import Windows
from gest.training.objective import marginal_loss, validate, window_losses
from gest.windows import Tokens


def weights(model):
    return {name: w.clone() for name, w in model.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[name], b[name]) for name in a)


def test_overfits_one_window(vocabulary, rng):
    """One window of random cells is memorised at all four levels."""
    tokens = torch.tensor(rng.integers(0, len(vocabulary), (1, 24)))
    bins = torch.tensor(rng.integers(0, 201, (1, 24, 2)))
    model = GeST(TINY, vocabulary)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(200):
        losses = window_losses(model, tokens, bins, torch.tensor([24]))
        optimiser.zero_grad()
        losses.mean().backward()
        optimiser.step()
    assert (losses < 0.05).all()


@pytest.mark.slow
def test_learns_tissue_better_than_frequencies(tokens, vocabulary, tmp_path):
    config = TINY | {"pretraining": TINY["pretraining"] | {"steps": 150, "validate_every": 50, "batch_size": 8}}
    model = gest.pretrain(tokens[:1], vocabulary, config, validation=tokens[1:], out=tmp_path / "m")
    assert model.metrics["validation_loss"] < model.metrics["marginal_loss"]
    shuffled = [Tokens(s.xy, np.random.default_rng(0).permutation(s.tokens)) for s in tokens[1:]]
    assert validate(model, tokens[1:], seed=0)[0] < validate(model, shuffled, seed=0)[0]


def test_whole_numbers_are_weights_of_levels(tokens, vocabulary, tmp_path):
    """The ablation without hierarchy has weight 1 for level 0 alone."""
    config = TINY | {"loss": {"weights": [1, 0, 0, 0]}}
    gest.pretrain(tokens[:1], vocabulary, config, validation=tokens[1:], out=tmp_path / "m")
    last = (tmp_path / "m/log.csv").read_text().splitlines()[-1].split(",")
    assert last[2] == last[3]
    assert last[4] == last[5]


def test_the_plan_is_printed_before_the_training(tokens, vocabulary, tmp_path, capsys):
    gest.pretrain(tokens[:1], vocabulary, TINY, validation=tokens[1:], out=tmp_path / "m")
    printed = capsys.readouterr().err
    n, held_out = len(tokens[0].xy), sum(len(section.xy) for section in tokens[1:])
    assert f"pretrain: 12 steps, 4 windows of 300 µm per step; training sections: 1 ({n:,} cells)" in printed
    assert f"held out: {len(tokens) - 1} ({held_out:,} cells); " in printed
    assert printed.index("processes: 1; state in") < printed.index("training:")


def test_same_seed_same_bytes(tokens, vocabulary, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        gest.pretrain(tokens, vocabulary, TINY, seed=seed, out=tmp_path / name)
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b != c


@pytest.mark.slow
@pytest.mark.parametrize(("dropout", "thinning", "rotate"), [(0.0, 0.0, False), (0.2, 0.8, True)])
def test_resumed_equals_uninterrupted(tokens, vocabulary, tmp_path, monkeypatch, dropout, thinning, rotate):
    config = TINY | {"model": TINY["model"] | {"dropout": dropout}}
    config["pretraining"] = TINY["pretraining"] | {"thinning": thinning, "rotate": rotate}
    whole = gest.pretrain(tokens[:1], vocabulary, config, validation=tokens[1:], out=tmp_path / "whole")

    draw = Windows.batch

    def killed(self, step, *rest):
        if step == 11:  # after the checkpoint of step 8
            raise KeyboardInterrupt
        return draw(self, step, *rest)

    arguments = {"validation": tokens[1:], "out": tmp_path / "cut", "state": tmp_path / "state"}
    monkeypatch.setattr(Windows, "batch", killed)
    with pytest.raises(KeyboardInterrupt):
        gest.pretrain(tokens[:1], vocabulary, config, **arguments)
    assert not (tmp_path / "cut").exists()
    steps = []
    monkeypatch.setattr(Windows, "batch", lambda self, step, *rest: (steps.append(step), draw(self, step, *rest))[1])
    resumed = gest.pretrain(tokens[:1], vocabulary, config, **arguments)
    assert [step for step in steps if step < 2**31][:4] == [9, 10, 11, 12]
    assert same(weights(resumed), weights(whole))
    logs = [
        [row.rsplit(",", 1)[0] for row in (tmp_path / n / "log.csv").read_text().splitlines()] for n in ("cut", "whole")
    ]
    assert logs[0] == logs[1]  # except for the cells per second


@pytest.mark.slow
def test_killed_process_resumes_to_the_same_bits(tokens, vocabulary, tmp_path):
    """A real process is ended by SIGKILL during training; then the same command runs again."""
    vocabulary.save(tmp_path / "v.npz")
    np.savez(tmp_path / "t.npz", xy=tokens[0].xy, tokens=tokens[0].tokens)
    config = TINY | {"pretraining": TINY["pretraining"] | {"steps": 60, "checkpoint_every": 5}}
    (tmp_path / "c.json").write_text(json.dumps(config))
    code = (
        "import sys, json, numpy as np, torch, gest; from gest.windows import Tokens; torch.set_num_threads(1);"
        "t = np.load('t.npz'); gest.pretrain([Tokens(t['xy'], t['tokens'])], gest.Vocabulary.load('v.npz'),"
        " json.load(open('c.json')), out=sys.argv[1])"
    )

    def start(name):
        return subprocess.Popen([sys.executable, "-c", code, name], cwd=tmp_path, stderr=subprocess.PIPE, text=True)

    assert start("whole").wait() == 0
    process = start("cut")
    state = tmp_path / "cut.state"
    while process.poll() is None and not list(state.glob("*/step-*15.pt")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "cut").exists()
    second = start("cut")
    assert "resumed at step" in second.communicate()[1]
    assert (tmp_path / "cut/model.safetensors").read_bytes() == (tmp_path / "whole/model.safetensors").read_bytes()


def test_a_finished_model_is_not_trained_again(tokens, vocabulary, tmp_path, monkeypatch):
    first = gest.pretrain(tokens, vocabulary, TINY, out=tmp_path / "m")
    assert list((tmp_path / "m.state").glob("*/step-*")), "the state is kept until the model is found whole"
    monkeypatch.setattr(Windows, "batch", None)
    second = gest.pretrain(tokens, vocabulary, TINY, out=tmp_path / "m")
    assert same(weights(first), weights(second))
    assert not list((tmp_path / "m.state").glob("*/step-*"))


def test_a_lost_model_comes_back_from_its_state(tokens, vocabulary, tmp_path):
    import shutil

    first = gest.pretrain(tokens, vocabulary, TINY, out=tmp_path / "m")
    content = (tmp_path / "m/model.safetensors").read_bytes()
    shutil.rmtree(tmp_path / "m")  # as Snakemake does when a job fails after it has written its output
    restored = gest.pretrain(tokens, vocabulary, TINY, out=tmp_path / "m")
    assert same(weights(first), weights(restored))
    assert (tmp_path / "m/model.safetensors").read_bytes() == content


def test_the_weights_of_the_lowest_validation_loss_are_kept(tokens, vocabulary, tmp_path):
    config = TINY | {"pretraining": TINY["pretraining"] | {"steps": 40, "learning_rate": 0.3, "clip": 100.0}}
    model = gest.pretrain(tokens[:1], vocabulary, config, validation=tokens[1:], out=tmp_path / "m")
    rows = [line.split(",") for line in (tmp_path / "m/log.csv").read_text().splitlines()[1:]]
    lowest = min(rows, key=lambda row: float(row[4]))
    assert model.metrics["kept_step"] == int(lowest[0])
    assert validate(model, tokens[1:], seed=0)[0] == pytest.approx(float(lowest[4]), rel=1e-5)


def test_non_finite_loss_stops_before_the_update(tokens, vocabulary, tmp_path, monkeypatch):
    losses = step.window_losses

    def broken(model, *batch):
        broken.calls += 1
        broken.before = weights(model)
        broken.model = model
        return losses(model, *batch) * (float("nan") if broken.calls == 3 else 1)

    broken.calls = 0
    monkeypatch.setattr(step, "window_losses", broken)
    with pytest.raises(FloatingPointError, match=r"loss is nan, .* step 3 .*seed 5.*nothing was updated"):
        gest.pretrain(tokens, vocabulary, TINY, seed=5, out=tmp_path / "m")
    assert same(weights(broken.model), broken.before)
    assert not (tmp_path / "m").exists()


def test_non_finite_gradient_stops_before_the_update(tokens, vocabulary, tmp_path, monkeypatch):
    """The loss is finite but its gradient overflows; clipping would turn infinity into NaN weights."""
    clip, before_and_after = torch.nn.utils.clip_grad_norm_, []

    def overflown(parameters, largest):
        parameters = list(parameters)
        before_and_after[:] = [p.detach().clone() for p in parameters], parameters
        parameters[0].grad[0] = float("inf")
        return clip(parameters, largest)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", overflown)
    with pytest.raises(FloatingPointError, match="gradient's norm inf, at step 1"):
        gest.pretrain(tokens, vocabulary, TINY, out=tmp_path / "m")
    assert all(torch.equal(a, b) for a, b in zip(*before_and_after, strict=True))


def test_non_finite_validation_stops(tokens, vocabulary, tmp_path, monkeypatch):
    """Otherwise the weights of that validation would be kept for ever, because no loss is below NaN."""
    monkeypatch.setattr(loop, "validate", lambda *_, **__: (float("nan"), float("nan")))
    with pytest.raises(FloatingPointError, match="validation loss after step 4 is nan"):
        gest.pretrain(tokens[:1], vocabulary, TINY, validation=tokens[1:], out=tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_another_folder_is_refused_before_training(tokens, vocabulary, tmp_path, monkeypatch):
    (tmp_path / "precious.txt").touch()
    monkeypatch.setattr(Windows, "batch", None)
    with pytest.raises(UserError, match=r"already exists without config\.json"):
        gest.pretrain(tokens, vocabulary, TINY, out=tmp_path)
    assert (tmp_path / "precious.txt").exists()


def test_marginal_loss_is_that_of_the_frequencies(tokens, vocabulary):
    config = gest.Config.of(TINY | {"loss": {"weights": [0.4, 0.3, 0.2, 0.1]}})
    counts = np.bincount(tokens[0].tokens, minlength=len(vocabulary)) + 0.5
    logits = torch.tensor(np.log(counts)).expand(len(tokens[1].tokens), -1)
    expected = gest.loss.hierarchical_loss(logits, tokens[1].tokens, vocabulary.levels, config.loss.weights)
    assert marginal_loss(tokens[:1], tokens[1:], vocabulary, config) == pytest.approx(expected.item())


def test_log_and_throughput_appear_during_training(tokens, vocabulary, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(reporting, "_FIRST_REPORT", 3)
    draw = Windows.batch

    def look(self, step, *rest):
        if step == 6:
            (log,) = (tmp_path / "m.state").glob("*/log.csv")
            assert [line.split(",")[0] for line in log.read_text().splitlines()] == ["step", "4"]
            assert "cells/s on cpu after 3 steps" in capsys.readouterr().err
            look.seen = True
        return draw(self, step, *rest)

    monkeypatch.setattr(Windows, "batch", look)
    gest.pretrain(tokens, vocabulary, TINY, out=tmp_path / "m")
    assert look.seen


def test_a_second_training_of_the_same_model_is_refused(tokens, vocabulary, tmp_path):
    config = gest.Config.of(TINY)
    key = checkpoint.run_key(config, tokens, [], vocabulary, 0)
    with (
        checkpoint.Checkpoints(tmp_path / "state" / key),
        pytest.raises(UserError, match="another process is training this model"),
    ):
        gest.pretrain(tokens, vocabulary, config, out=tmp_path / "m", state=tmp_path / "state")


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_stops_after_the_step_and_nothing_is_lost(tokens, vocabulary, tmp_path, monkeypatch, kind):
    whole = gest.pretrain(tokens, vocabulary, TINY, out=tmp_path / "whole")
    before, draw, steps = {k: signal.getsignal(k) for k in (signal.SIGTERM, signal.SIGUSR1)}, Windows.batch, []

    def interrupted(*batch):
        steps.append(len(steps) + 1)
        if len(steps) == 6:
            os.kill(os.getpid(), kind)
        return window_losses(*batch)

    with monkeypatch.context() as patched:
        patched.setattr(step, "window_losses", interrupted)
        try:
            with pytest.raises(Interrupted, match=f"{kind.name} stopped it after step 6; its state is saved") as error:
                gest.pretrain(tokens, vocabulary, TINY, out=tmp_path / "cut")
            for later in before:  # the death of a launcher sends a signal for each of its threads
                os.kill(os.getpid(), later)
        finally:
            for k, handler in before.items():
                signal.signal(k, handler)
    assert exit_code(error.value) == 75
    assert not (tmp_path / "cut").exists()
    drawn = []
    monkeypatch.setattr(Windows, "batch", lambda self, step, *rest: (drawn.append(step), draw(self, step, *rest))[1])
    resumed = gest.pretrain(tokens, vocabulary, TINY, out=tmp_path / "cut")
    assert {k: signal.getsignal(k) for k in before} == before, "a training that ends by itself restores the handlers"
    assert drawn[0] == 7
    assert same(weights(resumed), weights(whole))


def test_long_steps_are_saved_by_the_clock_with_the_same_weights_at_the_end(tokens, vocabulary, tmp_path, monkeypatch):
    usual = gest.pretrain(tokens, vocabulary, TINY, out=tmp_path / "usual")
    save, saved = checkpoint.Checkpoints.save, []
    monkeypatch.setattr(checkpoint, "_MAX_SECONDS", 0)
    monkeypatch.setattr(
        checkpoint.Checkpoints, "save", lambda self, step, state: (saved.append(step), save(self, step, state))
    )
    often = gest.pretrain(tokens, vocabulary, TINY, out=tmp_path / "often")
    assert saved == list(range(1, 13))
    assert same(weights(often), weights(usual))


def test_windows_are_a_function_of_seed_and_step(tokens):
    config = gest.Config.of(TINY)
    a, b = (Windows(tokens, config, seed=3) for _ in range(2))
    b.batch(7, range(2), "cpu")  # earlier draws do not matter
    for x, y in zip(a.batch(9, range(4), "cpu"), b.batch(9, range(4), "cpu"), strict=True):
        assert torch.equal(x, y)
    assert not torch.equal(a.batch(9, range(4), "cpu")[1], a.batch(10, range(4), "cpu")[1])


def test_windows_are_thinned_only_in_training(tokens, vocabulary):
    config = gest.Config.of(TINY | {"pretraining": {"thinning": 1.0}})
    whole, thinned = (Windows(tokens, config, seed=0, states=states) for states in (None, vocabulary.states()))
    sizes = np.array([[len(windows.draw(1, i)[0]) for windows in (whole, thinned)] for i in range(40)])
    assert 0.3 < sizes[:, 1].sum() / sizes[:, 0].sum() < 0.7
    model = GeST(config, vocabulary)
    plain = GeST(TINY, vocabulary)
    plain.load_state_dict(model.state_dict())
    assert validate(model, tokens, seed=0) == validate(plain, tokens, seed=0)


def test_the_loss_ignores_padding(model, tokens):
    """The loss of a batch is the mean over all targets of its windows, each run alone without padding."""
    windows = Windows(tokens, model.config, seed=0)
    batch, bins, lengths = windows.batch(1, range(3), torch.device("cpu"))
    singles = [
        window_losses(model, batch[i : i + 1, :n], bins[i : i + 1, :n], lengths[i : i + 1])
        for i, n in enumerate(lengths)
    ]
    expected = sum(loss * (n - 1) for loss, n in zip(singles, lengths, strict=True)) / (lengths - 1).sum()
    torch.testing.assert_close(window_losses(model, batch, bins, lengths), expected)


def test_finetune_leaves_the_model_alone_and_learns(model, tokens):
    before = weights(model)
    tuned = gest.finetune(tokens[:1], model, steps=60)
    assert same(weights(model), before)
    assert validate(tuned, tokens[:1], seed=9)[0] < validate(model, tokens[:1], seed=9)[0]
    assert same(weights(gest.finetune(tokens[:1], model, steps=60)), weights(tuned))
    assert tuned.config == model.config


def test_sections_without_cells_are_refused(vocabulary, tmp_path):
    with pytest.raises(UserError, match="no section has two cells"):
        gest.pretrain([Tokens(np.zeros((1, 2)), np.zeros(1, int))], vocabulary, TINY, out=tmp_path / "m")
