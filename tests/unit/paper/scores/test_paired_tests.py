"""Paired comparisons against SciPy and closed forms, and the sections and crops that enter them."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gest.errors import UserError
from gest.paper.scores.paired_tests import COLUMNS, compare, section_means
from gest.paper.scores.table import summarise

METHODS = [("gest", "weighted"), ("gest", "picking"), ("gp", "default"), ("mlp", "default")]


def scores(value, *, sections, methods=METHODS, crops=("0",), seeds=(0,), metrics=("rmse_z",)):
    """Return scores; `value` is a function of method, section, crop and seed."""
    rows = [
        {"run": "r", "task": "generation", "dataset": "d", "section": f"s{section:02d}", "crop": crop}
        | {"method": method[0], "variant": method[1], "level": "", "gene_set": "all", "model_seed": 0, "seed": seed}
        | {"metric": metric, "value": value(method, section, crop, seed), "n": 50, "status": "ok"}
        for method, section, crop, seed, metric in product(methods, range(sections), crops, seeds, metrics)
    ]
    return pd.DataFrame(rows)


def row(table, method, variant="default"):
    [tested] = table[(table["method"] == method) & (table["variant"] == variant)].to_dict("records")
    return tested


@pytest.fixture
def noisy():
    rng = np.random.default_rng(0)
    offset = dict(zip(METHODS, (0.0, 0.03, 0.005, -0.02), strict=True))
    return scores(lambda method, *_: offset[method] + rng.normal(0, 0.02), sections=20, crops="012", seeds=(0, 1))


def test_a_comparison_is_scipys_signed_rank_test_of_the_sections_means(noisy):
    table = compare(noisy)
    assert tuple(table) == COLUMNS
    means = noisy.pivot_table(index="section", columns=["method", "variant"], values="value", aggfunc="mean")
    for method, variant in METHODS[1:]:
        ours, theirs = means[method, variant], means["gest", "weighted"]
        tested = row(table, method, variant)
        assert tested["n_pairs"] == 20
        assert tested["median_difference"] == pytest.approx(np.median(ours - theirs), abs=1e-12)
        assert tested["p"] == pytest.approx(stats.wilcoxon(ours, theirs, alternative="two-sided").pvalue, rel=1e-12)


def test_holm_by_hand(noisy):
    table = compare(noisy).sort_values("p")
    stepped = np.minimum(1, table["p"].to_numpy() * [3, 2, 1])
    np.testing.assert_allclose(table["p_holm"], np.maximum.accumulate(stepped), rtol=1e-12)
    assert (table["p_holm"] > table["p"]).sum() >= 2


def test_a_shift_of_every_section_has_the_p_of_the_closed_form():
    """If n differences have one sign, 2 of all 2**n sets of signs are as extreme."""
    for n in (6, 10):
        table = compare(scores(lambda m, s, *_: s + (m[0] == "gp") * (1 + s / 100), sections=n, methods=METHODS[::2]))
        assert row(table, "gp")["p"] == pytest.approx(2 / 2**n)
        assert row(table, "gp")["median_difference"] == pytest.approx(1 + (n - 1) / 200)


def test_too_few_sections_have_no_p():
    table = compare(scores(lambda m, s, *_: s + (m[0] == "gp"), sections=5))
    assert row(table, "gp")["n_pairs"] == 5
    assert row(table, "gp")["median_difference"] == 1
    assert table[["p", "p_holm"]].isna().all(axis=None)
    assert set(table["test"]) == {"n too small"}


def test_differences_of_zero_do_not_count_as_sections():
    table = compare(scores(lambda m, s, *_: float(m[0] == "gp" and s < 5), sections=20))
    assert row(table, "gp")["n_pairs"] == 20
    assert np.isnan(row(table, "gp")["p"])
    assert np.isnan(row(table, "mlp")["p"])


def test_a_method_without_p_does_not_count_in_the_correction():
    table = scores(lambda m, s, *_: s + (m[0] == "gp") * (1 + s / 100), sections=8)
    table.loc[(table["method"] == "mlp") & (table["section"] > "s02"), "value"] = np.nan
    tested = compare(table)
    assert row(tested, "mlp")["n_pairs"] == 3
    assert row(tested, "gp")["p_holm"] == row(tested, "gp")["p"] == pytest.approx(2 / 2**8)


def test_crops_on_which_one_method_failed_are_left_out_for_both():
    """Crop 1 is harder by 10; a section must not look easier because gp failed on it."""
    table = scores(lambda m, s, c, _: s + 10 * (c == "1") + 0.5 * (m[0] == "gp"), sections=8, crops="01")
    table.loc[(table["method"] == "gp") & (table["crop"] == "1") & (table["section"] < "s06"), "value"] = np.nan
    assert row(compare(table), "gp")["median_difference"] == pytest.approx(0.5)


def test_families_are_metrics_and_gene_sets():
    table = scores(lambda m, s, *_: s + m[0].count("p") + s * 1e-3, sections=7, metrics=("rmse_z", "spearman"))
    both = compare(pd.concat([table, table.assign(gene_set="svg5")]))
    assert len(both) == 2 * 2 * 3
    pd.testing.assert_frame_equal(both[both["gene_set"] == "all"].reset_index(drop=True), compare(table))


def test_counts_are_not_compared():
    table = scores(lambda m, s, *_: s, sections=7, metrics=("rmse_z", "constant_predictions"))
    assert set(compare(table)["metric"]) == {"rmse_z"}


def test_section_means_are_those_of_the_summary(noisy):
    means = section_means(noisy).groupby(["method", "variant"])["value"].agg(["mean", "std"])
    summary = summarise(noisy).set_index(["method", "variant"])
    np.testing.assert_allclose(means["mean"], summary.loc[means.index, "mean"].astype(float), rtol=1e-12)
    np.testing.assert_allclose(means["std"], summary.loc[means.index, "sd"].astype(float), rtol=1e-12)


def test_a_reference_without_scores_is_refused():
    with pytest.raises(UserError, match=r"the reference gest weighted has no scores \(only gp default, mlp default\)"):
        compare(scores(lambda *_: 1.0, sections=7, methods=METHODS[2:]))
