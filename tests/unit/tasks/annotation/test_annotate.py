"""Supervised annotation against NumPy, closed forms and scikit-learn."""

import shutil

import numpy as np
import pytest
import torch
from helpers import TINY
from sklearn.metrics import f1_score
from torch.nn import functional

import gest
from gest import GeST
from gest.errors import UserError
from gest.hub.load import load
from gest.sections import write_section
from gest.tasks.annotation import fine_tuning
from gest.tasks.annotation.annotate import annotate_tokens
from gest.tasks.annotation.annotator import Annotator
from gest.tasks.annotation.fine_tuning import Targets, class_weights, validate
from gest.tasks.annotation.labels import LabelledSection, draw_labels, hold_out_blocks
from gest.tasks.niches import Niches
from gest.windows import Tokens

QUICK = {"steps": 12, "batch_size": 8, "learning_rate": 3e-3, "validate_every": 4}


@pytest.fixture
def annotator(model):
    torch.manual_seed(1)
    return Annotator(model, ["a", "b", "c"], label="region", pool="mean").eval()


@pytest.mark.parametrize("pool", ["mean", "max"])
@torch.no_grad()
def test_pooled_outputs_are_those_of_each_niche_alone(annotator, tokens, pool):
    annotator.pool = pool
    cells = np.array([3, 200, 77, 410])
    niches = Niches(tokens[0], annotator.model.config, seed=5)
    weight, bias = (p.numpy() for p in (annotator.linear.weight, annotator.linear.bias))
    together = annotator(*niches.batch(cells, torch.device("cpu"))).numpy()
    sizes = set()
    for cell, logits in zip(cells, together, strict=True):
        drawn, bins = (torch.tensor(x)[None] for x in niches.draw(cell))  # no padding
        outputs = annotator.model.niche(drawn, bins, torch.tensor([drawn.shape[1]]))[0].numpy()
        sizes.add(len(outputs))
        pooled = outputs.mean(0) if pool == "mean" else outputs.max(0)
        np.testing.assert_allclose(logits, pooled @ weight.T + bias, atol=1e-5)
    assert len(sizes) > 1, "some were padded"


def test_batch_size_does_not_matter(annotator, tokens):
    runs = [annotate_tokens(annotator, tokens[0], batch_size=size) for size in (1, 7, 500)]
    for run in runs[1:]:
        np.testing.assert_allclose(run, runs[0], atol=1e-5)
    np.testing.assert_allclose(runs[0].sum(1), 1, atol=1e-5)


def test_classes_weigh_by_inverse_frequency(annotator, tokens, rng):
    codes = np.array([0] * 6 + [1] * 3 + [2])
    weights = class_weights(codes, 3)
    np.testing.assert_allclose(weights, [10 / 18, 10 / 9, 10 / 3], rtol=1e-6)
    labels = np.full(500, "", dtype="U1")
    labels[rng.choice(500, 10, replace=False)] = np.array(["a", "b", "c"])[codes]
    held_out = Targets(
        [LabelledSection(tokens=tokens[0], labels=labels)], np.array(["a", "b", "c"]), annotator.model, seed=0
    )
    found = validate(annotator, held_out, weights)
    # Each class adds the mean loss of its own cells, all classes alike: written out from the probabilities.
    cells = np.flatnonzero(labels != "")
    told = annotate_tokens(annotator, tokens[0])[cells]
    losses = -np.log(told[np.arange(10), held_out.codes])
    expected = np.mean([losses[held_out.codes == c].mean() for c in range(3)])
    assert found["loss"] == pytest.approx(expected, rel=1e-4)
    assert validate(annotator, held_out, None)["loss"] == pytest.approx(losses.mean(), rel=1e-4)
    assert found["loss"] != pytest.approx(losses.mean(), rel=1e-4)
    predicted = told.argmax(1)
    hits, of_both = (np.array([f(c) for c in range(3)]) for f in (
        lambda c: ((predicted == c) & (held_out.codes == c)).sum(),
        lambda c: (predicted == c).sum() + (held_out.codes == c).sum(),
    ))  # fmt: skip
    assert found["f1"] == pytest.approx(np.mean(2 * hits / of_both))  # F1 = 2 TP / (2 TP + FP + FN)


