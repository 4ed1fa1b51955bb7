"""The settings that each stage reads."""

import json

from gest.paper.pipeline.stages import STAGES, fingerprint, stage_settings


def test_a_stage_reads_only_its_keys(paper):
    dataset = paper.datasets["mouse_brain"]
    assert stage_settings(dataset, "svg") == {"svg": {"method": "somde"}}
    assert stage_settings(dataset, "prediction") == {
        "generation": {"seeds": [0], "continued_steps": dataset["generation"]["continued_steps"]}
    }


def test_a_stage_leaves_out_keys_that_the_dataset_lacks(paper):
    assert "cut" not in stage_settings(paper.datasets["liver_cancer"], "cut")


def test_settings_are_copies(paper):
    stage_settings(paper.datasets["mouse_brain"], "prediction")["generation"]["seeds"].append(1)
    assert paper.datasets["mouse_brain"]["generation"]["seeds"] == [0]


def test_stages_of_variants_carry_their_changes(paper):
    assert len(paper.stages()) == len(STAGES) + 2 * len(paper.variants)
    changed = json.loads(paper.stage_json("mouse_brain", "pretraining-l2h2"))
    assert (changed["model"]["layers"], changed["model"]["heads"]) == (2, 2)
    assert json.loads(paper.stage_json("mouse_brain", "pretraining"))["model"]["layers"] == 8


def test_a_fingerprint_changes_with_any_key_and_not_with_their_order():
    assert fingerprint({"a": 1, "b": {"c": 2}}) == fingerprint({"b": {"c": 2}, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
