"""The Gaussian process, compared with that of scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from gest.baselines import gp


@pytest.fixture(scope="module")
def section():
    """Simulate 300 cells and 6 genes: smooth fields of different strength, 100 µm or more in scale, plus noise."""
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 1000, size=(300, 2))
    fields = np.stack([np.sin(xy[:, 0] / a) + np.cos(xy[:, 1] / b) for a, b in rng.uniform(100, 300, (6, 2))], axis=1)
    expression = fields * np.linspace(0.2, 1, 6) + rng.normal(scale=0.5, size=(300, 6)) + 3
    return xy, expression.astype(np.float32)


def standardise(expression):
    expression = expression.astype(np.float64)
    return (expression - expression.mean(axis=0)) / expression.std(axis=0)


def reference(length_scale, signal, noise, **kwargs):
    kernel = ConstantKernel(signal) * Matern(length_scale, length_scale_bounds=(1, 1e4), nu=2.5) + WhiteKernel(noise)
    return GaussianProcessRegressor(kernel, alpha=0, **kwargs)


def test_exact_mean_equals_sklearn(section):
    xy, expression = section
    y, new = standardise(expression), np.random.default_rng(1).uniform(0, 1000, (50, 2))
    expected = reference(180.0, 0.4, 0.7, optimizer=None).fit(xy, y).predict(new)
    mean = gp.exact_mean(*map(torch.as_tensor, (xy, y, new)), gp.Hyperparameters(180.0, 0.4, 0.7))
    np.testing.assert_allclose(mean.numpy(), expected, atol=1e-8)


def test_predict_equals_sklearn_at_the_learned_hyperparameters(section, monkeypatch):
    xy, expression = section
    monkeypatch.setattr(gp, "learn", lambda x, y: gp.Hyperparameters(180.0, 0.4, 0.7))
    new = np.random.default_rng(1).uniform(0, 1000, (50, 2))
    fitted = reference(180.0, 0.4, 0.7, optimizer=None).fit(xy, standardise(expression)).predict(new)
    expected = fitted * expression.std(axis=0, dtype=np.float64) + expression.mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(gp.predict(xy, expression, new, seed=0), expected, atol=1e-6)


def test_learning_finds_at_least_sklearns_optimum(section):
    xy, expression = section
    y = standardise(expression)
    best = reference(200.0, 0.5, 0.5, n_restarts_optimizer=2, random_state=0).fit(xy, y)
    learned = gp.learn(torch.as_tensor(xy), torch.as_tensor(y))
    fixed = reference(*learned, optimizer=None).fit(xy, y)
    assert fixed.log_marginal_likelihood_value_ > best.log_marginal_likelihood_value_ - 1e-2
    distance = torch.cdist(*[torch.as_tensor(xy)] * 2, compute_mode="donot_use_mm_for_euclid_dist")
    ours = gp.log_marginal_likelihood(distance, torch.as_tensor(y), *map(torch.tensor, learned))
    assert float(ours) == pytest.approx(fixed.log_marginal_likelihood_value_, rel=1e-9)


def test_inducing_points_on_every_cell_are_exact(section):
    xy, expression = section
    new = np.random.default_rng(1).uniform(0, 1000, (50, 2))
    x, y, x_new = map(torch.as_tensor, (xy, standardise(expression), new))
    hyperparameters = gp.Hyperparameters(180.0, 0.4, 0.7)
    exact = gp.exact_mean(x, y, x_new, hyperparameters)
    np.testing.assert_allclose(gp.inducing_mean(x, y, x_new, x, hyperparameters), exact, atol=1e-6)


def test_inducing_points_are_close_above_the_limit(section):
    xy, expression = section
    hole = (np.abs(xy - 500) < 150).all(axis=1)
    exact = gp.predict(xy[~hole], expression[~hole], xy[hole], seed=0)
    inducing = gp.predict(xy[~hole], expression[~hole], xy[hole], seed=0, exact_limit=200, n_inducing=120)
    assert np.sqrt(np.mean((inducing - exact) ** 2)) < 0.15 * exact.std(axis=0).mean()
    assert not np.array_equal(inducing, exact)


def test_it_recovers_a_smooth_field_and_repeats(section):
    xy, expression = section
    hole = (np.abs(xy - 500) < 100).all(axis=1)
    prediction = gp.predict(xy[~hole], expression[~hole], xy[hole], seed=3)
    np.testing.assert_array_equal(prediction, gp.predict(xy[~hole], expression[~hole], xy[hole], seed=3))
    assert np.corrcoef(prediction[:, 5], expression[hole, 5])[0, 1] > 0.5
