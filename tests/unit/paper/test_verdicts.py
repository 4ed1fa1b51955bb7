"""Verdicts on the paper's numbers: the rule against SciPy's intervals, and the scores compared with each number."""

import numpy as np
import pandas as pd
import pytest
from helpers import only_row
from scipy import stats

from gest.paper.scores.table import COLUMNS
from gest.paper.tables.html import to_html
from gest.paper.tables.paper_comparison import paper_comparison_markdown
from gest.paper.verdicts import compare_orders, compare_with_paper, explain_incomparable


def scores(values, **fields):
    """Return scores with one value per section."""
    rows = [
        dict.fromkeys(COLUMNS, "")
        | {"run": "paper", "section": f"s{i}", "model_seed": 0, "seed": 0, "n": 50, "status": "ok", "value": value}
        | fields
        for i, value in enumerate(values)
    ]
    return pd.DataFrame(rows)[list(COLUMNS)]


NICHES = {"task": "clustering", "dataset": "mouse_brain", "metric": "ami", "method": "graphst", "variant": "default"}
TABLE_1 = {"item": "table_1", "method": "graphst", "level": "division"}  # 0.388


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        ([0.30, 0.40, 0.46], "undecided"),  # the interval is wider than 0.388
        ([0.32, 0.36, 0.42, 0.38, 0.35, 0.37], "reproduced"),
        ([0.34, 0.345, 0.35, 0.335], "differs"),
        ([0.389], "reproduced"),  # by the tolerance, 5 % of 0.388
        ([0.406], "reproduced"),
        ([0.408], "differs"),
    ],
)
def test_verdict_follows_the_interval_of_the_mean(values, numbers, verdict):
    table = compare_with_paper(values, scores(numbers, level="division", **NICHES))
    got = only_row(table, **TABLE_1)
    assert got["ours"] == pytest.approx(np.mean(numbers))
    if len(numbers) > 1:
        interval = stats.t.interval(0.95, len(numbers) - 1, loc=np.mean(numbers), scale=stats.sem(numbers))
        np.testing.assert_allclose([got["low"], got["high"]], interval)
        assert (got["n"], got["n_of"]) == (len(numbers), "sections")
    assert got["verdict"] == verdict
    assert (table["verdict"] == "missing").sum() == len(table) - 1 - (table["verdict"] == "not comparable").sum()


def test_failures_are_stated_beside_the_verdict(values):
    """A mean over some sections must not pass for a mean over all."""
    tidy = scores([0.388, 0.390, np.nan], level="division", **NICHES)
    tidy.loc[2, "status"] = "killed, as when memory runs out"
    why = "1 of 3 failed: killed, as when memory runs out"
    got = only_row(compare_with_paper(values, tidy), **TABLE_1)
    assert (got["verdict"], got["why"], got["n"]) == ("reproduced", why, 2)
    differs = compare_with_paper(values, tidy.assign(value=tidy["value"] - 0.2))
    assert f"differs (-0.199): {why}" in paper_comparison_markdown(differs, run="paper", why_not="")
    nothing = compare_with_paper(values, tidy.assign(value=np.nan, status=tidy.loc[2, "status"]))
    assert only_row(nothing, **TABLE_1)[["verdict", "why"]].tolist() == ["missing", why.replace("1 of", "3 of")]


def test_an_rmse_without_skill_does_not_reproduce_the_papers(values):
    """The paper's 1.347 and a constant prediction's 1.414 differ by less than 5 %."""
    fields = {"task": "generation", "dataset": "liver_cancer", "method": "mlp", "variant": "default", "gene_set": "all"}
    for ours, verdict in ((2**0.5, "differs"), (1.350, "reproduced")):
        table = compare_with_paper(values, scores([ours], metric="rmse_z", crop="0", **fields))
        assert (
            only_row(table, item="table_a1", method="mlp", metric="rmse_z", gene_set="all", dataset="liver_cancer")[
                "verdict"
            ]
            == verdict
        )


def test_table_1_takes_the_largest_window_and_table_a2_every_window(values):
    niches = NICHES | {"method": "gest", "level": "region"}
    tidy = [
        scores([x, x + 0.01], **niches | {"variant": window})
        for window, x in (("200", 0.1), ("600", 0.5), ("400", 0.3))
    ]
    shared = scores([0.9, 0.9], **niches | {"variant": "600", "crop": "shared"})
    table = compare_with_paper(values, pd.concat([*tidy, shared]))
    assert only_row(table, item="table_1", method="gest", level="region")["ours"] == pytest.approx(0.505)
    for window, ours in (("200", 0.105), ("400", 0.305), ("600", 0.505)):
        assert only_row(table, item="table_a2", method="gest", level="region", variant=window)["ours"] == pytest.approx(
            ours
        )


