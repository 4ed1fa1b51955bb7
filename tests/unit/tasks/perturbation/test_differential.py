"""The test of genes over matched cells, against scipy, statsmodels and closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon
from statsmodels.stats.multitest import multipletests

from gest.errors import UserError
from gest.paper.ischemia.calls import accuracy, shuffled_accuracy
from gest.tasks.perturbation.differential import differential


@pytest.fixture
def pair(rng):
    control = rng.random((60, 12)).astype(np.float32)
    shift = np.linspace(-0.3, 0.3, 12)
    return control, (control + shift + rng.normal(0, 0.2, (60, 12))).astype(np.float32)


def test_p_and_q_are_those_of_scipy_and_statsmodels(pair):
    control, perturbed = pair
    perturbed[:, 3] = control[:, 3]  # no cell differs
    perturbed[:20, 4] = control[:20, 4]  # some do
    table = differential(control, perturbed, list("abcdefghijkl"))
    expected = [
        1.0 if g == 3 else wilcoxon(perturbed[:, g].astype(float), control[:, g].astype(float)).pvalue
        for g in range(12)
    ]
    np.testing.assert_allclose(table["p"], expected, rtol=1e-10)
    np.testing.assert_allclose(table["q"], multipletests(expected, method="fdr_bh")[1], rtol=1e-10)
    assert (table["n"] == 60).all()


def test_closed_forms(rng):
    """Eight cells that all rise: p is exactly 2 / 2⁸. Doubling 1 + x is a log2 fold change of 1."""
    control = rng.random((8, 1))
    perturbed = control + np.log(2) + rng.normal(0, 1e-3, (8, 1))
    table = differential(control, perturbed, ["a"])
    assert table["p"][0] == pytest.approx(2 / 2**8)
    assert table["log2_fold_change"][0] == pytest.approx(1, abs=2e-3)
    assert table["control"][0] == pytest.approx(control.mean())
    assert table["perturbed"][0] == pytest.approx(perturbed.mean())
    assert table["call"][0] == "High"


def test_calls_need_both_thresholds(pair):
    control, perturbed = pair
    table = differential(control, perturbed, range(12), q=0.01, min_lfc=0.2)
    change = ((perturbed - control).mean(0) / np.log(2)).round(6)
    for row, lfc in zip(table.itertuples(), change, strict=True):
        expected = "n.s." if row.q >= 0.01 or abs(lfc) < 0.2 else "High" if lfc > 0 else "Low"
        assert row.call == expected
    assert set(table["call"]) == {"High", "Low", "n.s."}
    assert (differential(control, perturbed, range(12), q=0.01, min_lfc=5)["call"] == "n.s.").all()


def test_no_difference_is_no_call(pair):
    table = differential(pair[0], pair[0], range(12), min_lfc=0)
    assert (table["call"] == "n.s.").all()
    assert (table[["p", "q"]] == 1).all(axis=None)
    assert (table["log2_fold_change"] == 0).all()


def test_false_discoveries_are_rare(rng):
    noise = rng.normal(size=(2, 40, 400))
    assert (differential(*noise, range(400), min_lfc=0)["call"] != "n.s.").mean() < 0.02


def test_accuracy_by_hand():
    calls = pd.Series({"a": "High", "b": "Low", "c": "n.s.", "d": "Low"})
    truth = pd.Series({"a": "High", "b": "High", "d": "Low", "unseen": "Low"})
    assert accuracy(calls, truth) == 0.5


def test_shuffled_names_are_at_chance(rng):
    calls = pd.Series(rng.choice(["High", "Low", "n.s."], 300, p=[0.5, 0.3, 0.2]), [f"g{i}" for i in range(300)])
    truth = calls[calls != "n.s."].sample(80, random_state=0)
    assert accuracy(calls, truth) == 1
    shuffled = shuffled_accuracy(calls, truth, n=500, seed=1)
    chance = (truth.map(calls.value_counts(normalize=True))).mean()
    assert shuffled.mean() == pytest.approx(chance, abs=0.01)
    low, high = np.quantile(shuffled, [0.025, 0.975])
    assert low < chance < high < 1
    np.testing.assert_array_equal(shuffled, shuffled_accuracy(calls, truth, n=500, seed=1))


@pytest.mark.parametrize(("setting", "sentence"), [({"q": 0}, "q is 0"), ({"q": 1}, "q is 1"), ({"min_lfc": -1}, "-1")])
def test_user_errors(pair, setting, sentence):
    with pytest.raises(UserError, match=sentence):
        differential(*pair, range(12), **setting)
