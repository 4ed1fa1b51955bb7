"""Generation (A.2): rounds, averaging (Eq. 11), modes, and unseen regions of every kind."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

import gest
from gest.errors import UserError
from gest.tasks.generation.rounds import generate_tokens
from gest.windows import CORNERS, position_bins, serialize


@pytest.fixture
def tissue(rng, model):
    """A strip of 1,000 µm: longer than the window of 300 µm, so that unseen regions can be larger than it."""
    xy = rng.uniform((0, 0), (1000, 100), (200, 2))
    return xy, rng.integers(0, len(model.vocabulary), 200)


def reference(model, xy, tokens, seed):
    """Run A.2 window by window with plain NumPy, one target per call of the model."""
    tokens, half = tokens.copy(), model.config.window / 2
    unseen = np.flatnonzero(tokens < 0)
    result, rounds = {}, {}
    number = 0
    while (tokens < 0).any():
        number += 1
        estimates = {}
        for r in np.flatnonzero(tokens >= 0):
            inside = (np.abs(xy - xy[r]) <= half).all(1)
            targets, seen = np.flatnonzero(inside & (tokens < 0)), np.flatnonzero(inside & (tokens >= 0))
            if not len(targets):
                continue
            rng = np.random.default_rng((seed, number, r))
            corner = xy[r] + (CORNERS[rng.integers(4)] - 0.5) * model.config.window
            seen = seen[serialize(xy[seen], corner=corner, rng=rng)]
            bins = torch.tensor(position_bins(xy[np.append(seen, 0)], xy[r], window=model.config.window))[None]
            for u in targets:
                bins[0, -1] = torch.tensor(position_bins(xy[u], xy[r], window=model.config.window))
                sequence = torch.tensor(np.append(tokens[seen], 0))[None]
                with torch.no_grad():
                    logits = model(sequence, bins)[0, -1].numpy()  # the last output of the training graph
                estimates.setdefault(u, []).append(softmax(logits))  # Eq. 8
        for u, values in estimates.items():
            result[u], rounds[u] = np.mean(values, axis=0), number  # Eq. 11
        for u in estimates:
            tokens[u] = result[u].argmax()
    return np.array([result[u] for u in unseen]), np.array([rounds[u] for u in unseen])


def test_equals_the_reference(model, tissue):
    xy, tokens = tissue
    tokens = np.where(xy[:, 0] > 550, -1, tokens)
    generated = generate_tokens(model, xy, tokens, seed=4)
    probabilities, rounds = reference(model, xy, tokens, seed=4)
    assert rounds.max() == 4  # 450 µm in steps of half a window
    np.testing.assert_array_equal(generated.rounds, rounds)
    np.testing.assert_allclose(generated.means, probabilities, atol=1e-5)


def test_batch_size_does_not_matter(model, tissue):
    xy, tokens = tissue
    tokens = np.where((xy[:, 0] > 300) & (xy[:, 0] < 600), -1, tokens)
    runs = [generate_tokens(model, xy, tokens, batch_size=size).means for size in (1, 7, 100)]
    for run in runs[1:]:
        np.testing.assert_allclose(run, runs[0], atol=1e-6)


def test_unseen_profiles_are_never_read(sections, model):
    adata = sections[0].copy()
    unseen = adata.obsm["spatial"][:, 0] > 450
    first = gest.generate(adata.copy(), model, unseen=unseen).layers["gest"]
    adata.X[np.flatnonzero(unseen)] = 7
    np.testing.assert_array_equal(gest.generate(adata, model, unseen=unseen).layers["gest"], first)


def test_result_in_anndata(sections, model):
    adata = sections[0][:, ::-1].copy()  # another order of genes
    adata = adata[:, :-3].copy()  # three of the model's genes are missing
    adata.obs["hidden"] = adata.obsm["spatial"][:, 0] > 450
    with pytest.warns(UserWarning, match="3 of the model's 40 genes"):
        result = gest.generate(adata, model, unseen="hidden", seed=2)
    assert result is adata
    layer, hidden = adata.layers["gest"], adata.obs["hidden"].to_numpy()
    assert layer.shape == adata.shape
    assert np.isfinite(layer).all()
    assert ((adata.obs["gest_round"] > 0) == hidden).all()
    settings = adata.uns["gest"]
    assert (settings["mode"], settings["seed"], settings["n_unseen"]) == ("weighted", 2, hidden.sum())
    assert len(settings["genes_missing"]) == 3
    # Weighted predictions are means over the codebook, in the order of adata.var.
    columns = [list(model.vocabulary.genes).index(gene) for gene in adata.var_names]
    low, high = model.vocabulary.expression.min(0)[columns], model.vocabulary.expression.max(0)[columns]
    assert (layer[hidden] >= low - 1e-4).all()
    assert (layer[hidden] <= high + 1e-4).all()


def test_genes_unknown_to_the_model_are_nan(sections, vocabulary, model):
    import anndata as ad
    import pandas as pd
    import scipy.sparse as sp

    extra = ad.AnnData(sp.csr_matrix(np.ones((sections[0].n_obs, 2))), var=pd.DataFrame(index=["new1", "new2"]))
    extra.obs_names = sections[0].obs_names
    adata = ad.concat([sections[0], extra], axis=1, merge="first")
    result = gest.generate(adata, model, unseen=adata.obsm["spatial"][:, 0] > 500)
    assert np.isnan(result[:, ["new1", "new2"]].layers["gest"]).all()
    assert np.isfinite(result[:, vocabulary.genes].layers["gest"]).all()


def test_modes(sections, model):
    unseen = sections[0].obsm["spatial"][:, 0] > 450
    picked = gest.generate(sections[0].copy(), model, unseen=unseen, mode="picking").layers["gest"][unseen]
    codebook = model.vocabulary.expression
    nearest = np.abs(picked[:, None] - codebook[None]).sum(-1).min(1)
    np.testing.assert_allclose(nearest, 0, atol=1e-5)  # every row is a meta cell
    weighted = gest.generate(sections[0].copy(), model, unseen=unseen).layers["gest"][unseen]
    assert (np.abs(weighted[:, None] - codebook[None]).sum(-1).min(1) > 1e-3).all()


def test_same_seed_same_bytes(sections, model):
    unseen = sections[0].obsm["spatial"][:, 0] > 450
    a, b, c = (gest.generate(sections[0].copy(), model, unseen=unseen, seed=s).layers["gest"] for s in (1, 1, 2))
    assert a.tobytes() == b.tobytes() != c.tobytes()


def test_lone_unseen_cell_within_reach(model, rng):
    xy = np.array([[0.0, 0], [140, 0]])
    generated = generate_tokens(model, xy, np.array([3, -1]))
    assert generated.rounds.tolist() == [1]
    assert generated.estimates.tolist() == [1]
    np.testing.assert_allclose(generated.means.sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize("offset", [150.0, -150.0])
def test_cells_on_the_windows_border_are_reached(model, offset):
    """Spots of a regular grid can lie exactly half a window apart."""
    assert generate_tokens(model, np.array([[0.0, 0], [0, offset]]), np.array([3, -1])).rounds.tolist() == [1]


def test_unreachable_cells_are_named(model):
    xy = np.array([[0.0, 0], [100, 0], [9000, 0], [9001, 0]])
    with pytest.raises(UserError, match=r"2 unseen cells \(the first is cell 2 at \[9000.0, 0.0\]"):
        generate_tokens(model, xy, np.array([0, -1, -1, -1]))


def test_seen_cells_without_counts_are_no_context(sections, model):
    unseen = sections[0].obsm["spatial"][:, 0] > 450
    adata = sections[0].copy()
    x = adata.X.toarray()
    empty = np.flatnonzero(~unseen)[::3]
    x[empty] = 0
    adata.X = type(adata.X)(x)
    with pytest.warns(UserWarning, match=f"{len(empty)} cells have no counts"):
        result = gest.generate(adata, model, unseen=unseen).layers["gest"][unseen]
    fewer = np.setdiff1d(np.arange(adata.n_obs), empty)
    without = gest.generate(adata[fewer].copy(), model, unseen=unseen[fewer]).layers["gest"][unseen[fewer]]
    np.testing.assert_array_equal(result, without)


def test_pixels_are_refused(sections, model):
    adata = sections[0].copy()
    adata.uns["spatial"] = {"slide": {"scalefactors": {"spot_diameter_fullres": 89.0}}}
    unseen = adata.obsm["spatial"][:, 0] > 450
    with pytest.raises(UserError, match="coordinates are in pixels"):
        gest.generate(adata, model, unseen=unseen)
    adata.uns["spatial_units"] = "um"
    gest.generate(adata, model, unseen=unseen)


def test_batch_size_must_be_positive(sections, model):
    with pytest.raises(UserError, match="batch size is -1"):
        gest.generate(sections[0].copy(), model, unseen=np.arange(500) < 20, batch_size=-1)


@pytest.mark.parametrize(
    ("unseen", "mode", "sentence"),
    [
        ("nowhere", "weighted", "obs has no column 'nowhere'"),
        ("section", "weighted", "expected 500 booleans"),
        (np.zeros(3, bool), "weighted", "expected 500 booleans"),
        (np.zeros(500, bool), "weighted", "no cell is unseen"),
        (np.ones(500, bool), "weighted", "every cell is unseen"),
        (np.arange(500) < 20, "median", r"unknown mode 'median' \(choose weighted or picking\)"),
    ],
)
def test_user_errors(sections, model, unseen, mode, sentence):
    with pytest.raises(UserError, match=sentence):
        gest.generate(sections[0].copy(), model, unseen=unseen, mode=mode)
