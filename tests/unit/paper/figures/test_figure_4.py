"""Figure 4 and its table show the scores, and the paper's values in the paper's run only."""

import numpy as np
import pandas as pd
import pytest
from helpers import PAIRS, cells
from matplotlib.container import BarContainer, ErrorbarContainer

from gest.errors import UserError
from gest.paper.figures.figure_4 import draw_figure_4
from gest.paper.reported import beside
from gest.paper.scores.generation import METRICS
from gest.paper.scores.paired_tests import compare, section_means
from gest.paper.scores.table import summarise
from gest.paper.tables.figure_4 import figure_4_markdown, figure_4_table, list_panels
from gest.paper.tables.method_names import NAMES


def every_gene(slides=("slide 0", "slide 5"), n=60):
    rng = np.random.default_rng(1)
    return pd.concat(
        pd.DataFrame({"rank": 1 + rng.permutation(n), "rmse_z": rng.uniform(1, 1.5, n)}).assign(
            section=slide, method=method, variant=variant
        )
        for slide in slides
        for method, variant in PAIRS
    )


@pytest.fixture
def reported(values):
    return values[(values["item"] == "generation") & (values["part"] != "")]


@pytest.fixture
def drawn(generated, reported):
    """Return a function that returns scores and their figure."""

    def draw(run="paper", slides=("slide 0", "slide 5"), **changes):
        table = generated(run, **changes)
        return table, draw_figure_4(table, every_gene(), slides=slides, reported=reported, run=run)

    return draw


@pytest.fixture
def tabled(generated, reported):
    """Return a function that returns scores and their table."""

    def make(run, **changes):
        table = generated(run, **changes)
        return table, figure_4_table(beside(summarise(table), reported), compare(table))

    return make


def dots(ax):
    return {
        points.get_label(): np.asarray(points.get_offsets())
        for points in ax.collections
        if points.get_label()[0] != "_"
    }


def reported_marks(ax):
    return {line.get_label(): line.get_ydata() for line in ax.lines if line.get_label().startswith("reported")}


def test_figure_4_has_a_dot_per_slide_a_bar_at_the_mean_and_the_sd(drawn):
    table, figure = drawn()
    for ax, (metric, gene_set) in zip(figure.axes, list_panels(table), strict=False):
        chosen = table[(table["metric"] == metric) & (table["gene_set"] == gene_set)]
        slides = chosen.groupby(["method", "variant", "section"])["value"].mean()
        bars = {
            container.get_label(): container[0] for container in ax.containers if isinstance(container, BarContainer)
        }
        errors = [container for container in ax.containers if isinstance(container, ErrorbarContainer)]
        assert list(bars) == [NAMES[pair] for pair in PAIRS]
        for pair, error in zip(PAIRS, errors, strict=True):
            bar = bars[NAMES[pair]]
            np.testing.assert_array_equal(dots(ax)[NAMES[pair]][:, 1], slides[pair])
            assert np.all(np.abs(dots(ax)[NAMES[pair]][:, 0] - bar.get_x() - bar.get_width() / 2) < bar.get_width() / 2)
            assert bar.get_y() == (np.sqrt(2) if metric == "rmse_z" else 0)
            assert bar.get_y() + bar.get_height() == pytest.approx(slides[pair].mean())
            (_, low), (_, high) = error[2][0].get_segments()[0]
            assert (low, high) == pytest.approx(
                (slides[pair].mean() - slides[pair].std(), slides[pair].mean() + slides[pair].std())
            )
        assert [tick.get_text() for tick in ax.get_xticklabels()] == list(bars)


def test_figure_4_labels_its_axes(drawn):
    _, figure = drawn()
    labels = [ax.get_ylabel() for ax in figure.axes[:4]]
    assert ["RMSE, all genes" in labels[0], "Spearman" in labels[1], "top 200 SVGs" in labels[2]] == [True] * 3
    assert "one gene" in labels[3]
    assert all("lower is better" in labels[i] for i in (0, 2, 3))
    assert "higher is better" in labels[1]


