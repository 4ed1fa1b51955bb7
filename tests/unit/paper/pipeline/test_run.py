"""Files and parameters that a run computes from the paper's, the toy and other configurations."""

import json
from pathlib import Path

import pytest

from gest.errors import UserError


def test_sections_by_role(paper):
    assert paper.sections.in_role("liver_cancer", "test") == ["<results>/liver_cancer/sections/HCC-1L.h5ad"]
    assert len(paper.sections.all()) == len(set(paper.sections.all())) == len(paper.sections.roles())
    assert len(paper.sections.of_part("mouse_brain", "mouse1")) == 147


def test_cut_sections_name_the_whole_one(paper):
    assert set(paper.sections.cut()) == {"ablation_validation", "ablation_test", "sagittal_rest"}
    assert paper.sections.cut_from("stereo_seq", "sagittal_rest") == "<results>/stereo_seq/sections/sagittal.h5ad"
    assert paper.sections.whole("stereo_seq") == ["sagittal"]


def test_totals_are_expected_of_datasets_that_are_read_in_full(paper, make_run):
    assert "stroke" in paper.sections.expected_totals()
    partial = make_run({"run": "mine", "datasets": {"stroke": {"sections": {"other": ["PT1-1"]}}}})
    assert "stroke" not in partial.sections.expected_totals()


def test_receipts_of_a_sample(paper):
    receipts = paper.upstream.section_data("liver_cancer", "HCC-1L")
    assert len(receipts) == 2
    assert all(path.startswith("<results>/upstream/liver_cancer/HCC-1L/") for path in receipts)


def test_a_users_file_must_exist(make_run, brain, tmp_path):
    run = make_run(brain, {"data_dir": str(tmp_path)})
    with pytest.raises(UserError, match=r"datasets.brain.path: .*brain.h5ad not found; .*data_dir=FOLDER"):
        run.upstream.section_data("brain", "s1")
    (tmp_path / "brain.h5ad").touch()
    assert run.upstream.section_data("brain", "s1") == str(tmp_path / "brain.h5ad")


def test_entries_of_upstream_files(paper, toy):
    receipt = paper.upstream.section_data("liver_cancer", "HCC-1L")[0]
    file = receipt.removeprefix("<results>/upstream/liver_cancer/").removesuffix(".json")
    assert isinstance(json.loads(paper.upstream.entry("liver_cancer", file, fixtures=[])), dict)
    assert toy.upstream.entry("stroke", "a.rds", fixtures="folder") == "folder/stroke/a.rds.entry.json"
    with pytest.raises(UserError, match=r"upstream.stroke.files: unknown file 'a.rds'"):
        paper.upstream.entry("stroke", "a.rds", fixtures=[])


def test_only_the_toy_run_simulates_its_files(paper, toy):
    assert paper.upstream.fixtures() == []
    assert paper.upstream.server([]) == ""
    assert toy.upstream.fixtures() == "<results>/fixtures"
    assert toy.upstream.server("folder") == "python -m gest.testing.server folder --"
    assert set(json.loads(toy.upstream.fixture_settings())["sets"]) == {
        *("zhuang_abca_1", "zhuang_abca_2", "liver_cancer", "stereo_seq", "stroke")
    }


def test_methods_without_a_model_do_not_wait_for_one(paper):
    assert paper.generation.learnt("stereo_seq", "gest") == ["<results>/stereo_seq/model-s0"]
    assert paper.generation.learnt("stereo_seq", "gp") == ["<results>/stereo_seq/vocabulary.npz"]
    assert paper.labelling.models_for("clustering", "mouse_brain", "raw") == []
    assert paper.generation.learnt_option("gest") == "model"
    assert paper.generation.learnt_option("gp") == "vocabulary"


def test_packaged_methods_have_an_environment(paper, make_run):
    assert paper.generation.svg_environment("mouse_brain") == ".venvs/somde"
    assert paper.generation.svg_memory_mb("mouse_brain") == 4000
    assert make_run({"svg": {"method": "morans_i"}}).generation.svg_environment("mouse_brain") == []
    assert paper.labelling.environment("clustering", "graphst") == ".venvs/spatial"
    assert paper.labelling.environment("annotation", "gest") == []


def test_a_method_without_seeds_is_left_out(paper, make_run):
    assert "nichecompass" in paper.labelling.methods("clustering", "mouse_brain")
    without = make_run({"clustering": {"methods": {"nichecompass": 0}}})
    assert "nichecompass" not in without.labelling.methods("clustering", "mouse_brain")


def test_labels_are_scored_on_datasets_that_have_some(paper, make_run):
    for task in ("clustering", "annotation"):
        assert paper.labelling.selected_datasets(task) == ["mouse_brain"]
    with pytest.raises(UserError, match=r"clustering.datasets: 'liver_cancer' is not a dataset with labels"):
        make_run({"clustering": {"datasets": ["liver_cancer"]}}).labelling.selected_datasets("clustering")


def test_generation_needs_train_and_test_sections(paper, make_run, brain):
    assert paper.generation.selected_datasets() == ["mouse_brain", "liver_cancer", "stereo_seq"]
    del brain["datasets"]["brain"]["sections"]["test"]
    with pytest.raises(UserError, match=r"no dataset has both train and test sections"):
        make_run(brain).generation.selected_datasets()


