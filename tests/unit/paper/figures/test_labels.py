"""Figures A.6 and A.7: clusters take the colours of their matching labels, and titles show the scores."""

from dataclasses import replace
from itertools import permutations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.collections import EllipseCollection
from matplotlib.colors import to_hex
from sklearn.metrics import adjusted_mutual_info_score

from gest.data.sources.simulate import simulate
from gest.errors import UserError
from gest.metrics import macro_f1
from gest.paper.figures.labels import GREYS, NO_LABEL, PALETTE, draw_labels, match_colours, palette, read_first_runs
from gest.paper.scores.runs import Labelling, write_labellings
from gest.paper.tables.method_names import clustering_names
from gest.pl.save import save

mpl.use("Agg")


@pytest.fixture
def section():
    section = simulate("S1", donor="a", n_cells=300)
    section.obs["division"] = section.obs["division"].astype(object)
    section.obs.iloc[:15, section.obs.columns.get_loc("division")] = np.nan
    return section


def run(labels, method="graphst", variant="default", **changes):
    labels = np.array(labels, dtype=object)
    base = Labelling(method=method, variant=variant, level="division", seed=0, labels=labels, seconds=1.0, peak_mb=1.0)
    return replace(base, **changes)


def faces(ax):
    """Return the colours of a panel's cells."""
    (dots,) = (part for part in ax.collections if isinstance(part, EllipseCollection))
    return np.array([to_hex(colour) for colour in dots.get_facecolor()])


def truth_of(section):
    return section.obs["division"].fillna("").to_numpy().astype(str)


def test_matched_clusters_agree_with_as_many_cells_as_any_matching(rng):
    truth, clusters = rng.choice(list("abcd"), 200), rng.choice(list("wxyz"), 200)
    colours = dict(zip("abcd", PALETTE, strict=False))
    result = match_colours(truth, clusters, colours)
    agree = np.mean([result[cluster] == colours[label] for cluster, label in zip(clusters, truth, strict=True)])
    every_matching = [
        np.mean([dict(zip("wxyz", order, strict=True))[c] == t for c, t in zip(clusters, truth, strict=True)])
        for order in permutations("abcd")
    ]
    assert agree == max(every_matching)


def test_clusters_without_a_matching_label_are_grey():
    truth = np.array(["a", "a", "b", "b", "", ""])
    clusters = np.array(["0", "0", "1", "2", "3", ""], dtype=object)
    colours = {"a": "red", "b": "blue", "c": "green"}
    result = match_colours(truth, clusters, colours)
    assert result["0"] == "red"
    assert sorted([result["1"], result["2"]]) == sorted(["blue", GREYS[0]])
    assert result["3"] in GREYS  # it holds no labelled cell, so it has no match
    assert match_colours(truth, np.full(6, "", dtype=object), colours) == {}


def test_colours_are_all_different():
    assert len(set(palette(40))) == 40
    assert palette(3) == list(PALETTE[:3])


def test_a_perfect_clustering_looks_like_the_truth(section):
    truth = truth_of(section)
    names = {label: str(i) for i, label in enumerate(sorted(set(truth)))}
    perfect = run([names[label] for label in truth])
    figure = draw_labels(section, {"GraphST": perfect}, level="division", task="clustering", title="T")
    true, result = faces(figure.axes[0]), faces(figure.axes[1])
    labelled = truth != ""
    np.testing.assert_array_equal(true[labelled], result[labelled])
    assert set(true[~labelled]) == {to_hex(NO_LABEL)}
    assert len(set(true[labelled])) == len(set(truth)) - 1
    assert figure.axes[1].get_title() == "GraphST\nAMI 1.000"
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert legend == {
        *truth[labelled],
        "no label",
        "cluster without a label",
    }  # that of the cells without a label


def test_titles_have_the_scores_of_labelled_and_covered_cells(section, rng):
    truth, labels = truth_of(section), rng.integers(0, 4, 300).astype(str).astype(object)
    labels[100:150] = ""
    scored = np.r_[15:100, 150:300]
    drawn = {"GraphST": run(labels), "STAGATE": run([""] * 300, status="out of memory at 300 cells")}
    figure = draw_labels(section, drawn, level="division", task="clustering", title="T")
    by_hand = adjusted_mutual_info_score(truth[scored], labels[scored])
    assert figure.axes[1].get_title() == f"GraphST\nAMI {by_hand:.3f}"
    assert "out of memory" in figure.axes[2].get_title()
    assert set(faces(figure.axes[2])) == {to_hex(NO_LABEL)}


def test_annotated_labels_have_their_own_colours(section, rng):
    truth = truth_of(section)
    labels = rng.choice(["cortex", "nuclei", "ventricle"], 300)
    figure = draw_labels(section, {"scANVI": run(labels)}, level="division", task="annotation", title="T")
    true, shown = faces(figure.axes[0]), faces(figure.axes[1])
    assert set(shown[labels == "cortex"]) == set(true[truth == "cortex"])
    assert len(set(shown)) == 3
    assert not set(shown[labels == "ventricle"]) & set(true)
    labelled = truth != ""
    assert figure.axes[1].get_title() == f"scANVI\nmacro F1 {macro_f1(truth[labelled], labels[labelled]):.3f}"


def test_a_long_legend_names_the_most_frequent_labels(section):
    section.obs["division"] = [f"label {i}" for i in np.minimum(np.arange(300) % 50, 44)]
    figure = draw_labels(section, {}, level="division", task="clustering", title="T")
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[0] == "label 44"
    assert texts[-1] == "and 15 more"
    assert len(texts) == 31


def test_the_same_labels_give_the_same_bytes(section, rng, tmp_path):
    labels = rng.integers(0, 4, 300).astype(str)
    for name in ("a.png", "b.png"):
        figure = draw_labels(section, {"GraphST": run(labels)}, level="division", task="clustering", title="T")
        save(figure, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_first_runs_have_the_level_and_the_largest_window_in_order_of_names(section, tmp_path):
    cells = section.obs_names
    gest_runs = [
        run(["0"] * 300, "gest", window, level=level, model_seed=0, seed=seed)
        for window in ("300", "1000")
        for level in ("region", "division")
        for seed in (4, 5)
    ]
    write_labellings([run(["1"] * 300, "raw")], cells, tmp_path / "raw.csv")
    write_labellings(gest_runs, cells, tmp_path / "gest.csv")
    paths = [tmp_path / "raw.csv", tmp_path / "gest.csv"]
    result = read_first_runs(paths, section, level="division", names=clustering_names)
    assert list(result) == ["GeST zero-shot", "Raw"]
    gest = result["GeST zero-shot"]
    assert (gest.variant, gest.level, gest.seed) == ("1000", "division", 4)
    with pytest.raises(UserError, match=r"raw\.csv: its 300 cells are not the 299 cells"):
        read_first_runs(paths, section[1:], level="division", names=clustering_names)
