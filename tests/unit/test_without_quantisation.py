"""The model without quantisation: its forward pass, its loss, training from disk, resuming, generation."""

import numpy as np
import pytest
import torch
from helpers import TINY

import gest
from gest import GeST
from gest.attention import spatial_mask
from gest.data.tokenize import expression, tokenize
from gest.errors import UserError
from gest.tasks.generation.rounds import generate_tokens, tokenize_seen
from gest.training.batches import Windows
from gest.training.checkpoint import run_key
from gest.training.objective import window_losses
from gest.windows import CORNERS, Tokens, position_bins, serialize

CONTINUOUS = TINY | {"model": TINY["model"] | {"quantised": False}}


@pytest.fixture
def model(vocabulary):
    torch.manual_seed(0)
    return GeST(CONTINUOUS, vocabulary).eval()


@pytest.fixture
def in_memory(sections, vocabulary):
    """The sections as tokens, with their expression in memory."""
    return [Tokens(*tokenize(section, vocabulary)[:2], expression(section, vocabulary)) for section in sections]


def window(model, n, rng):
    T = len(model.vocabulary.genes)
    return torch.tensor(rng.random((2, n, T)), dtype=torch.float32), torch.tensor(rng.integers(0, 201, (2, n, 2)))


def linear(layer, x):
    return x @ layer.weight.T + layer.bias


def norm(layer, x):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.pow(2).mean(-1, keepdim=True) + layer.eps).sqrt() * layer.weight + layer.bias


def gelu(x):
    return x * (1 + torch.erf(x / 2**0.5)) / 2


def reference(model, cells, bins):
    """Run the whole model over one sequence of 2L tokens, under the explicit mask of Eq. 6: ŷ (B, L, T)."""
    positions = model.position_tokens(bins)
    x = torch.cat((linear(model.embed, cells[:, :-1]) + positions[:, :-1], positions[:, 1:]), dim=1)
    L, heads = cells.shape[1] - 1, model.config.model.heads
    for block in model.blocks:
        q, k, v = linear(block.qkv, norm(block.norm_attention, x)).chunk(3, dim=-1)
        attended = []
        for q_h, k_h, v_h in zip(*(part.chunk(heads, dim=-1) for part in (q, k, v)), strict=True):
            scores = q_h @ k_h.transpose(1, 2) / q_h.shape[-1] ** 0.5
            attended.append(scores.masked_fill(~spatial_mask(L), -torch.inf).softmax(-1) @ v_h)
        x = x + linear(block.project, torch.cat(attended, dim=-1))
        x = x + linear(block.feed[2], gelu(linear(block.feed[0], norm(block.norm_feed, x))))
    return linear(model.decode, gelu(linear(model.hidden[0], norm(model.norm, x[:, L:]))))


@torch.no_grad()
def test_forward_and_loss_equal_the_reference(model, rng):
    for parameter in model.parameters():  # no weight keeps its initial 0 or 1
        parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.1)
    cells, bins = window(model, 9, rng)
    expected = reference(model, cells, bins)
    torch.testing.assert_close(model(cells, bins), expected, rtol=1e-4, atol=1e-5)
    lengths = np.array([9, 5])
    errors = [((expected[i, : n - 1] - cells[i, 1:n]) ** 2).numpy() for i, n in enumerate(lengths)]
    loss = window_losses(model, cells, bins, torch.tensor(lengths))
    np.testing.assert_allclose(loss, [np.concatenate(errors).mean()], rtol=1e-4)


