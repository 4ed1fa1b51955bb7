"""Scores of labels against closed forms and counts by hand, on the cells that have labels."""

from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from helpers import only_row
from sklearn.metrics import adjusted_mutual_info_score

from gest.errors import UserError
from gest.metrics import ami, macro_f1
from gest.paper.scores.labels import score_labellings
from gest.paper.scores.runs import Labelling
from gest.paper.scores.table import COLUMNS, read_scores, summarise, write_scores

N = 60


def labelling(labels, method="gest", **changes):
    labels = np.array(labels, dtype=object)
    base = Labelling(method=method, level="division", seed=0, labels=labels, seconds=2.5, peak_mb=700.0, version="v 1")
    return replace(base, **changes)


@pytest.fixture
def section(rng):
    labels = rng.choice(["cortex", "nuclei", "fibres"], N).astype(object)
    labels[:10] = np.nan
    obs = pd.DataFrame({"section": "S1", "division": pd.Categorical(labels), "region": labels})
    obs.index = [f"c{i}" for i in range(N)]
    return ad.AnnData(obs=obs)


def clusters(rng, n=4):
    return rng.integers(0, n, N).astype(str).astype(object)


def score(section, *runs, task="clustering", levels=("division",)):
    by_method = {}
    for run in runs:
        by_method.setdefault(run.method, []).append(run)
    return score_labellings(section, by_method, task=task, run="r", dataset="d", levels=levels)


def value(table, metric, crop="", column="value", **where):
    return only_row(table, metric=metric, crop=crop, **where)[column]


def f1_by_counting(truth, labels):
    scores = []
    for label in sorted(set(truth)):
        hits = sum(t == label == y for t, y in zip(truth, labels, strict=True))
        n_given, n_true = list(labels).count(label), list(truth).count(label)
        scores.append(2 * hits / (n_given + n_true))
    return np.mean(scores)


def test_ami_by_its_definition():
    """(MI - E) / (mean entropy - E), where E is the mean of MI over permutations."""
    from itertools import permutations

    truth, labels = np.array(list("aabbcc")), np.array(list("xxyyyz"))

    def entropy(*columns):
        shares = pd.Series(list(zip(*columns, strict=True))).value_counts(normalize=True)
        return -(shares * np.log(shares)).sum()

    def information(a, b):
        return entropy(a) + entropy(b) - entropy(a, b)

    expected = np.mean([information(truth, order) for order in permutations(labels)])
    by_hand = (information(truth, labels) - expected) / ((entropy(truth) + entropy(labels)) / 2 - expected)
    assert ami(truth, labels) == pytest.approx(by_hand)
    assert ami(truth, np.array(list("nnmmoo"))) == pytest.approx(1)


def test_macro_f1_is_over_the_labels_of_the_truth():
    truth, labels = np.array(["a", "a", "b", "b", "c"]), np.array(["a", "z", "b", "a", "z"])
    assert macro_f1(truth, labels) == pytest.approx(np.mean([2 / 4, 2 / 3, 0]))


def test_only_labelled_and_covered_cells_are_scored(section, rng):
    labels = clusters(rng)
    labels[30:40] = ""
    table = score(section, labelling(labels))
    scored = np.r_[10:30, 40:N]
    truth = section.obs["division"].astype(str).to_numpy()
    by_hand = adjusted_mutual_info_score(truth[scored], labels[scored])
    assert list(table.columns) == list(COLUMNS)
    assert value(table, "ami") == value(table, "ami", "shared") == pytest.approx(by_hand)
    assert value(table, "ami", column="n") == 40
    assert value(table, "coverage") == 40 / 50
    assert value(table, "n_clusters") == 4
    assert (value(table, "seconds"), value(table, "peak_mb")) == (2.5, 700)
    same = ["run", "task", "dataset", "section", "level", "gene_set", "status"]
    assert (table[same] == ["r", "clustering", "d", "S1", "division", "", "ok"]).all(axis=None)


def test_annotation_is_scored_by_f1(section, rng):
    labels = rng.choice(["cortex", "nuclei", "other"], N).astype(object)
    truth = section.obs["division"].astype(str).to_numpy()
    table = score(section, labelling(labels), task="annotation")
    assert value(table, "f1") == pytest.approx(f1_by_counting(truth[10:], labels[10:]))
    assert "ami" not in set(table["metric"])