def test_a_part_of_the_brain_is_not_compared_with_the_whole(values):
    fields = {"task": "generation", "dataset": "mouse_brain", "method": "gp", "variant": "default", "gene_set": "all"}
    table = compare_with_paper(values, scores([1.379, 1.38], metric="rmse_z", crop="0", **fields))
    parts = table[table["part"] != ""]
    assert set(parts["verdict"]) == {"not comparable"}
    assert parts["ours"].isna().all()


def test_intervals_of_variants_are_over_their_seeds(values):
    fields = {"task": "ablation", "dataset": "mouse_brain", "method": "gest", "variant": "l4h4", "gene_set": "all"}
    tidy = [scores([0.28 + 0.01 * s], metric="spearman", crop="0", **fields).assign(model_seed=s) for s in range(3)]
    got = only_row(compare_with_paper(values, pd.concat(tidy)), item="table_3", variant="l4h4", metric="spearman")
    assert (got["n"], got["n_of"], got["verdict"]) == (3, "seeds", "reproduced")
    assert got["sd"] == pytest.approx(0.01)


def test_final_calls_count_as_percent_and_replicates_are_left_out(values):
    fields = {"task": "perturbation", "dataset": "stroke", "level": "all", "gene_set": "all", "seed": None, "n": 87}
    final = [
        scores([value], method=method, variant=variant, metric=metric, section="s", **fields)
        for method, variant, metric, value in [
            ("gest", "roi/1", "accuracy", 61 / 87),
            ("gest", "roi/1", "accuracy_low", 0.6),
            ("gest", "roi/1", "accuracy_high", 0.8),
            ("ica_degs", "default", "accuracy", 0.3),
        ]
    ]
    replicate = scores(
        [0.1], **fields | {"method": "gest", "variant": "roi/1", "metric": "accuracy", "crop": "0", "seed": 0}
    )
    others = scores([0.3, 0.4], level="division", **NICHES)
    table = compare_with_paper(values, pd.concat([others, *final, replicate]))
    percent = table[table["metric"] == "correct_percent"].set_index("method")
    assert percent.loc["gest", "ours"] == pytest.approx(70.11, abs=0.01)
    assert percent["verdict"].to_dict() == {"gest": "reproduced", "ica_degs": "differs"}
    assert only_row(table, metric="degs", level="all")["verdict"] == "reproduced"


@pytest.mark.parametrize(("run", "simulated", "why"), [("toy", True, "toy data"), ("mine", False, "run mine is not")])
def test_other_data_are_never_compared(values, run, simulated, why):
    table = compare_with_paper(
        values,
        scores([0.388, 0.389], level="division", **NICHES),
        why_not=explain_incomparable(run, simulated=simulated),
    )
    assert len(table) == values["value"].notna().sum() == 179
    assert set(table["verdict"]) == {"not comparable"}
    assert table["ours"].isna().all()
    assert table["why"].str.startswith(why).all()
    assert compare_orders(table).empty


def test_orders_of_methods(values):
    numbers = {"graphst": 0.4, "stagate": 0.5, "raw": 0.1}
    tidy = pd.concat([scores([x, x], **NICHES | {"method": name, "level": "division"}) for name, x in numbers.items()])
    got = compare_orders(compare_with_paper(values, tidy)).iloc[0]
    # The paper has STAGATE 0.420, GraphST 0.388, Raw 0.183.
    assert (got["pairs"], got["alike"], got["paper_best"], got["our_best"]) == (
        3,
        3,
        "stagate default",
        "stagate default",
    )
    swapped = tidy.assign(value=tidy["value"].where(tidy["method"] != "graphst", 0.6))
    assert compare_orders(compare_with_paper(values, swapped)).iloc[0]["alike"] == 2


def test_the_page_shows_every_number_and_nothing_as_html(values):
    table = compare_with_paper(values, scores([0.3, 0.4], level="division", **NICHES))
    page = to_html(paper_comparison_markdown(table, run="<paper>", why_not=""))
    assert page.count("<tr>") >= len(table)
    assert "<td>0.388 ± 0.152</td>\n<td>0.350 ± 0.071</td>\n<td>2 sections</td>" in page
    assert "&lt;paper&gt;" in page