@torch.no_grad()
def test_a_model_of_meta_cells_is_this_one_fed_with_their_means(model, vocabulary, rng):
    quantised = GeST(TINY, vocabulary).eval()
    quantised.load_state_dict(model.state_dict())
    tokens, bins = torch.tensor(rng.integers(0, len(vocabulary), (2, 9))), torch.tensor(rng.integers(0, 201, (2, 9, 2)))
    z = model(model.codebook[tokens], bins) @ model.codebook.T  # Eq. 7
    torch.testing.assert_close(quantised(tokens, bins), z, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_before_training_the_mean_cell_is_predicted(vocabulary, rng):
    model = GeST(CONTINUOUS, vocabulary).eval()
    predicted = model(*window(model, 9, rng)).numpy()
    spread = vocabulary.expression.std(0).max()
    assert np.abs(predicted - vocabulary.mean).max() < spread


def test_windows_hold_the_cells_that_those_of_meta_cells_hold(in_memory):
    settings = {"pretraining": TINY["pretraining"] | {"rotate": True, "thinning": 1.0}}
    states = np.random.default_rng(3).normal(size=(20, 4))
    (tokens, bins, lengths), (rows, same_bins, same_lengths) = (
        Windows(in_memory, gest.Config.of(config | settings), seed=5, states=states).batch(3, range(4), "cpu")
        for config in (TINY, CONTINUOUS)
    )
    assert torch.equal(bins, same_bins)
    assert torch.equal(lengths, same_lengths)
    assert rows.dtype == torch.float32
    for i, n in enumerate(lengths):
        for token, row in zip(tokens[i, :n], rows[i, :n].numpy(), strict=True):
            cells = np.flatnonzero(np.concatenate([section.tokens for section in in_memory]) == int(token))
            candidates = np.concatenate([section.expression.toarray() for section in in_memory])[cells]
            assert (candidates == row).all(1).any()
        assert not rows[i, n:].any()


def test_streamed_equals_in_memory(sections, in_memory, vocabulary, tmp_path):
    for name, data in (("streamed", sections), ("memory", in_memory)):
        gest.pretrain(data[:1], vocabulary, CONTINUOUS, validation=data[1:], out=tmp_path / name)
    a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("streamed", "memory"))
    assert a == b
    states = [{path.name for path in (tmp_path / f"{name}.state").rglob("*")} for name in ("streamed", "memory")]
    assert states[0] == states[1]  # no file with expression is left


def test_resumed_equals_uninterrupted(sections, vocabulary, tmp_path, monkeypatch):
    config = CONTINUOUS | {"model": CONTINUOUS["model"] | {"dropout": 0.2}}
    config["pretraining"] = TINY["pretraining"] | {"thinning": 0.8}
    whole = gest.pretrain(sections[:1], vocabulary, config, validation=sections[1:], out=tmp_path / "whole")
    draw, steps = Windows.batch, []

    def killed(self, step, *rest):
        if step == 11:
            raise KeyboardInterrupt
        return draw(self, step, *rest)

    monkeypatch.setattr(Windows, "batch", killed)
    with pytest.raises(KeyboardInterrupt):
        gest.pretrain(sections[:1], vocabulary, config, validation=sections[1:], out=tmp_path / "cut")
    monkeypatch.setattr(Windows, "batch", lambda self, step, *rest: (steps.append(step), draw(self, step, *rest))[1])
    resumed = gest.pretrain(sections[:1], vocabulary, config, validation=sections[1:], out=tmp_path / "cut")
    assert [step for step in steps if step < 2**31][:4] == [9, 10, 11, 12]
    assert all(torch.equal(w, resumed.state_dict()[name]) for name, w in whole.state_dict().items())


def test_learns_tissue_better_than_the_mean(in_memory, vocabulary, tmp_path):
    config = CONTINUOUS | {"pretraining": TINY["pretraining"] | {"steps": 80, "validate_every": 40, "batch_size": 8}}
    model = gest.pretrain(in_memory[:1], vocabulary, config, validation=in_memory[1:], out=tmp_path / "m")
    assert model.metrics["validation_loss"] < model.metrics["marginal_loss"]


def test_the_key_of_a_training_depends_on_expression(in_memory, vocabulary):
    other = in_memory[0].expression.copy()
    other.data[0] += 1
    for config, differ in ((TINY, False), (CONTINUOUS, True)):
        config = gest.Config.of(config)
        versions = [in_memory[0]._replace(expression=rows) for rows in (other, in_memory[0].expression)]
        keys = {run_key(config, [version], [], vocabulary, 0) for version in versions}
        assert len(keys) == 1 + differ


def test_saved_and_loaded(model, rng, tmp_path):
    model.save(tmp_path / "m")
    loaded = gest.load(tmp_path / "m")
    assert not loaded.quantised
    cells, bins = window(model, 9, rng)
    torch.testing.assert_close(loaded(cells, bins), model(cells, bins), rtol=0, atol=0)


def test_finetune(model, in_memory, sections):
    before = {name: w.clone() for name, w in model.state_dict().items()}
    tuned, from_sections = (gest.finetune(data[:1], model, steps=5) for data in (in_memory, sections))
    assert not tuned.quantised
    assert all(torch.equal(w, before[name]) for name, w in model.state_dict().items())
    assert all(torch.equal(w, from_sections.state_dict()[name]) for name, w in tuned.state_dict().items())
    assert not torch.equal(tuned.decode.weight, model.decode.weight)


