"""Crops, and the one contract of every method on them."""

import numpy as np
import pytest

from gest.crops import draw_crops, read_crops, write_crops
from gest.errors import UserError
from gest.holdout import METHODS, predict_crops
from gest.tokens import expression


@pytest.fixture
def crops(sections):
    return draw_crops(sections[0].obsm["spatial"], name="s0", n=2, sides=[150, 250], min_cells=10)


def test_crops_are_squares_with_cells(rng, tmp_path):
    xy = rng.uniform(0, 2000, (3000, 2))
    crops = draw_crops(xy, name="a", n=20, sides=[300, 900], min_cells=50)
    assert [crop.crop for crop in crops] == [str(i) for i in range(20)]
    for crop in crops:
        inside = crop.contains(xy)
        assert 300 <= crop.side <= 900
        assert 50 <= inside.sum() <= 1500
        brute = [crop.x <= x < crop.x + crop.side and crop.y <= y < crop.y + crop.side for x, y in xy]
        np.testing.assert_array_equal(inside, brute)
    write_crops(crops, tmp_path / "c.json")
    assert read_crops(tmp_path / "c.json") == crops


def test_crops_depend_on_section_and_seed_alone(rng):
    xy = rng.uniform(0, 2000, (3000, 2))
    settings = {"n": 5, "sides": [300, 900], "min_cells": 50}
    first = draw_crops(xy, name="a", **settings)
    assert draw_crops(xy, name="a", **settings) == first
    assert draw_crops(xy, name="b", **settings) != first
    assert draw_crops(xy, name="a", seed=1, **settings) != first


def test_no_such_crops(rng):
    with pytest.raises(UserError, match="has no 5 squares of 300 to 400 µm"):
        draw_crops(rng.uniform(0, 1000, (100, 2)), name="a", n=5, sides=[300, 400], min_cells=60)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_keeps_the_contract(sections, model, vocabulary, crops, method):
    own = model if method.startswith("gest") else None
    made = predict_crops(sections[0], crops, method, vocabulary=vocabulary, model=own, seed=1, continued_steps=3)
    cells = [sections[0].obs_names[crop.contains(sections[0].obsm["spatial"])] for crop in crops]
    assert made.obs["cell"].tolist() == [cell for crop in cells for cell in crop]
    assert made.obs["crop"].tolist() == [str(i) for i, crop in enumerate(cells) for _ in crop]
    assert list(made.var_names) == list(vocabulary.genes)
    assert set(made.layers) == ({"weighted", "picking", "codebook"} if own else {"default"})
    assert all(np.isfinite(layer).all() and layer.dtype == np.float32 for layer in made.layers.values())
    assert made.uns["gest"] == {"method": method}
    assert (made.obs[["model_seed", "seed", "failed"]] == [0, 1, ""]).all(axis=None)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "true_metacells"])
def test_no_method_looks_at_the_unseen(sections, model, vocabulary, crops, method):
    """What stands in a crop's cells does not reach their predictions, but for the bound, whose nature it is."""
    crop = crops[:1]
    inside = np.flatnonzero(crop[0].contains(sections[0].obsm["spatial"]))
    changed = sections[0].copy()
    x = changed.X.toarray()
    x[inside] = np.random.default_rng(0).permutation(x[inside].ravel()).reshape(x[inside].shape) + 1
    changed.X = type(sections[0].X)(x)
    own = model if method.startswith("gest") else None
    settings = {"vocabulary": vocabulary, "model": own, "continued_steps": 3}
    a, b = (predict_crops(adata, crop, method, **settings) for adata in (sections[0], changed))
    for variant in a.layers:
        np.testing.assert_array_equal(a.layers[variant], b.layers[variant])


def test_a_crop_that_fails_says_why_and_leaves_the_others(sections, model, vocabulary, crops, monkeypatch):
    import gest.holdout
    from gest.scores import score_predictions
    from gest.svg import spatially_variable_genes

    generate, calls = gest.holdout.generate_tokens, []

    def first_fails(*arguments, **settings):
        calls.append(1)
        if len(calls) == 1:
            raise UserError("generate: 3 unseen cells lie too far")
        return generate(*arguments, **settings)

    monkeypatch.setattr(gest.holdout, "generate_tokens", first_fails)
    made = predict_crops(sections[0], crops, "gest", vocabulary=vocabulary, model=model)
    truth = expression(sections[0], vocabulary)
    ranking = spatially_variable_genes(truth, sections[0].obsm["spatial"], vocabulary.genes)
    scores = score_predictions(made, sections[0], truth, ranking, run="r", dataset="d", top=5)
    failed = scores[scores["crop"] == "0"]
    assert set(failed["status"]) == {"generate: 3 unseen cells lie too far"}
    assert failed["value"].isna().all()
    assert set(failed["variant"]) == {"weighted", "picking", "codebook"}
    assert (scores.loc[scores["crop"] == "1", "status"] == "ok").all()


def test_true_metacells_are_the_bound(sections, vocabulary, crops):
    made = predict_crops(sections[0], crops, "true_metacells", vocabulary=vocabulary)
    truth = expression(sections[0], vocabulary)[sections[0].obs_names.get_indexer(made.obs["cell"])]
    np.testing.assert_array_equal(made.layers["default"], vocabulary.expression[vocabulary.tokenize(truth)])


def test_user_errors(sections, vocabulary, crops):
    with pytest.raises(UserError, match="must be one of gest, gest_continued"):
        predict_crops(sections[0], crops, "kriging", vocabulary=vocabulary)
    with pytest.raises(UserError, match="needs a model directory"):
        predict_crops(sections[0], crops, "gest", vocabulary=vocabulary)
