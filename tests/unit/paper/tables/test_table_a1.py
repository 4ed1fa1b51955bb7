"""Table A.1 is tidy, and shows the paper's values in the paper's run only."""

import numpy as np
import pandas as pd
import pytest
from helpers import PAIRS, cells

from gest.paper.reported import beside
from gest.paper.scores.table import summarise
from gest.paper.tables.table_a1 import table_a1, table_a1_markdown


@pytest.fixture
def a1(generated, values):
    """Return a maker of Table A.1: five crops of liver cancer, one of Stereo-seq."""

    def make(run):
        liver = generated(run, dataset="liver_cancer", slides=1, top="svg50")
        stereo = generated(run, dataset="stereo_seq", slides=1, top="svg50")
        scores = pd.concat([liver, stereo[stereo["crop"] == "0"]])
        return table_a1(beside(summarise(scores), values[values["item"].isin(["table_a1", "generation"])]))

    return make


def test_table_a1_is_tidy_and_in_the_order_of_methods(a1):
    table = a1("paper")
    assert list(dict.fromkeys(zip(table["method"], table["variant"], strict=True))) == PAIRS
    assert len(table) == len(PAIRS) * 2 * 3
    key = ["dataset", "method", "variant", "metric", "gene_set"]
    mlp = table.set_index(key).loc["liver_cancer", "mlp", "default", "rmse_z", "svg50"]
    assert mlp[["sd_over", "n", "paper"]].tolist() == ["crops", 5, 1.008]
    alone = table.set_index(key).loc["stereo_seq", "mlp", "default", "spearman", "all"]
    assert alone[["sd_over", "n", "paper"]].tolist() == ["", 1, 0.314]
    assert np.isnan(alone["sd"])


def test_table_a1_shows_the_papers_value_in_brackets(a1):
    table = a1("paper")
    text = table_a1_markdown(table, run="paper")
    heads = [
        head
        for dataset in ("liver_cancer", "stereo_seq")
        for head in (f"{dataset} spearman all", f"{dataset} rmse_z all", f"{dataset} rmse_z svg50")
    ]
    assert cells(text, "method") == ["method", *heads]
    printed = [cell.split()[-1] for cell in cells(text, "GeST-W ")[1:]]
    assert printed == ["[0.499]", "[1.320]", "[0.950]", "[0.323]", "[1.399]", "[1.324]"]
    assert cells(text, "GeST ")[1].endswith("[0.540*]")
    assert "±" in cells(text, "GP")[1]
    assert "±" not in cells(text, "GP")[4]
    assert "sd over 5 crops" in text


def test_table_a1_of_another_run_compares_nothing(a1):
    table = a1("toy")
    assert table[["paper", "later"]].isna().all(axis=None)
    text = table_a1_markdown(table, run="toy")
    assert "run toy, not the paper's data" in text.splitlines()[0]
    assert "[" not in text


def test_table_a1_says_why_a_method_has_no_number(generated, values):
    scored = generated("toy", dataset="liver_cancer", slides=1, top="svg50")
    scored.loc[scored["method"] == "gp", ["value", "status"]] = [np.nan, "out of memory"]
    text = table_a1_markdown(table_a1(beside(summarise(scored), values[values["item"] == "table_a1"])), run="toy")
    assert set(cells(text, "GP")[1:]) == {"–"}
    assert "out of memory" in text
