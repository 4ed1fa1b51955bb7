"""Crops, and the predictions of every generation method on them."""

import re

import numpy as np
import pytest

from gest.baselines import registry
from gest.data.cut import cut
from gest.data.tokenize import expression
from gest.errors import UserError
from gest.paper.methods.crops import draw_squares, make_crops, read_crops, write_crops
from gest.paper.methods.generation import predict_crops

SQUARES = {"n": 2, "sides": [150, 250], "min_cells": 10}


@pytest.fixture
def crops(sections):
    return make_crops(sections[0], SQUARES)


def test_squares_have_cells(rng):
    xy = rng.uniform(0, 2000, (3000, 2))
    squares = draw_squares(xy, name="a", n=20, sides=[300, 900], min_cells=50)
    assert len(squares) == 20
    for inside, shape in squares:
        side, x, y = map(float, re.fullmatch(r"square of (\d+) µm at \((-?\d+), (-?\d+)\) µm", shape).groups())
        assert 300 <= side <= 900
        assert 50 <= inside.sum() <= 1500
        brute = [x <= a < x + side and y <= b < y + side for a, b in xy]
        assert (inside != brute).sum() <= 10  # the text is rounded


def test_squares_depend_on_section_and_seed_alone(rng):
    xy = rng.uniform(0, 2000, (3000, 2))
    settings = {"n": 5, "sides": [300, 900], "min_cells": 50}

    def shapes(**changes):
        return [shape for _, shape in draw_squares(xy, **({"name": "a"} | settings | changes))]

    assert shapes() == shapes()
    assert shapes(name="b") != shapes()
    assert shapes(seed=1) != shapes()


def test_no_such_squares(rng):
    with pytest.raises(UserError, match="has no 5 squares of 300 to 400 µm"):
        draw_squares(rng.uniform(0, 1000, (100, 2)), name="a", n=5, sides=[300, 400], min_cells=60)


def test_crops_hide_what_lies_in_them_and_read_back(sections, crops, tmp_path):
    xy = sections[0].obsm["spatial"]
    squares = draw_squares(xy, name=sections[0].obs["section"].iloc[0], **SQUARES)
    for crop, (inside, shape) in zip(crops, squares, strict=True):
        np.testing.assert_array_equal(crop.unseen(sections[0]), inside)
        assert crop.shape == shape
    write_crops(crops, tmp_path / "c.json")
    assert read_crops(tmp_path / "c.json") == crops


def test_the_cells_nearest_to_a_place(sections):
    xy = sections[0].obsm["spatial"]
    (crop,) = make_crops(sections[0], {"nearest": {"centre": [0.25, 0.5], "n": 37}} | SQUARES)
    point = xy.min(0) + (xy.max(0) - xy.min(0)) * [0.25, 0.5]
    distance = np.sqrt(((xy - point) ** 2).sum(1))
    assert crop.unseen(sections[0]).sum() == 37
    assert distance[crop.unseen(sections[0])].max() < distance[~crop.unseen(sections[0])].min()


