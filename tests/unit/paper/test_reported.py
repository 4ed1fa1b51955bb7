"""The paper's reported values: numbers against the printed tables, and the scores of ours they are compared with."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from helpers import only_row

from gest.errors import UserError
from gest.paper.reported import COLUMNS, beside, read_paper_values

PATH = Path(__file__).parents[3] / "config" / "paper_values.yaml"


def value(values, column="value", **where):
    """Return the only value with these fields."""
    return only_row(values, **where)[column]


def test_every_table_has_as_many_numbers_as_are_printed(values):
    assert tuple(values) == COLUMNS
    assert Counter(zip(values["source"], values["item"], strict=True)) == {
        ("paper", "table_1"): 2 * 7,
        ("paper", "table_2"): 2 * 4,
        ("paper", "table_3"): 3 * 6,
        ("paper", "table_4"): 3 * 7,
        ("paper", "table_a1"): 3 * 6,
        ("paper", "table_a2"): 4 * 3,
        ("paper", "table_a3"): 3 + 2,
        ("paper", "table_a4"): 3 * 2,
        ("later", "generation"): 4 * 5 * 3,
        ("later", "clustering"): 2 * 3 * 2,
        ("later", "annotation"): 3 * 2,
    }


def test_no_two_numbers_have_the_same_keys(values):
    keys = values[[column for column in COLUMNS if column not in ("value", "sd", "note")]]
    assert not keys.duplicated().any()


def test_only_tables_1_2_and_a2_have_an_sd(values):
    assert set(values.loc[values["sd"].notna(), "item"]) == {"table_1", "table_2", "table_a2"}
    assert values.loc[values["item"].isin(["table_1", "table_2", "table_a2"]), "sd"].notna().all()


def test_the_one_dash_is_the_spearman_without_quantisation(values):
    missing = values[values["value"].isna()]
    assert missing[["item", "variant", "metric"]].to_numpy().tolist() == [["table_4", "no_quantisation", "spearman"]]


@pytest.mark.parametrize(
    ("where", "printed"),
    [
        ({"item": "table_1", "method": "stagate", "level": "region"}, (0.462, 0.114)),
        ({"item": "table_2", "method": "gest", "variant": "mean", "level": "region"}, (0.407, 0.902)),
        ({"item": "table_3", "variant": "l4h4", "metric": "rmse_z", "gene_set": "svg50"}, (1.249, np.nan)),
        ({"item": "table_4", "variant": "window_200", "metric": "spearman"}, (0.275, np.nan)),
        ({"item": "table_a1", "dataset": "liver_cancer", "method": "gest", "gene_set": "svg50"}, (0.950, np.nan)),
        ({"item": "table_a2", "method": "gest_continued", "level": "region", "window": 400.0}, (0.517, 0.127)),
        ({"item": "table_a4", "variant": "no_spatial", "metric": "spearman"}, (0.23, np.nan)),
        ({"part": "anterior", "variant": "weighted", "metric": "rmse_z", "gene_set": "svg200"}, (1.244, np.nan)),
        ({"item": "annotation", "part": "mid", "level": "region"}, (0.392, np.nan)),
    ],
)
def test_cells_against_the_print(values, where, printed):
    np.testing.assert_equal((value(values, **where), value(values, "sd", **where)), printed)


def test_degs_add_up(values):
    degs = values[values["metric"] == "degs"].set_index("level")["value"]
    assert degs["high"] + degs["low"] == degs["all"] == 87
    assert round(100 * 61 / 87, 2) == value(values, metric="correct_percent", method="gest")
    assert round(100 * 39 / 87, 1) == value(values, metric="correct_percent", method="ica_degs")


def test_ablations_share_their_baseline(values):
    baselines = [("table_3", "l8h8"), ("table_4", "window_600"), ("table_a4", "baseline")]
    cells = [
        values[(values["item"] == item) & (values["variant"] == name)]["value"].tolist() for item, name in baselines
    ]
    assert cells == [[1.367, 1.214, 0.29]] * 3


def test_ours_of_table_a1_is_gest_w_of_the_later_version(values):
    """The comment in config/paper_values.yaml relies on this; the baselines agree too."""
    keys = ["dataset", "method", "variant", "metric", "gene_set"]
    earlier, later = (values[values["item"] == item].set_index(keys)["value"] for item in ("table_a1", "generation"))
    shared = earlier[earlier.index.get_level_values("gene_set") == "all"]
    assert len(shared) == 12
    pd.testing.assert_series_equal(shared, later[shared.index])


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ({"item": "table_1", "method": "gest", "level": "division"}, "Table A.2"),
        ({"item": "table_1", "method": "gest_continued", "level": "division"}, "Table A.2"),
        ({"item": "table_a2", "method": "gest", "level": "division", "window": 600.0}, "Table 1"),
        ({"item": "table_a2", "method": "gest_continued", "level": "division", "window": 600.0}, "Table 1"),
        ({"item": "table_1", "method": "spagcn", "level": "region"}, "Below Raw"),
        ({"item": "table_2", "method": "gest", "variant": "mean", "level": "region"}, "0.092"),
        ({"item": "table_3", "variant": "data_half", "metric": "rmse_z", "gene_set": "all"}, "1/3"),
        ({"item": "table_a3", "level": "low"}, "61 of 87"),
    ],
)
def test_contradictions_have_a_note(values, where, text):
    assert text in value(values, "note", **where)


def summary(run, **columns):
    row = {
        "run": run,
        "dataset": "liver_cancer",
        "method": "gest",
        "variant": "weighted",
        "level": "",
        "gene_set": "all",
    }
    return pd.DataFrame([row | {"metric": "rmse_z", "mean": 1.2} | columns])


def test_values_are_added_to_ours_in_the_papers_run(values):
    generation = values[values["item"].isin(["table_a1", "generation"])]
    [row] = beside(summary("paper"), generation).to_dict("records")
    assert (row["mean"], row["paper"], row["later"], row["note"]) == (1.2, 1.320, 1.320, "")
    assert np.isnan(row["paper_sd"])
    [row] = beside(summary("paper", dataset="mouse_brain", variant="picking"), generation).to_dict("records")
    assert [row[f"later_{part}"] for part in ("anterior", "mid", "posterior")] == [1.374, 1.379, 1.386]
    assert np.isnan(row["paper"])


def test_an_sd_and_a_note_are_added_too(values):
    table_1 = values[values["item"] == "table_1"]
    ours = summary("paper", dataset="mouse_brain", variant="", level="division", gene_set="", metric="ami")
    [row] = beside(ours, table_1).to_dict("records")
    assert (row["paper"], row["paper_sd"]) == (0.469, 0.173)
    assert "Table A.2" in row["note"]


@pytest.mark.parametrize("columns", [{"gene_set": "svg49"}, {"metric": "rmse_log"}, {"variant": "codebook"}])
def test_values_with_other_keys_are_not_compared(values, columns):
    [row] = beside(summary("paper", **columns), values[values["item"] == "table_a1"]).to_dict("records")
    assert np.isnan(row["paper"])


def test_nothing_of_another_run_is_compared(values):
    [row] = beside(summary("toy"), values[values["item"].isin(["table_a1", "generation"])]).to_dict("records")
    assert all(np.isnan(row[column]) for column in row if column.startswith(("paper", "later")))
    assert row["note"] == "not comparable: run toy"


def test_two_values_with_the_same_keys_are_refused(values):
    with pytest.raises(ValueError, match="duplicate"):
        beside(summary("paper"), values[values["item"] == "table_a2"])


def test_a_misspelt_key_is_named(tmp_path):
    content = yaml.safe_load(PATH.read_text())
    content["paper"]["items"]["table_2"]["rows"][3]["varient"] = "max"
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=r"paper\.items\.table_2: unknown key 'varient' \(choose from dataset"):
        read_paper_values(tmp_path / "values.yaml")