def test_figure_4_draws_every_gene_and_its_running_median(drawn):
    _, figure = drawn()
    genes = every_gene()
    for ax, slide in zip(figure.axes[3:], ("slide 0", "slide 5"), strict=True):
        assert ax.get_title() == slide
        assert set(dots(ax)) == {"GeST", "GeST-W", "GP", "MLP"}
        lines = {line.get_label(): line.get_xydata() for line in ax.lines}
        for pair in PAIRS[:4]:
            expected = genes[(genes["section"] == slide) & (genes["method"] == pair[0]) & (genes["variant"] == pair[1])]
            expected = expected.sort_values("rank")[["rank", "rmse_z"]].to_numpy()
            np.testing.assert_array_equal(dots(ax)[NAMES[pair]], expected)
            assert lines[NAMES[pair]][30].tolist() == [31, np.median(expected[25:36, 1])]
        assert "true meta cells" in lines


def test_figure_4_marks_reported_values_in_the_papers_run_only(drawn, values):
    _, figure = drawn("paper")
    expected = {"reported, anterior": [1.374, 1.352, 1.379, 1.399], "reported, mid": [1.379, 1.367, 1.389, 1.404]}
    for part, values in expected.items():
        np.testing.assert_array_equal(reported_marks(figure.axes[0])[part], values)
    np.testing.assert_array_equal(reported_marks(figure.axes[1])["reported, posterior"], [0.242, 0.275, 0.214, 0.267])
    legends = [text.get_text() for part in figure.subfigs for legend in part.legends for text in legend.get_texts()]
    assert {"reported, anterior", "GeST-W", "one slide"} <= set(legends)
    assert "toy" not in figure.get_suptitle()

    _, figure = drawn("toy")
    assert all(len(y) == 0 for ax in figure.axes for y in reported_marks(ax).values())
    legends = [text.get_text() for part in figure.subfigs for legend in part.legends for text in legend.get_texts()]
    assert not any("reported" in text for text in legends)
    assert "run toy" in figure.get_suptitle()


def test_figure_4_marks_no_value_of_another_gene_set(drawn):
    _, figure = drawn("paper", top="svg15")
    assert all(len(y) == 0 for y in reported_marks(figure.axes[2]).values())
    assert "top 15 SVGs" in figure.axes[2].get_ylabel()


def test_an_unknown_slide_of_figure_4_is_refused(drawn):
    with pytest.raises(UserError, match=r"figure_4\.slides: 'slide 9' is not a test section \(choose .*0, slide 5\)"):
        drawn(slides=["slide 0", "slide 9"])


def test_table_of_figure_4_has_means_comparisons_and_reported_values(tabled):
    scored, table = tabled("paper")
    assert len(table) == len(PAIRS) * 2 * len(METRICS)
    gp = table[(table["method"] == "gp") & (table["metric"] == "rmse_z") & (table["gene_set"] == "all")].iloc[0]
    means = section_means(scored[(scored["metric"] == "rmse_z") & (scored["gene_set"] == "all")])
    means = means.pivot_table(index="section", columns=["method", "variant"], values="value")
    assert gp["mean"] == pytest.approx(means["gp", "default"].mean())
    assert gp["median_difference"] == pytest.approx((means["gp", "default"] - means["gest", "weighted"]).median())
    assert gp[["n_pairs", "n_sections", "later_mid"]].tolist() == [8, 8, 1.389]
    text = figure_4_markdown(table, run="paper")
    assert [line for line in text.splitlines() if line.startswith(("rmse_z", "spearman"))] == [
        "rmse_z, genes: all (lower is better)",
        "spearman, genes: all (higher is better)",
        "rmse_z, genes: svg200 (lower is better)",
    ]
    assert cells(text, "GP")[1] == f"{gp['mean']:.3f} ± {gp['sd']:.3f}"
    tested = [f"{gp['median_difference']:+.4f}", "8", f"{gp['p']:.2g}", f"{gp['p_holm']:.2g}"]
    assert cells(text, "GP")[5:] == [*tested, "1.379", "1.389", "1.393"]
    assert cells(text, "GeST-W")[5] == "reference"


def test_table_of_figure_4_of_another_run_compares_nothing_with_the_paper(tabled):
    _, table = tabled("toy", slides=2)
    assert set(table["note"]) == {"not comparable: run toy"}
    assert table.filter(like="later").isna().all(axis=None)
    text = figure_4_markdown(table, run="toy")
    assert "run toy" in text.splitlines()[0]
    assert "reported" not in text
    assert cells(text, "GP")[6:] == ["2", "n too small", ""]
