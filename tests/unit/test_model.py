"""The decoder: its size, which cells each token sees, the logits of Eq. 7, and the model directory."""

import numpy as np
import pytest
import torch
from helpers import TINY

import gest
from gest import GeST, Vocabulary
from gest.errors import UserError


def window(model, n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, len(model.vocabulary), (1, n), generator=generator)
    return tokens, torch.randint(0, 201, (1, n, 2), generator=generator)


def test_default_size_at_1122_genes(rng):
    big = Vocabulary.fit(rng.random((200, 1122)), n_metacells=20, n_components=5)
    parameters = sum(p.numel() for p in GeST(None, big).parameters())
    assert 0.9e6 < parameters < 1.2e6  # "about 1 million parameters"


@torch.no_grad()
def test_output_i_sees_cells_up_to_i_and_the_position_of_i_plus_1(model):
    tokens, bins = window(model, 9)
    original = model(tokens, bins)
    assert original.shape == (1, 8, len(model.vocabulary))
    for cell in range(9):
        other = tokens.clone()
        other[0, cell] = (other[0, cell] + 1) % len(model.vocabulary)
        changed = (model(other, bins) != original).any(-1)[0]
        assert changed.tolist() == [i >= cell for i in range(8)]  # the profile of cell c affects outputs c and later
        moved = bins.clone()
        moved[0, cell] = (moved[0, cell] + 50) % 201
        changed = (model(tokens, moved) != original).any(-1)[0]
        assert changed.tolist() == [i >= cell - 1 for i in range(8)]  # its position also affects its prediction