def rounds_of(model, xy, rows, seed):
    """Run A.2 with one target per call of the training graph; later rounds see the mean of the estimates."""
    rows, half = rows.copy(), model.config.window / 2
    rounds = np.zeros(len(xy), dtype=int)
    while np.isnan(rows).any():
        number, estimates = rounds.max() + 1, {}
        hidden = np.isnan(rows).any(1)
        for r in np.flatnonzero(~hidden):
            inside = (np.abs(xy - xy[r]) <= half).all(1)
            seen = np.flatnonzero(inside & ~hidden)
            rng = np.random.default_rng((seed, number, r))
            corner = xy[r] + (CORNERS[rng.integers(4)] - 0.5) * model.config.window
            seen = seen[serialize(xy[seen], corner=corner, rng=rng)]
            for u in np.flatnonzero(inside & hidden):
                bins = position_bins(xy[np.append(seen, u)], xy[r], window=model.config.window)
                cells = torch.tensor(np.append(rows[seen], np.zeros((1, rows.shape[1]), np.float32), axis=0))
                with torch.no_grad():
                    estimates.setdefault(u, []).append(model(cells[None], torch.tensor(bins)[None])[0, -1].numpy())
        for u, values in estimates.items():
            rows[u], rounds[u] = np.mean(values, axis=0), number  # Eq. 11
    return rows, rounds


def test_generation_equals_the_reference(model, in_memory, rng):
    xy = rng.uniform((0, 0), (600, 60), (40, 2))
    unseen = xy[:, 0] > 300
    rows = in_memory[0].expression[:40]
    tokens = tokenize_seen(model, rows[~unseen], unseen)
    assert np.isnan(tokens[unseen]).all()
    generated = generate_tokens(model, xy, tokens, seed=4)
    expected, rounds = rounds_of(model, xy, tokens, seed=4)
    assert rounds.max() >= 2
    np.testing.assert_array_equal(generated.rounds, rounds[unseen])
    np.testing.assert_allclose(generated.means, expected[unseen], atol=1e-5)
    for size in (1, 7):
        means = generate_tokens(model, xy, tokens, seed=4, batch_size=size).means
        np.testing.assert_allclose(means, generated.means, atol=1e-5)


def test_negative_values_come_out_and_are_counted(model, sections):
    unseen = sections[0].obsm["spatial"][:, 0] > 600
    with torch.no_grad():
        model.decode.bias.copy_(torch.tensor(model.vocabulary.mean) - 100)
    result = gest.generate(sections[0].copy(), model, unseen=unseen)
    assert (result.layers["gest"][unseen] < 0).all()
    assert result.uns["gest"]["n_negative"] == unseen.sum() * result.n_vars
    assert result.uns["gest"]["mode"] == "continuous"


def test_unseen_profiles_are_never_read(model, sections):
    unseen = sections[0].obsm["spatial"][:, 0] > 600
    other = sections[0].copy()
    other.X = other.X.multiply(np.where(unseen, 7, 1)[:, None]).tocsr()
    a, b = (gest.generate(s, model, unseen=unseen).layers["gest"] for s in (sections[0].copy(), other))
    np.testing.assert_array_equal(a, b)


def test_picking_needs_meta_cells(model, sections):
    with pytest.raises(UserError, match="mode 'picking' needs meta cells, and this model has none"):
        gest.generate(sections[0].copy(), model, unseen=np.arange(500) < 20, mode="picking")


def test_nothing_is_generated_without_a_seen_cell(model):
    with pytest.raises(UserError, match="every cell is unseen"):
        generate_tokens(model, np.zeros((3, 2)), np.full((3, 40), np.nan, dtype=np.float32))


def test_tokens_alone_are_not_enough_to_learn_from(model, tokens, vocabulary, tmp_path):
    with pytest.raises(UserError, match="have no expression, which a model without quantisation learns from"):
        gest.pretrain(tokens, vocabulary, CONTINUOUS, out=tmp_path / "m")
    with pytest.raises(UserError, match="have no expression"):
        gest.finetune(tokens, model, steps=1)


def test_quantised_is_true_or_false():
    with pytest.raises(UserError, match=r"model\.quantised: 'no' is not of type bool"):
        gest.Config.of({"model": {"quantised": "no"}})
    assert gest.Config.of(None).model.quantised
