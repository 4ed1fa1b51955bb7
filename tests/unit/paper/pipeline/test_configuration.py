"""Defaults of a configuration, and the complete settings of every dataset."""

import pytest

from gest.errors import UserError
from gest.paper.pipeline.configuration import data_folder, lay_over, part_sections, with_defaults


def test_maps_are_merged_and_lists_are_replaced():
    config = {"a": {"x": 1, "y": [1, 2]}, "b": None}
    lay_over(config, {"a": {"y": [3], "z": 4}, "b": {"c": 5}})
    assert config == {"a": {"x": 1, "y": [3], "z": 4}, "b": {"c": 5}}


def test_a_configuration_without_datasets_has_the_papers(defaults):
    complete = with_defaults({"run": "mine"}, defaults)
    assert complete == defaults | {"run": "mine"}


def test_a_configuration_with_other_datasets_does_without_the_papers(brain, defaults):
    complete = with_defaults(brain, defaults)
    assert list(complete["datasets"]) == ["brain"]
    assert complete["window"] == defaults["window"]


def test_defaults_and_configuration_stay_as_they_are(brain, defaults):
    before = repr(defaults), repr(brain)
    with_defaults(brain, defaults)["datasets"]["brain"]["sections"]["train"] = []
    assert (repr(defaults), repr(brain)) == before


def test_the_datas_folder(monkeypatch):
    monkeypatch.delenv("GEST_DATA", raising=False)
    assert str(data_folder({"data_dir": None})) == "data"
    monkeypatch.setenv("GEST_DATA", "/shared")
    assert str(data_folder({"data_dir": None})) == "/shared"
    assert str(data_folder({"data_dir": "mine"})) == "mine"


def test_a_dataset_overrides_settings_of_the_run(paper):
    assert paper.datasets["mouse_brain"]["model"]["layers"] == 8
    assert paper.datasets["liver_cancer"]["model"] == paper.datasets["mouse_brain"]["model"] | {"layers": 4, "heads": 4}


def test_sections_of_an_atlas_are_named_by_rank():
    assert part_sections("a", {"sections": 2}) == ["a_001", "a_002"]
    assert part_sections("a", {"sections": 3, "held_out": {"cells": 5}}) == ["a_001", "a_002", "a_validation"]


def test_a_pattern_stands_for_the_sections_without_another_role(paper):
    sections = paper.datasets["mouse_brain"]["sections"]
    assert len(sections["train"]) == 146
    assert sections["validation"] == ["mouse1_validation"]
    assert sections["test"] == [f"mouse2_{rank:03d}" for rank in range(1, 67)]
    liver = paper.datasets["liver_cancer"]["sections"]
    assert len(liver["train"]) == 20
    assert "HCC-1L" not in liver["train"]


def test_niches_are_no_larger_than_the_training_window(make_run, paper):
    assert paper.datasets["mouse_brain"]["clustering"]["windows"] == [200, 400, 600]
    assert make_run({"window": 300}).datasets["mouse_brain"]["clustering"]["windows"] == [200, 300]


@pytest.mark.parametrize(
    ("datasets", "sentence"),
    [
        ({"liver_cancer": {"sections": {"test": ["HCC-9L"]}}}, "'HCC-9L' is not among its sections (HCC-1N, "),
        ({"stroke": {"sections": {"other": ["MCAO*"]}}}, "no known section matches 'MCAO*' (PT1-1, "),
        (
            {"liver_cancer": {"upstream": "liver"}},
            "'liver' is not in config/datasets.yaml (choose from zhuang_abca_1, ",
        ),
        (
            {"mine": {"source": "visium", "path": "x", "sections": {"train": ["*"]}}},
            "no known section matches '*' (none are",
        ),
    ],
)
def test_unknown_sections_and_sets_are_refused(make_run, datasets, sentence):
    with pytest.raises(UserError) as refused:
        make_run({"datasets": datasets})
    assert sentence in str(refused.value)