def test_training_uses_the_weights(sections, model, monkeypatch):
    given = []
    cross_entropy = functional.cross_entropy
    monkeypatch.setattr(
        fine_tuning.functional,
        "cross_entropy",
        lambda *arguments, weight: given.append(weight) or cross_entropy(*arguments, weight=weight),
    )
    for on in (True, False):
        given.clear()
        gest.fit_annotator(sections[0], model, label="division", class_weights=on, **QUICK | {"steps": 2})
        assert len(given) >= 3
        assert all((weight is not None) == on for weight in given)


def test_learns_what_the_majority_does_not_know(sections, vocabulary):
    torch.manual_seed(0)
    model = GeST(TINY, vocabulary)
    settings = {"steps": 150, "batch_size": 16, "learning_rate": 5e-3, "validate_every": 25, "patience": 9}
    annotator = gest.fit_annotator(sections[:1], model, label="region", **settings)
    result = gest.annotate(sections[1].copy(), annotator)
    truth = result.obs["region"].astype(str)
    scores = {
        name: f1_score(truth, labels, labels=truth.unique(), average="macro", zero_division=0)
        for name, labels in {
            "gest": result.obs["gest_region"].astype(str),
            "majority": np.repeat(sections[0].obs["region"].mode()[0], len(truth)),
        }.items()
    }
    assert scores["gest"] > scores["majority"] + 0.15
    probabilities, about = result.obsm["gest_region_prob"], result.uns["gest_region"]
    assert list(result.obs["gest_region"].cat.categories) == about["classes"]
    np.testing.assert_array_equal(np.array(about["classes"])[probabilities.argmax(1)], result.obs["gest_region"])
    assert set(about["classes"]) <= set(sections[0].obs["region"])


def test_the_model_given_is_left_alone_and_all_of_its_copy_learns(sections, model):
    before = {name: w.clone() for name, w in model.state_dict().items()}
    annotator = gest.fit_annotator(sections[0], model, label="division", **QUICK)
    assert all(torch.equal(before[name], w) for name, w in model.state_dict().items())
    tuned = annotator.model.state_dict()
    assert not torch.equal(tuned["embed.weight"], before["embed.weight"])
    assert not torch.equal(tuned["blocks.0.qkv.weight"], before["blocks.0.qkv.weight"])


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_same_seed_same_bytes_and_back(sections, model, tmp_path, pool):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        annotator = gest.fit_annotator(sections, model, label="region", pool=pool, seed=seed, **QUICK)
        annotator.save(tmp_path / name)
    for file in ("annotator.safetensors", "annotator.json", "model/model.safetensors"):
        a, b, c = ((tmp_path / name / file).read_bytes() for name in "abc")
        assert a == b != c
    back = load(tmp_path / "c")
    assert (back.pool, back.label, back.classes) == (pool, "region", annotator.classes)
    assert back.metrics == annotator.metrics
    same = [gest.annotate(sections[1].copy(), one).obsm["gest_region_prob"] for one in (back, annotator)]
    np.testing.assert_array_equal(*same)
    assert isinstance(load(tmp_path / "c" / "model"), GeST)
    annotator.save(tmp_path / "c")  # an older annotator is replaced
    assert not list(tmp_path.glob("*.partial"))


def test_the_weights_kept_have_the_lowest_held_out_loss(sections, model, monkeypatch):
    states, losses = [], iter([3.0, 1.0, 2.0, 4.0, 0.5])

    def looked(annotator, *_):
        states.append(annotator.linear.weight.detach().clone())
        return {"loss": next(losses), "f1": 0.0}

    monkeypatch.setattr(fine_tuning, "validate", looked)
    annotator = gest.fit_annotator(sections[0], model, label="division", patience=2, **QUICK | {"steps": 40})
    assert len(states) == 4, "two looks without a lower loss, and training stops"
    assert torch.equal(annotator.linear.weight, states[1])
    assert (annotator.metrics["steps"], annotator.metrics["kept_step"]) == (16, 8)
    losses = iter([float("nan")] * 9)
    with pytest.raises(FloatingPointError, match="held-out loss"):
        gest.fit_annotator(sections[0], model, label="division", patience=2, **QUICK)