def test_the_ischemia_experiment_needs_both_datasets(paper, make_run, brain):
    assert paper.perturbation.selected_datasets() == ["mouse_brain"]
    assert make_run(brain).perturbation.selected_datasets() == []
    assert len(paper.perturbation.reference_sections()) == 8
    assert paper.perturbation.main_variant() == "roi/1"


def test_known_genes_of_an_infarct(paper, toy, make_run):
    assert paper.perturbation.known_degs([]) is None
    assert toy.perturbation.known_degs("folder") == "folder/pia_p_degs.csv"
    mine = make_run({"data_dir": "files", "perturbation": {"truth": "degs.csv"}})
    assert mine.perturbation.known_degs([]) == "files/degs.csv"


def test_a_variant_is_trained_once_whatever_its_names(paper, toy):
    assert paper.ablation.trained_as("mouse_brain", "l8h8") == "baseline"
    assert paper.ablation.trained_as("mouse_brain", "window_600") == "baseline"
    assert paper.ablation.trained_as("mouse_brain", "l2h2") == "l2h2"
    assert toy.ablation.trained_as("mouse_brain", "l2h2") == "baseline"


def test_variants_of_a_table(paper):
    rows = paper.ablation.variants("table_a4")
    assert rows == [
        ("baseline", "baseline", "weighted", "baseline"),
        ("no_spatial", "no_spatial", "weighted", "baseline"),
    ]
    assert len(paper.ablation.table_models("table_a4")) == 2 * 3
    assert len(paper.ablation.table_scores("table_a4")) == 2


def test_sections_of_a_smaller_share_are_among_those_of_a_larger(paper):
    drawn = {
        (share, seed): set(paper.ablation.train_sections("mouse_brain", share, seed))
        for share in ("data_third", "data_half", "baseline")
        for seed in "01"
    }
    assert [len(drawn[share, "0"]) for share in ("data_third", "data_half", "baseline")] == [49, 73, 146]
    assert drawn["data_third", "0"] < drawn["data_half", "0"]
    assert drawn["data_half", "0"] != drawn["data_half", "1"]


def test_a_variant_with_another_vocabulary_has_a_file_for_it(paper):
    shared, other = (paper.ablation.vocabulary("mouse_brain", name) for name in ("l2h2", "metacells_100"))
    assert shared == "<results>/mouse_brain/vocabulary.npz"
    assert other == "<results>/mouse_brain/ablation/metacells_100/vocabulary.npz"


def test_ablations_validate_on_a_section(make_run, brain):
    del brain["datasets"]["brain"]["sections"]["validation"]
    run = make_run(brain, {"ablation": {"dataset": "brain"}})
    with pytest.raises(UserError, match=r"datasets.brain.ablation.validation: no section is listed"):
        run.ablation.tables()


def test_a_run_without_the_ablations_dataset_says_so(make_run, brain):
    run = make_run(brain)
    assert run.ablation.tables() == []
    with pytest.raises(UserError, match=r"ablation.dataset: 'mouse_brain' is not a dataset of this run"):
        run.ablation.table_models("table_3")


def test_items_that_a_run_cannot_make_are_left_out(paper, make_run, brain):
    assert paper.items.selected_datasets("table_a1") == ["liver_cancer", "stereo_seq"]
    run = make_run(brain)
    deliverables = [Path(path).stem for path in run.items.deliverables()]
    assert {"generation", "figure_2c", "figure_a2", "parameters"} <= set(deliverables)
    assert not {"table_1", "table_3", "figure_4", "figure_a1"} & set(deliverables)
    with pytest.raises(UserError, match=r"paper_items.table_1: no dataset of this run has the sections and labels"):
        run.items.required_datasets("table_1")


def test_every_item_of_the_paper_is_made(paper):
    deliverables = [Path(path).stem for path in paper.items.deliverables()]
    assert len(deliverables) == len(set(deliverables))
    tables = [f"table_{n}" for n in ("1", "2", "3", "4", "a1", "a2", "a3", "a4")]
    figures = ["figure_2c", "figure_4", "figure_5", *(f"figure_a{n}" for n in range(1, 11))]
    assert {*tables, *figures} <= set(deliverables)
    assert len(paper.items.scores()) == 1 + 3 + 4


def test_figures_draw_the_middle_section(paper):
    files = paper.figures.files("figure_a2", "section", "predictions")
    assert files["section"] == "<results>/mouse_brain/sections/mouse2_034.h5ad"
    assert [Path(path).stem for path in files["predictions"]] == ["gest", "gp", "mlp"]
    assert paper.figures.first_level("figure_a6") == "division"
    assert paper.figures.setting("figure_a8", "serialisation", "sharpness") == 1.0


def test_figure_a1_compares_two_trainings(paper):
    files = paper.figures.figure_a1()
    assert files["quantised"] == "<results>/mouse_brain/ablation/baseline/model-s0"
    assert files["continuous"] == "<results>/mouse_brain/ablation/no_quantisation/model-s0"
