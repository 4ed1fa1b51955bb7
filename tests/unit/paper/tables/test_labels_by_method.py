"""Tables 1, 2 and A.2 show the numbers of the scores, and the paper's values in the paper's run only."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from helpers import cells

from gest.paper.scores.table import COLUMNS
from gest.paper.tables.method_names import ANNOTATION_NAMES, CLUSTERING_NAMES, clustering_names
from gest.paper.tables.table_1 import table_1, table_1_markdown
from gest.paper.tables.table_2 import table_2, table_2_markdown
from gest.paper.tables.table_a2 import table_a2, table_a2_markdown

WINDOWS = ("200", "400", "600")
CLUSTERING = [(m, w) for m in CLUSTERING_NAMES for w in (WINDOWS if m.startswith("gest") else ["default"])]
NONE = {"mouse_brain": None}
LEIDEN = {"mouse_brain": "leiden"}


def scores(run, pairs, metric, *, task="clustering", dataset="mouse_brain", sections=4):
    """Return random scores of three seeds; runs cover all cells in 12 s and 900 MB."""
    fixed = {"coverage": 1.0, "n_clusters": 13.0, "seconds": 12.0, "peak_mb": 900.0}
    base_rows = product(pairs, ("division", "region"), [f"S{i}" for i in range(sections)], range(3))
    keys = ["pair", "level", "section", "seed"]
    base = pd.DataFrame(list(base_rows), columns=keys).assign(run=run, task=task, dataset=dataset, gene_set="", n=100)
    base[["method", "variant"]] = base["pair"].tolist()
    base = base.assign(model_seed=base["method"].map(lambda m: 0 if m.startswith("gest") else None), status="ok")
    rng = np.random.default_rng(0)
    blocks = [base.assign(crop=crop, metric=metric, value=rng.uniform(0, 1, len(base))) for crop in ("", "shared")]
    blocks += [base.assign(crop="", metric=name, value=number) for name, number in fixed.items()]
    return pd.concat(blocks, ignore_index=True)[list(COLUMNS)].astype({"model_seed": "Int64"})


def fail(table, rows, why):
    """Turn rows of scores into those that `score_labellings` returns for failed runs."""
    covers = table["metric"] == "coverage"
    table.loc[rows & covers, "value"] = 0.0
    table.loc[rows & ~covers, ["value", "status"]] = [np.nan, why]


def runs(pairs):
    table = pd.DataFrame(pairs, columns=["method", "variant"])
    versions = pd.concat([table.assign(version=table["method"] + " 1.0"), table.assign(version="")])
    return versions.assign(status="ok")


@pytest.fixture
def clustering():
    return scores("paper", CLUSTERING, "ami")


@pytest.fixture
def first(clustering, values):
    return table_1(clustering, values, runs(CLUSTERING))


def test_the_largest_window_is_shown():
    pairs = [("raw", "default"), ("gest", "200"), ("gest", "1000"), ("gest", "600"), ("unknown", "default")]
    assert clustering_names(pairs) == {("gest", "1000"): "GeST zero-shot", ("raw", "default"): "Raw"}


def test_table_1_has_every_method_at_every_level_in_the_papers_order(first):
    block = first[(first["cells"] == "all") & (first["level"] == "region")]
    assert block["name"].tolist() == list(CLUSTERING_NAMES.values())
    assert len(first) == 2 * 2 * 9
    assert set(first.loc[first["method"].str.startswith("gest"), "variant"]) == {"600"}
    assert set(first.columns) >= {"version", "coverage", "n_clusters", "seconds", "peak_mb", "sd_seeds"}


def test_table_1_averages_seeds_within_a_section_before_sections(clustering, first):
    [row] = first.query("cells == 'all' and level == 'division' and method == 'stagate'").to_dict("records")
    selected = clustering.query("metric == 'ami' and crop == '' and level == 'division' and method == 'stagate'")
    by_section = selected.groupby("section")["value"].mean()
    by_seed = selected.groupby("seed")["value"].mean()
    assert row["mean"] == pytest.approx(by_section.mean())
    assert (row["sd"], row["sd_over"], row["n"]) == (pytest.approx(by_section.std(ddof=1)), "sections", 4)
    assert row["sd_seeds"] == pytest.approx(by_seed.std(ddof=1))
    assert (row["paper"], row["paper_sd"], row["version"]) == (0.420, 0.167, "stagate 1.0")


def test_cells_that_all_methods_cover_have_separate_rows(clustering, first):
    [row] = first.query("cells == 'shared' and level == 'region' and method == 'gest'").to_dict("records")
    selected = clustering.query("crop == 'shared' and level == 'region' and method == 'gest' and variant == '600'")
    assert row["mean"] == pytest.approx(selected["value"].mean())
    assert np.isnan(row["paper"])


def test_table_1_shows_scores_costs_and_notes(first):
    text = table_1_markdown(first, run="paper", algorithm=LEIDEN, microns=NONE)
    row = first.query("cells == 'all' and level == 'division' and method == 'gest'").iloc[0]
    assert cells(text, "GeST zero-shot")[1] == f"{row['mean']:.3f} ± {row['sd']:.3f} [0.469]"
    costs = ["100.0%", "13 / 13", "12", "900", "graphst 1.0"]
    assert cells(text, "GraphST")[5:] == costs
    assert "[0.470]" in cells(text, "GeST-FT (transductive)")[1]
    assert "Packaged methods run on one thread of a CPU, GeST on all threads of its job or on a GPU" in text
    assert "[" not in cells(text, "shuffled labels")[1]
    for sentence in (
        "over 4 sections",
        "Table A.2 prints 0.501",
        "In brackets",
        "clustering by leiden; GeST sees windows of 600",
    ):
        assert sentence in text
    assert "every method scored" not in text  # since every method covers all cells
    assert "declared" not in text
    assert len({len(line) for line in text.splitlines() if line.startswith("|")}) == 1


def test_notes_state_what_is_left_out_or_failed(clustering, values):
    spagcn = clustering["method"] == "spagcn"
    clustering.loc[spagcn & (clustering["metric"] == "coverage"), "value"] = 0.4
    fail(clustering, (clustering["method"] == "stagate") & (clustering["section"] == "S1"), "out of memory at 9 cells")
    table = table_1(clustering, values, runs(CLUSTERING))
    text = table_1_markdown(table, run="paper", algorithm=LEIDEN, microns={"mouse_brain": 2.5})
    assert cells(text, "SpaGCN")[5] == "40.0%"
    assert "STAGATE, division: 3 of 12 failed: out of memory at 9 cells" in text
    assert "on the sections and cells that every method scored (300 by division, 300 by region)" in text
    assert "mouse_brain: one unit of the coordinates is declared to be 2.5 µm." in text
    fail(clustering, clustering["method"] == "raw", "broken")
    table = table_1(clustering, values, runs([pair for pair in CLUSTERING if pair[0] != "raw"]))
    text = table_1_markdown(table, run="paper", algorithm=LEIDEN, microns=NONE)
    costs = ["0.0%", "0/4, 0/4", "– / –", "–", "–", ""]
    assert cells(text, "Raw")[1:] == ["– [0.183]", "–", "– [0.244]", "–", *costs]


def test_methods_are_compared_on_the_sections_that_all_scored(values):
    simulated = scores("toy", CLUSTERING, "ami", sections=2)
    fail(simulated, (simulated["method"] == "graphst") & (simulated["section"] == "S1"), "out of memory")
    fail(simulated, simulated["method"] == "stagate", "never ran")
    one_seed = (simulated["method"] == "raw") & (simulated["seed"] == 0) & (simulated["section"] == "S0")
    fail(simulated, one_seed, "one seed alone")
    table = table_1(simulated, values, runs(CLUSTERING))
    shown = table.set_index(["cells", "level", "method"])
    assert shown.loc[("all", "division", "graphst"), ["n_sections", "sections", "coverage"]].tolist() == [1, 2, 0.5]
    selected = simulated.query("section == 'S0' and crop == 'shared' and level == 'division' and status == 'ok'")
    for method, variant in (("gest", "600"), ("graphst", "default"), ("raw", "default")):
        expected = selected[(selected["method"] == method) & (selected["variant"] == variant)]["value"].mean()
        assert shown.loc[("shared", "division", method), "mean"] == pytest.approx(expected)
    text = table_1_markdown(table, run="toy", algorithm=LEIDEN, microns=NONE)
    before, heading = text.split("on the sections and cells that every method scored")
    assert "± is the sd over 0–2 sections" in before
    assert "± is the sd over 0–3 seeds" in heading  # on the only section that is left
    assert cells(text, "method")[5:7] == ["coverage", "sections"]
    assert cells(text, "GraphST")[5:7] == ["50.0%", "1/2, 1/2"]
    assert cells(text, "SpaGCN")[5:7] == ["100.0%", "2/2, 2/2"]
    assert "a section on which a method failed is left out, and so is a method that failed on all" in text
    fail(simulated, (simulated["method"] == "spagcn") & (simulated["section"] == "S0"), "out of memory")
    text = table_1_markdown(table_1(simulated, values, runs(CLUSTERING)), run="toy", algorithm=LEIDEN, microns=NONE)
    assert "mouse_brain: no section was scored by every method" in text
    simulated[["value", "status"]] = [np.nan, "no cell of the section has a label"]
    table = table_1(simulated, values, runs(CLUSTERING))
    assert (table[["n_sections", "sections"]] == 0).all(axis=None)
    text = table_1_markdown(table, run="toy", algorithm=LEIDEN, microns=NONE)
    assert cells(text, "SpaGCN")[1:6] == ["–", "–", "–", "–", "–"]


def test_notes_state_what_is_compared_and_timed(first, values):
    assert "from the counts to the embedding" in table_1_markdown(first, run="paper", algorithm=LEIDEN, microns=NONE)
    pairs = list(ANNOTATION_NAMES)
    table = table_2(scores("paper", pairs, "f1", task="annotation"), values, runs(pairs))
    text = table_2_markdown(table, run="paper", microns=NONE)
    assert "scANVI is transductive: it trains 100 epochs on the test section, without labels" in text
    assert "Packaged methods run on one thread of a CPU" in text
    assert "GeST holds out a tenth of its training cells" in text


def test_nothing_of_another_run_is_compared(values):
    simulated = scores("toy", CLUSTERING, "ami", sections=1)
    table = table_1(simulated, values, runs(CLUSTERING))
    text = table_1_markdown(table, run="toy", algorithm=LEIDEN, microns=NONE)
    assert table["paper"].isna().all()
    assert "run toy, not the paper's data" in text
    assert "±" in text
    assert "over 3 seeds" in text
    assert "[" not in text


def test_each_dataset_shows_its_own_window(values):
    other = scores("toy", [("gest", "300"), ("raw", "default")], "ami", dataset="toy", sections=2)
    table = table_1(pd.concat([scores("toy", CLUSTERING, "ami"), other]), values, runs(CLUSTERING))
    shown = table[table["method"] == "gest"].groupby("dataset")["variant"].unique().to_dict()
    assert {name: list(windows) for name, windows in shown.items()} == {"mouse_brain": ["600"], "toy": ["300"]}
    assert table["dataset"].unique().tolist() == ["mouse_brain", "toy"]
    text = table_1_markdown(table, run="toy", algorithm=LEIDEN | {"toy": "kmeans"}, microns=NONE | {"toy": None})
    assert "toy: clustering by kmeans; GeST sees windows of 300 µm." in text


def test_table_a2_has_every_window_and_the_papers_values(clustering, values):
    table = table_a2(clustering, values, runs(CLUSTERING))
    shown = table[table["cells"] == "all"].set_index(["level", "name", "variant"])
    assert len(shown) == 2 * 2 * 3
    assert shown.loc[("region", "fine-tuned", "400"), ["paper", "paper_sd"]].tolist() == [0.517, 0.127]
    assert shown.loc[("division", "zero-shot", "200"), "paper"] == 0.416
    text = table_a2_markdown(table, run="paper", algorithm=LEIDEN, microns=NONE)
    assert cells(text, "level")[2:] == ["200 µm", "400 µm", "600 µm"]
    assert [cell.split()[-1] for cell in cells(text, "division")[2:]] == ["[0.416]", "[0.448]", "[0.470]"]
    row = shown.loc[("division", "zero-shot", "200")]
    assert cells(text, "division")[2] == f"{row['mean']:.3f} ± {row['sd']:.3f} ({row['sd_seeds']:.3f}) [0.416]"
    assert "In parentheses the sd over seeds." in text
    fail(clustering, (clustering["method"] == "gest") & (clustering["section"] == "S1"), "out of memory")
    text = table_a2_markdown(
        table_a2(clustering, values, runs(CLUSTERING)), run="paper", algorithm=LEIDEN, microns=NONE
    )
    assert cells(text, "division")[1:3] == ["zero-shot", "3/4, 3/4, 3/4"]
    assert "Table 1 prints 0.470 ± 0.174" in text


def test_windows_are_in_order_of_size(values):
    pairs = [("gest", window) for window in ("1000", "200", "600")]
    table = table_a2(scores("toy", pairs, "ami"), values, runs(pairs))
    text = table_a2_markdown(table, run="toy", algorithm=LEIDEN, microns=NONE)
    assert cells(text, "level")[2:] == ["200 µm", "600 µm", "1000 µm"]
    one_section = scores("toy", pairs, "ami", sections=1)
    text = table_a2_markdown(table_a2(one_section, values, runs(pairs)), run="toy", algorithm=LEIDEN, microns=NONE)
    assert "(0." not in text  # ± is already over seeds
    assert "parentheses" not in text
    assert table["variant"].tolist()[:3] == ["200", "600", "1000"]


def test_table_2_has_every_method_and_the_papers_values(values):
    pairs = list(ANNOTATION_NAMES)
    table = table_2(scores("paper", pairs, "f1", task="annotation"), values, runs(pairs))
    block = table[(table["cells"] == "all") & (table["level"] == "division")]
    assert block["name"].tolist() == ["GeST mean", "GeST max", "scANVI", "CellTypist", "majority class"]
    np.testing.assert_array_equal(block["paper"], [0.585, 0.579, 0.316, 0.162, np.nan])
    text = table_2_markdown(table, run="paper", microns=NONE)
    assert cells(text, "scANVI")[3].endswith("[0.202]")
    assert "The sd is printed as 0.902, surely 0.092." in text


def test_the_same_scores_give_the_same_text(clustering, values):
    texts = {
        table_1_markdown(table_1(simulated, values, runs(CLUSTERING)), run="paper", algorithm=LEIDEN, microns=NONE)
        for simulated in (clustering, clustering.copy())
    }
    assert len(texts) == 1
