"""Configurations that cannot be run are refused with one sentence."""

import pytest

from gest.errors import UserError

LEFT = {"of": "whole", "polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]], "keep": "inside"}
TISSUE = {"n_cells": 100, "width_um": 100, "height_um": 100, "n_genes": 10}


@pytest.fixture
def refusal(make_run):
    """Return a function that returns the error by which a configuration is refused."""

    def sentence(config, *more):
        with pytest.raises(UserError) as refused:
            make_run(config, *more)
        assert "\n" not in str(refused.value)
        return str(refused.value)

    return sentence


def test_a_misspelt_key_is_named(refusal):
    sentence = refusal({"pretraining": {"step": 5}})
    assert "Configuration, pretraining: " in sentence
    assert "'step' was unexpected" in sentence
    assert "steps, target_cells, batch_size" in sentence


def test_a_value_out_of_bounds_is_named(refusal):
    sentence = refusal({"datasets": {"mouse_brain": {"parts": {"mouse1": {"sections": 0}}}}})
    assert "datasets.mouse_brain.parts.mouse1.sections: 0 is less" in sentence


def test_files_of_a_dataset_are_named(refusal):
    datasets = {"mine": {"source": "visium", "sections": {"train": ["a"]}}}
    sentence = refusal({"datasets": datasets})
    assert sentence.startswith("Configuration, datasets.mine: ")
    assert "is not valid under any of the given schemas" in sentence


def test_other_data_are_not_a_run_named_paper(refusal, brain, make_run):
    """Otherwise their numbers would be compared with the paper's."""
    sentence = refusal(brain, {"run": "paper"})
    assert "run: 'paper' is the run on the paper's data, which brain is not" in sentence
    assert "which fixtures is not" in refusal({"fixtures": {"seed": 0, "cells": TISSUE, "spots": TISSUE}})
    make_run(brain)


@pytest.mark.parametrize(("section", "role"), [("s4", "test"), ("s3", "validation")])
def test_a_section_has_one_role(refusal, brain, section, role):
    brain["datasets"]["brain"]["sections"]["train"].append(section)
    assert f"datasets.brain.sections: '{section}' is both a {role} and a train section" in refusal(brain)


def test_ablations_do_not_test_on_what_they_learn_from(refusal, brain):
    brain["datasets"]["brain"]["ablation"] = {"test": ["s1"]}
    assert "datasets.brain.ablation.sections: 's1' is both a test and a train section" in refusal(brain)


def test_the_rest_of_a_section_is_learnt_from_only_where_its_hole_is_tested(refusal):
    crops = {"polygon": [[0, 0], [0.3, 0], [0.3, 0.3]]}
    sentence = refusal({"datasets": {"stereo_seq": {"generation": {"crops": crops}}}})
    assert "'sagittal_rest' may hold cells of the test section 'sagittal'" in sentence


def test_a_whole_section_is_not_learnt_from_where_its_part_is_tested(refusal):
    sections = {"train": ["whole"], "test": ["left"]}
    datasets = {"mine": {"source": "anndata", "path": "x", "cut": {"left": LEFT}, "sections": sections}}
    assert "'whole' may hold cells of the test section 'left'" in refusal({"datasets": datasets})


def test_two_sides_of_one_outline_share_no_cell(make_run, refusal):
    def halves(**right):
        cut = {"left": LEFT, "right": LEFT | right}
        sections = {"train": ["left"], "test": ["right"]}
        return {
            "run": "mine",
            "datasets": {"mine": {"source": "anndata", "path": "x", "cut": cut, "sections": sections}},
        }

    sections = make_run(halves(keep="outside")).datasets["mine"]["sections"]
    assert (sections["train"], sections["test"]) == (["left"], ["right"])
    for overlapping in ({"keep": "inside"}, {"polygon": [[0.4, 0], [1, 0], [1, 1], [0.4, 1]]}):
        assert "'left' may hold cells of the test section 'right'" in refusal(halves(**overlapping))


def test_a_part_is_not_named_as_a_section_of_another_dataset(refusal):
    mine = {"source": "anndata", "path": "x", "cut": {"left": LEFT}, "sections": {"train": ["left"]}}
    yours = {"source": "anndata", "path": "y", "sections": {"train": ["left"]}}
    sentence = refusal({"datasets": {"mine": mine, "yours": yours}})
    assert "datasets.mine.cut: 'left' is also a whole section of yours" in sentence


def test_generation_needs_a_known_dataset_with_train_and_test_sections(refusal, brain):
    assert "generation.datasets: unknown dataset 'liver' (choose from mouse_brain, " in refusal(
        {"generation": {"datasets": ["liver"]}}
    )
    del brain["datasets"]["brain"]["sections"]["test"]
    sentence = refusal(brain, {"generation": {"datasets": ["brain"]}})
    assert "datasets.brain.sections: no test section" in sentence


def test_an_unknown_variant_is_named(refusal):
    sentence = refusal({"ablation": {"tables": {"table_3": ["l8h8", "l9h9"]}}})
    assert "ablation.tables.table_3: unknown variant 'l9h9' (choose from baseline, l2h2, " in sentence


def test_the_reference_of_a_variant_is_listed(refusal):
    sentence = refusal({"ablation": {"variants": {"l2h2": {"against": "no_spatial"}}}})
    assert "ablation.tables.table_3: 'l2h2' is compared with 'no_spatial', which is not listed" in sentence


def test_an_item_of_an_unknown_dataset_is_refused(refusal):
    sentence = refusal({"paper_items": {"figure_4": "mouse_brian"}})
    assert "paper_items.figure_4: unknown dataset 'mouse_brian' (choose from mouse_brain, " in sentence