@torch.no_grad()
def test_logits_are_equation_7(model):
    h = torch.randn(5, 16)
    y = model.decode(model.hidden(model.norm(h)))  # ŷ (5, T)
    torch.testing.assert_close(model.logits(h), y @ model.codebook.T, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_logits_have_all_digits_in_mixed_precision(model):
    """Large logits need all digits too, because a softmax depends on their differences alone."""
    h = torch.randn(50, 16, generator=torch.Generator().manual_seed(0))
    model.decode.bias.fill_(100 / model.codebook.sum(1).mean())  # logits of about 100
    with torch.autocast("cpu", torch.bfloat16):
        logits, last = model.logits(h), model.hidden(model.norm(h))
    exact = (last.double() @ model.decode.weight.double().T + model.decode.bias) @ model.codebook.double().T
    assert exact.mean() > 50
    torch.testing.assert_close(logits.double(), exact, rtol=0, atol=1e-3)


def test_codebook_is_fixed(model):
    assert "codebook" not in dict(model.named_parameters())
    np.testing.assert_array_equal(model.codebook, model.vocabulary.expression)


@torch.no_grad()
def test_starts_from_the_principal_components(vocabulary):
    """Before training, a meta cell's embedding is its principal components, whitened over the meta cells."""
    fresh = GeST({"model": {"width": 16, "heads": 2}}, vocabulary)
    embedded = fresh.embed(fresh.codebook).numpy()  # 10 components, 16 wide
    expected = vocabulary.pca / vocabulary.pca.std(0)
    np.testing.assert_allclose(embedded[:, :10], expected, atol=1e-3)
    np.testing.assert_array_equal(embedded[:, 10:], 0)


@torch.no_grad()
def test_without_spatial_information_positions_do_not_matter(vocabulary, rng):
    """Without it (Table A.4), the same cells in the same order give the same output at any positions."""
    tokens, bins = torch.arange(9)[None], torch.tensor(rng.integers(0, 201, (2, 1, 9, 2)))
    for spatial in (True, False):
        torch.manual_seed(0)
        model = GeST(TINY | {"model": TINY["model"] | {"spatial": spatial}}, vocabulary).eval()
        here, there = (model(tokens, positions) for positions in bins)
        assert torch.equal(here, there) != spatial
        n_seen = torch.tensor([6])
        here, there = (model.predict(tokens[:, :6], positions[:, :6], n_seen, positions[:, 6:]) for positions in bins)
        assert torch.equal(here, there) != spatial
        assert (model.position_tokens(bins[0]) == 1).all() != spatial


@torch.no_grad()
def test_padding_changes_nothing(model):
    tokens, bins = window(model, 9)
    padded = torch.nn.functional.pad(tokens, (0, 4)), torch.nn.functional.pad(bins, (0, 0, 0, 4))
    torch.testing.assert_close(model(*padded)[:, :8], model(tokens, bins))


@torch.no_grad()
def test_predict_is_the_forward_pass_for_the_next_cell(model):
    """The prediction from all seen cells equals the last output of the training graph."""
    tokens, bins = window(model, 9)
    single = model.predict(tokens[:, :8], bins[:, :8], torch.tensor([8]), bins[:, 8:])
    torch.testing.assert_close(single[:, 0], model(tokens, bins)[:, -1])


@torch.no_grad()
def test_targets_do_not_see_each_other(model):
    tokens, bins = window(model, 9)
    together = model.predict(tokens[:, :6], bins[:, :6], torch.tensor([6]), bins[:, 6:])
    for i in range(3):
        single = model.predict(tokens[:, :6], bins[:, :6], torch.tensor([6]), bins[:, 6 + i : 7 + i])
        torch.testing.assert_close(single[:, 0], together[:, i])


@torch.no_grad()
def test_saved_and_loaded(model, tmp_path):
    model.metrics = {"loss": 1.5}
    model.save(tmp_path / "m")
    model.save(tmp_path / "m")  # replaces the first one
    assert {p.name for p in (tmp_path / "m").iterdir()} == {
        "model.safetensors", "config.json", "vocabulary.npz", "metrics.json",
    }  # fmt: skip
    assert [p.name for p in tmp_path.iterdir()] == ["m"]
    loaded = gest.load(model_dir=tmp_path / "m")
    assert loaded.metrics["loss"] == 1.5
    assert loaded.metrics["parameters"] == sum(p.numel() for p in model.parameters())
    assert loaded.config == model.config
    torch.testing.assert_close(loaded(*window(model, 9)), model(*window(model, 9)), rtol=0, atol=0)


def test_incomplete_directories(model, tmp_path):
    with pytest.raises(UserError, match=r"model.safetensors.*missing"):
        gest.load(tmp_path)
    model.save(tmp_path / "m")
    (tmp_path / "m/config.json").write_text('{"model": {"layers": 5, "heads": 2, "width": 16}}')
    with pytest.raises(UserError, match=r"the weights do not fit config\.json and vocabulary\.npz"):
        gest.load(tmp_path / "m")


def test_saving_never_removes_another_folder(model, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/precious.h5ad").touch()
    with pytest.raises(UserError, match=r"already exists without config\.json"):
        model.save(tmp_path / "data")
    assert (tmp_path / "data/precious.h5ad").exists()
    (tmp_path / "empty").mkdir()
    model.save(tmp_path / "empty")
    assert gest.load(tmp_path / "empty")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocabulary.npz"])
def test_damaged_directories(model, tmp_path, name):
    model.save(tmp_path / "m")
    for content in (b"", (tmp_path / "m" / name).read_bytes()[:-9]):
        (tmp_path / "m" / name).write_bytes(content)
        with pytest.raises(UserError, match=r"damaged|not a vocabulary"):
            gest.load(tmp_path / "m")


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"model": {"depth": 3}}, r"model\.depth: unknown key \(choose layers, heads"),
        ({"model": {"width": 30}}, r"model\.width: 30 is not a multiple of 4"),
        ({"model": {"width": 32, "heads": 3}}, r"multiple of model\.heads \(3\)"),
        ({"model": {"heads": 0}}, r"model\.heads: 0 is out of range \(expected at least 1\)"),
        ({"model": {"dropout": 1.5}}, r"model\.dropout: 1\.5 is out of range .* and below 1\)"),
        ({"pretraining": {"steps": "100"}}, r"pretraining\.steps: '100' is not of type int"),
        ({"pretraining": {"validate_every": 0}}, r"pretraining\.validate_every: 0 is out .* at least 1\)"),
        ({"window": -1}, r"window: -1\.0 is out of range \(expected above 0\)"),
        ({"serialisation": {"order": "x"}}, r"serialisation\.order: unknown value 'x' .*ordinal or random"),
        ({"loss": {"weights": [1, 0]}}, r"loss\.weights: 2 values are given \(expected 4"),
    ],
)
def test_config_errors(config, sentence):
    with pytest.raises(UserError, match=sentence):
        gest.Config.of(config)


def test_config_round_trip():
    config = gest.Config.of({"window": 200, "model": {"layers": 3}, "datasets": {"the workflow's": 1}})
    assert gest.Config.of(config.to_dict()) == config
    assert (config.window, config.model.layers, config.model.heads) == (200, 3, 8)


@pytest.mark.slow
def test_core_needs_torch_and_numpy_alone():
    """The model runs on a machine without the packages of the scanpy ecosystem: its import needs none of them."""
    import subprocess
    import sys

    code = (
        "import sys, gest; assert 'torch' not in sys.modules; gest.GeST, gest.load, gest.pretrain, gest.generate; "
        "print([m for m in ('scanpy', 'anndata', 'pandas', 'scipy', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"
