"""Fitting an annotator to labelled sections."""

import numpy as np
import pytest
import torch
from helpers import QUICK, TINY
from sklearn.metrics import f1_score

import gest
from gest import GeST
from gest.errors import UserError
from gest.hub.load import load
from gest.sections import write_section


def test_it_learns_more_than_the_majority_class(sections, vocabulary):
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
    probabilities, settings = result.obsm["gest_region_prob"], result.uns["gest_region"]
    assert list(result.obs["gest_region"].cat.categories) == settings["classes"]
    np.testing.assert_array_equal(np.array(settings["classes"])[probabilities.argmax(1)], result.obs["gest_region"])
    assert set(settings["classes"]) <= set(sections[0].obs["region"])


def test_the_model_is_left_unchanged_and_all_of_its_copy_learns(sections, model):
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
    loaded = load(tmp_path / "c")
    assert (loaded.pool, loaded.label, loaded.classes) == (pool, "region", annotator.classes)
    assert loaded.metrics == annotator.metrics
    probabilities = [gest.annotate(sections[1].copy(), x).obsm["gest_region_prob"] for x in (loaded, annotator)]
    np.testing.assert_array_equal(*probabilities)
    assert isinstance(load(tmp_path / "c" / "model"), GeST)
    annotator.save(tmp_path / "c")  # replaces the earlier annotator
    assert not list(tmp_path.glob("*.partial"))


def test_cells_without_a_label_are_context_but_no_targets(sections, model, tmp_path):
    partly = sections[0].copy()
    labelled = partly.obsm["spatial"][:, 0] < 350
    partly.obs["region"] = partly.obs["region"].astype(object).where(labelled)
    annotator = gest.fit_annotator(partly, model, label="region", **QUICK)
    assert annotator.metrics["training_cells"] + annotator.metrics["held_out_cells"] <= labelled.sum()
    few = gest.fit_annotator(partly, model, label="region", training_cells=60, validation=sections[1:], **QUICK)
    assert few.metrics["training_cells"] == 60
    assert few.metrics["held_out_cells"] > 300
    path = tmp_path / "s1.h5ad"
    write_section(sections[1], path)
    for section in (sections[1], path):  # like `train`, `validation` may be a single section
        same = gest.fit_annotator(partly, model, label="region", training_cells=60, validation=section, **QUICK)
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