def test_held_out_blocks_are_squares_that_no_training_cell_lies_in(rng):
    sections = [
        LabelledSection(
            tokens=Tokens(rng.uniform(0, size, (800, 2)) - 77, np.zeros(800, int)),
            labels=rng.choice(["", "x", "y"], 800),
        )
        for size in (900, 1300)
    ]
    left, held = hold_out_blocks(sections, 150, 3)
    n_blocks = 6 * 6 + 9 * 9
    taken = 0
    for given, a, b in zip(sections, left, held, strict=True):
        assert ((a.labels == "") | (b.labels == "")).all()
        np.testing.assert_array_equal(np.where(a.labels == "", b.labels, a.labels), given.labels)
        tile = np.floor((given.tokens.xy - given.tokens.xy.min(0)) / 150)
        blocks = {tuple(t) for t in tile[b.labels != ""]}
        assert not blocks & {tuple(t) for t in tile[a.labels != ""]}
        taken += len(blocks)
    assert abs(taken - 0.1 * n_blocks) <= 1
    assert [b.labels.tolist() for b in hold_out_blocks(sections, 150, 4)[1]] != [b.labels.tolist() for b in held]


def test_no_class_is_held_out_wholly(rng):
    xy = rng.uniform(0, 900, (800, 2))
    labels = rng.choice(["x", "y"], 800).astype("U4")
    labels[:2], xy[:2] = "rare", [[10.0, 10.0], [15.0, 10.0]]
    labels[2:4], xy[2:4] = "two", [[700.0, 10.0], [10.0, 700.0]]  # in a block each
    given = [LabelledSection(tokens=Tokens(xy, np.zeros(800, int)), labels=labels)]
    corner = []
    for seed in range(60):
        (left,), (held,) = hold_out_blocks(given, 150, seed)
        assert set(left.labels) - {""} == {"x", "y", "two", "rare"}
        assert len({tuple(tile) for tile in np.floor((xy - xy.min(0)) / 150)[held.labels != ""].tolist()}) == 4
        corner.append("two" in held.labels)
    assert any(corner), "of a class with two blocks one may be held out"
    halves = np.where(xy[:, 0] - xy[:, 0].min() < 450, "x", "y")
    flat = Tokens(np.column_stack((xy[:, 0], xy[:, 1] * 0.4)), np.zeros(800, int))
    with pytest.raises(UserError, match="each of the 2 square blocks of 450 µm holds all cells of a class"):
        hold_out_blocks([LabelledSection(tokens=flat, labels=halves)], 450, 0)


def test_cells_are_drawn_over_all_sections_together(rng):
    labels = [rng.choice(["", "x", "yy"], n) for n in (50, 500)]
    drawn = draw_labels(labels, 40, seed=0)
    assert sum((of != "").sum() for of in drawn) == 40
    assert all(((a == b) | (b == "")).all() for a, b in zip(labels, drawn, strict=True))
    assert (drawn[1] != "").sum() > 25  # by their numbers
    for a, b in zip(labels, draw_labels(labels, None, seed=0), strict=True):
        np.testing.assert_array_equal(a, b)


def test_cells_without_label_are_context_and_no_target(sections, model, tmp_path):
    partly = sections[0].copy()
    some = partly.obsm["spatial"][:, 0] < 350
    partly.obs["region"] = partly.obs["region"].astype(object).where(some)
    annotator = gest.fit_annotator(partly, model, label="region", **QUICK)
    assert annotator.metrics["training_cells"] + annotator.metrics["held_out_cells"] <= some.sum()
    few = gest.fit_annotator(partly, model, label="region", training_cells=60, validation=sections[1:], **QUICK)
    assert few.metrics["training_cells"] == 60
    assert few.metrics["held_out_cells"] > 300
    path = tmp_path / "s1.h5ad"
    write_section(sections[1], path)
    for one in (sections[1], path):  # as `train`, one section or several
        same = gest.fit_annotator(partly, model, label="region", training_cells=60, validation=one, **QUICK)
        assert same.metrics == few.metrics