@pytest.mark.parametrize("turn", [1, -1])
def test_a_polygon_that_reaches_to_the_border_holds_the_outermost_cells(sections, turn):
    xy = sections[0].obsm["spatial"]
    corner = [[0.5, 0.5], [1, 0.5], [1, 1], [0.5, 1]][::turn]
    (crop,) = make_crops(sections[0], {"polygon": corner} | SQUARES)
    half = (xy.min(0) + xy.max(0)) / 2
    np.testing.assert_array_equal(crop.unseen(sections[0]), (xy >= half).all(1))
    with pytest.raises(UserError, match="expected at least one and at most half"):
        make_crops(sections[0], {"polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]})


def test_parts_of_a_section_with_a_margin(sections):
    left = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
    whole = sections[0]
    test = cut(whole, name="left", polygon=left, keep="inside")
    train = cut(whole, name="rest", polygon=left, keep="outside", margin_um=60)
    assert set(test.obs["section"]) == {"left"}
    assert not set(test.obs_names) & set(train.obs_names)
    distance = np.linalg.norm(test.obsm["spatial"][:, None] - train.obsm["spatial"], axis=2)
    assert distance.min() > 60
    x = whole.obsm["spatial"][:, 0]
    assert set(test.obs_names) == set(whole.obs_names[x <= (x.min() + x.max()) / 2])
    lost = ~whole.obs_names.isin([*test.obs_names, *train.obs_names])
    near = np.linalg.norm(whole.obsm["spatial"][lost][:, None] - test.obsm["spatial"], axis=2).min(1)
    assert (near <= 60).all(), "only cells within the margin are left out"
    with pytest.raises(UserError, match="no cell is left outside"):
        cut(whole, name="rest", polygon=left, keep="outside", margin_um=1e5)


@pytest.mark.parametrize("method", registry.names("generation"))
def test_every_method_keeps_the_contract(sections, model, vocabulary, crops, method):
    trained = model if method.startswith("gest") else None
    predicted = predict_crops(
        sections[0], crops, method, vocabulary=vocabulary, model=trained, seed=1, continued_steps=3
    )
    cells = [sections[0].obs_names[crop.unseen(sections[0])] for crop in crops]
    assert predicted.obs["cell"].tolist() == [cell for crop in cells for cell in crop]
    assert predicted.obs["crop"].tolist() == [str(i) for i, crop in enumerate(cells) for _ in crop]
    assert list(predicted.var_names) == list(vocabulary.genes)
    assert set(predicted.layers) == ({"weighted", "picking", "codebook"} if trained else {"default"})
    assert all(np.isfinite(layer).all() and layer.dtype == np.float32 for layer in predicted.layers.values())
    assert predicted.uns["gest"] == {"method": method}
    assert (predicted.obs[["model_seed", "seed", "failed"]] == [0, 1, ""]).all(axis=None)
    assert ((predicted.obs["round"] > 0) == method.startswith("gest")).all()


@pytest.mark.slow
@pytest.mark.parametrize("method", [m for m in registry.names("generation") if m != "true_metacells"])
def test_no_method_looks_at_the_unseen(sections, model, vocabulary, crops, method):
    """The expression of a crop's cells does not affect their predictions; only the bound may read it."""
    crop = crops[:1]
    inside = np.flatnonzero(crop[0].unseen(sections[0]))
    changed = sections[0].copy()
    x = changed.X.toarray()
    x[inside] = np.random.default_rng(0).permutation(x[inside].ravel()).reshape(x[inside].shape) + 1
    changed.X = type(sections[0].X)(x)
    trained = model if method.startswith("gest") else None
    settings = {"vocabulary": vocabulary, "model": trained, "continued_steps": 3}
    a, b = (predict_crops(adata, crop, method, **settings) for adata in (sections[0], changed))
    for variant in a.layers:
        np.testing.assert_array_equal(a.layers[variant], b.layers[variant])


def test_a_crop_that_fails_says_why_and_leaves_the_others(sections, model, vocabulary, crops, monkeypatch):
    import gest.paper.methods.generation
    from gest.paper.scores.generation import score_predictions
    from gest.paper.scores.spatial_genes import spatially_variable_genes

    generate, calls = gest.paper.methods.generation.generate_tokens, []

    def first_fails(*arguments, **settings):
        calls.append(1)
        if len(calls) == 1:
            raise UserError("generate: 3 unseen cells lie too far")
        return generate(*arguments, **settings)

    monkeypatch.setattr(gest.paper.methods.generation, "generate_tokens", first_fails)
    predicted = predict_crops(sections[0], crops, "gest", vocabulary=vocabulary, model=model)
    truth = expression(sections[0], vocabulary)
    ranking = spatially_variable_genes(truth, sections[0].obsm["spatial"], vocabulary.genes)
    scores = score_predictions(predicted, sections[0], truth, ranking, run="r", dataset="d", top=5)
    failed = scores[scores["crop"] == "0"]
    assert set(failed["status"]) == {"generate: 3 unseen cells lie too far"}
    assert failed["value"].isna().all()
    assert set(failed["variant"]) == {"weighted", "picking", "codebook"}
    assert (scores.loc[scores["crop"] == "1", "status"] == "ok").all()


def test_true_metacells_are_the_bound(sections, vocabulary, crops):
    predicted = predict_crops(sections[0], crops, "true_metacells", vocabulary=vocabulary)
    truth = expression(sections[0], vocabulary)[sections[0].obs_names.get_indexer(predicted.obs["cell"])]
    np.testing.assert_array_equal(predicted.layers["default"], vocabulary.expression[vocabulary.tokenize(truth)])


def test_user_errors(sections, vocabulary, crops, tmp_path):
    (tmp_path / "c.json").write_text("[{}]")
    with pytest.raises(UserError, match=r"c\.json: cannot read crops \('cells'\); create them with `gest paper crops`"):
        read_crops(tmp_path / "c.json")
    with pytest.raises(UserError, match="choose gest, gest_continued"):
        predict_crops(sections[0], crops, "kriging", vocabulary=vocabulary)
    with pytest.raises(UserError, match="needs a model directory"):
        predict_crops(sections[0], crops, "gest", vocabulary=vocabulary)
