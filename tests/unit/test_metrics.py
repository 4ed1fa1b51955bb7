"""The metrics against scipy, closed forms, and the sqrt(2) of an uninformed prediction."""

import numpy as np
import pytest
from scipy import stats

from gest.errors import UserError
from gest.metrics import gene_errors, rmse_log, rmse_z, spearman, spearman_z


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    truth = rng.poisson(1.0, size=(60, 25)).astype(np.float32)
    return np.log1p(truth), np.log1p(0.5 * truth + rng.poisson(1.0, size=(60, 25))).astype(np.float32)


def test_rmse_z_is_the_rmse_of_z_scored_signals(pair):
    truth, prediction = pair
    expected = np.sqrt(np.mean((stats.zscore(truth.astype(float)) - stats.zscore(prediction.astype(float))) ** 2))
    assert rmse_z(truth, prediction).value == pytest.approx(expected, rel=1e-12)
    assert rmse_z(truth, prediction).n == 25


def test_gene_errors_follow_pearson(pair):
    truth, prediction = pair
    r = [stats.pearsonr(truth[:, g].astype(float), prediction[:, g].astype(float)).statistic for g in range(25)]
    np.testing.assert_allclose(gene_errors(truth, prediction).error, np.sqrt(2 * (1 - np.array(r))), rtol=1e-10)


def test_rmse_z_ignores_the_scale_and_offset_of_each_gene(pair):
    truth, prediction = pair
    rng = np.random.default_rng(1)
    moved = prediction * rng.uniform(0.1, 9, 25) + rng.normal(size=25)
    assert rmse_z(truth, moved).value == pytest.approx(rmse_z(truth, prediction).value, rel=1e-6)


def test_known_values_of_rmse_z(pair):
    truth, _ = pair
    assert rmse_z(truth, truth).value == pytest.approx(0, abs=1e-7)
    assert rmse_z(truth, -truth).value == pytest.approx(2)
    assert rmse_z(truth, np.ones_like(truth)).value == pytest.approx(np.sqrt(2))


def test_rounding_noise_is_not_variation(pair):
    truth, _ = pair
    profile = truth.mean(axis=0)
    # The noise is proportional to the truth: with a wrong tolerance it would score as a perfect prediction.
    noisy = (profile * (1 + 2e-7 * truth)).astype(np.float32)
    assert np.ptp(noisy, axis=0).max() > 0
    score = rmse_z(truth, noisy)
    assert score.value == pytest.approx(np.sqrt(2))
    assert score.constant_predictions == 25
    flat = np.full_like(truth, 0.3) * (1 + 2e-7 * truth)
    assert spearman(truth, flat.astype(np.float32)).value == 0
    assert spearman_z(truth, noisy).value == 0


def test_small_variation_on_a_large_offset_still_counts(pair):
    truth, _ = pair
    assert rmse_z(truth, 1 + 1e-3 * truth.astype(float)).value < 1e-3


def test_constant_genes_are_counted(pair):
    truth, prediction = (a.copy() for a in pair)
    truth[:, :3] = 0.7
    prediction[:, 2:7] = 0.1
    score = rmse_z(truth, prediction)
    assert (score.n, score.constant_predictions, score.constant_truth) == (22, 4, 3)
    rest = rmse_z(truth[:, 7:], prediction[:, 7:]).value
    assert score.value == pytest.approx(np.sqrt((18 * rest**2 + 4 * 2) / 22))
    assert spearman_z(truth, prediction).value == pytest.approx(spearman_z(truth[:, 3:], prediction[:, 3:]).value)


def test_rmse_log_by_hand():
    score = rmse_log([[0, 1], [2, 3]], [[0, 0], [2, 1]])
    assert score.value == pytest.approx(np.sqrt(5 / 4))
    assert score.n == 4


def test_spearman_equals_scipy_with_ties(pair):
    truth, prediction = pair
    expected = np.mean([stats.spearmanr(t, p).statistic for t, p in zip(truth, prediction, strict=True)])
    assert spearman(truth, prediction).value == pytest.approx(expected, rel=1e-10)
    z = [stats.zscore(a.astype(float)) for a in pair]
    expected = np.mean([stats.spearmanr(t, p).statistic for t, p in zip(*z, strict=True)])
    assert spearman_z(truth, prediction).value == pytest.approx(expected, rel=1e-10)


def test_constant_cells_are_counted(pair):
    truth, prediction = (a.copy() for a in pair)
    truth[:5] = 0
    prediction[4:10] = 0.2
    score = spearman(truth, prediction)
    assert (score.n, score.constant_predictions, score.constant_truth) == (55, 5, 5)
    assert score.value == pytest.approx(50 / 55 * spearman(truth[10:], prediction[10:]).value)


@pytest.mark.parametrize("shape", [(1, 5), (0, 5), (4, 0)])
def test_without_anything_to_score_the_value_is_nan(shape):
    score = rmse_z(np.zeros(shape), np.zeros(shape))
    assert np.isnan(score.value)
    assert score.n == 0
    assert score.constant_truth == shape[1]
    assert np.isnan(spearman(np.zeros(shape), np.zeros(shape)).value)
    assert np.isnan(spearman_z(np.zeros(shape), np.zeros(shape)).value)


@pytest.mark.parametrize("metric", [rmse_z, rmse_log, spearman, spearman_z])
def test_invalid_input_is_refused(metric):
    with pytest.raises(UserError, match=r"truth \(3, 2\) and prediction \(2, 3\) differ in shape"):
        metric(np.zeros((3, 2)), np.zeros((2, 3)))
    with pytest.raises(UserError, match="has values that are not finite"):
        metric(np.zeros((2, 2)), [[0, 1], [2, np.nan]])