def test_every_method_is_scored_on_the_cells_that_all_cover(section, rng):
    first, second, failed = clusters(rng), clusters(rng), np.full(N, "", dtype=object)
    first[15:30], second[:12] = "", ""
    runs = [
        labelling(first, "spagcn"),
        labelling(clusters(rng), "spagcn", seed=1),
        labelling(second, "stagate"),
        labelling(failed, "graphst", status="out of memory at 60 cells", seconds=np.nan),
    ]
    table = score(section, *runs)
    shared = np.r_[12:15, 30:N]
    truth = section.obs["division"].astype(str).to_numpy()
    for run in runs[:3]:
        where = {"method": run.method, "seed": run.seed}
        by_hand = adjusted_mutual_info_score(truth[shared], run.labels[shared])
        assert value(table, "ami", "shared", **where) == pytest.approx(by_hand)
        assert value(table, "ami", "shared", "n", **where) == len(shared)
    rows = table[(table["method"] == "graphst") & (table["metric"] != "coverage")]
    assert rows["value"].isna().all()
    assert set(rows["status"]) == {"out of memory at 60 cells"}
    assert value(table, "coverage", method="graphst") == 0
    assert value(table, "coverage", column="status", method="graphst") == "ok"
    # If one of two sections fails, the mean coverage is one half.
    section.obs["section"], succeeded = "S2", replace(runs[3], labels=clusters(rng), status="ok", seconds=1.0)
    summary = summarise(pd.concat([table, score(section, succeeded)])).set_index(["method", "metric"])
    assert summary.loc[("graphst", "coverage"), "mean"] == 0.5


def test_levels_are_scored_apart(section, rng):
    runs = [labelling(clusters(rng, 3)), labelling(clusters(rng, 9), level="region")]
    table = score(section, *runs, levels=["division", "region"])
    assert value(table, "n_clusters", level="division") == 3
    assert value(table, "n_clusters", level="region") == 9
    assert set(score(section, *runs, levels=["region"])["level"]) == {"region"}


def test_a_section_without_labels_has_no_scores(section, rng):
    section.obs["division"] = np.nan
    table = score(section, labelling(clusters(rng)))
    assert table["value"].isna().all()
    assert set(table["status"]) == {"no cell of the section has a label"}
    failed = labelling([""] * N, "graphst", status="no cell of the section has a label of 'division'")
    assert score(section, failed)["value"].isna().all()  # coverage is NaN as well


def test_methods_that_share_no_cell_have_no_shared_score(section, rng):
    first, second = clusters(rng), clusters(rng)
    first[:30], second[30:] = "", ""
    table = score(section, labelling(first, "spagcn"), labelling(second, "stagate"))
    assert set(table.loc[table["crop"] == "shared", "status"]) == {"no labelled cell is covered"}
    assert value(table, "ami", method="spagcn") == value(table, "ami", method="spagcn")  # not NaN


def test_scores_are_written_read_and_summarised(section, rng, tmp_path):
    runs = [labelling(clusters(rng), model_seed=0, seed=seed) for seed in range(3)]
    table = score(section, *runs, labelling(clusters(rng), "raw"))
    write_scores(table, tmp_path / "scores.csv")
    pd.testing.assert_frame_equal(read_scores([tmp_path / "scores.csv"]), table, check_dtype=False)
    summary = summarise(table[table["crop"] == ""]).set_index(["method", "metric"])
    mean = table.query("method == 'gest' and metric == 'ami' and crop == ''")["value"].mean()
    assert summary.loc[("gest", "ami"), "mean"] == pytest.approx(mean)
    assert summary.loc[("gest", "ami"), "seeds"] == "0:0 0:1 0:2"
    assert summary.loc[("raw", "ami"), "n_cells"] == 50


def test_labels_of_another_section_or_level_are_refused(section, rng):
    with pytest.raises(UserError, match="gest labels 5 cells, but section 'S1' has 60"):
        score(section, labelling(["a"] * 5))
    with pytest.raises(UserError, match=r"section 'S1': no labels 'lobe' in obs \(it has section, division, region"):
        score(section, labelling(clusters(rng)), levels=["lobe"])