def test_a_model_without_quantisation(sections, vocabulary):
    torch.manual_seed(0)
    model = GeST(TINY | {"model": TINY["model"] | {"quantised": False}}, vocabulary)
    annotator = gest.fit_annotator(sections[0], model, label="division", **QUICK)
    assert gest.annotate(sections[1].copy(), annotator).obs["gest_division"].notna().all()


def _unlabelled(section):
    blank = section.copy()
    blank.obs["region"] = np.nan
    return blank


def _single(section):
    single = section.copy()
    single.obs["region"] = "here"
    return single


def _small(section):
    return section[(section.obsm["spatial"] - section.obsm["spatial"].min(0) < 140).all(1)].copy()


@pytest.mark.parametrize(
    ("change", "arguments", "sentence"),
    [
        (None, {"label": "layer"}, r"section: obs has no column 'layer' \(its columns: section, donor"),
        (_unlabelled, {}, "the labelled cells fill 0 square blocks of 150 µm"),
        (_small, {}, "the labelled cells fill 1 square blocks of 150 µm"),
        (_single, {}, "'region' has the single class 'here' \\(expected at least two"),
        (None, {"pool": "sum"}, r"annotation\.pool: unknown value 'sum' \(choose mean or max\)"),
        (None, {"steps": 0}, r"annotation\.steps: 0 is out of range \(expected above 0\)"),
        (None, {"epochs": 3}, r"annotation\.epochs: unknown key \(choose pool, steps"),
        (None, {"training_cells": 0}, "training_cells: 0 is out of range"),
        (None, {"training_cells": "x"}, r"training_cells: 'x' is out of range \(expected a whole number above 0"),
        (None, {"steps": "x"}, "annotation.steps: 'x' is not of type int"),
        (None, {"batch_size": True}, "annotation.batch_size: True is not of type int"),
        (None, {"learning_rate": None}, "annotation.learning_rate: None is not of type float"),
    ],
)
def test_user_errors_of_fitting(sections, model, change, arguments, sentence):
    section = change(sections[0]) if change else sections[0]
    with pytest.raises(UserError, match=sentence):
        gest.fit_annotator(section, model, **({"label": "region"} | arguments))


def test_user_errors_of_held_out_sections(sections, model):
    with pytest.raises(UserError, match="'region' has no labelled cell"):
        gest.fit_annotator(_unlabelled(sections[0]), model, label="region", validation=sections[1:])
    with pytest.raises(UserError, match="no held-out cell has one of the 10 classes of 'region'"):
        gest.fit_annotator(sections[0], model, label="region", validation=[_single(sections[1])])


def test_user_errors_of_annotating(sections, model, annotator, tmp_path):
    with pytest.raises(
        UserError, match="annotate: expected an Annotator, got GeST; create one with `gest fit-annotator`"
    ):
        gest.annotate(sections[0], model)
    with pytest.raises(UserError, match="the batch size is 0"):
        gest.annotate(sections[0], annotator, batch_size=0)
    few = sections[0][:, :10].copy()
    with pytest.raises(UserError, match="only 10 of the model's 40 genes"):
        gest.annotate(few, annotator)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(UserError, match=r"already exists without annotator\.json"):
        annotator.save(tmp_path / "mine")
    annotator.save(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    (tmp_path / "a" / "annotator.safetensors").unlink()
    with pytest.raises(UserError, match=r"'annotator\.safetensors' is missing"):
        load(tmp_path / "a")
    (tmp_path / "b" / "annotator.safetensors").write_bytes(b"not weights")
    with pytest.raises(UserError, match="the annotator is damaged"):
        load(tmp_path / "b")
    with pytest.raises(UserError, match=r"'annotator\.json' is missing .* create it with `gest fit-annotator`"):
        load(tmp_path, expected=Annotator)
    model.save(tmp_path / "m")
    with pytest.raises(UserError, match="m: expected an Annotator, got GeST; create one with `gest fit-annotator`"):
        load(tmp_path / "m", expected=Annotator)
    annotator.save(tmp_path / "c")
    with pytest.raises(UserError, match="c: expected GeST, got Annotator; of an annotator, use the folder 'model'"):
        load(tmp_path / "c", expected=GeST)
