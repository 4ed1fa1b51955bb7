"""The perceptron learns, is reproducible, and is tuned on held-out blocks like the crops that it is tested on."""

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from gest.baselines import mlp


@pytest.fixture
def section():
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 1000, size=(600, 2))
    signal = np.stack([np.sin(xy[:, 0] / 120), np.hypot(*(xy - 500).T) / 200, np.zeros(600)], axis=1)
    expression = (signal + rng.normal(scale=0.3, size=(600, 3)) + 2).astype(np.float32)
    expression[:, 2] = 0.5
    return xy, expression, signal


def test_it_predicts_a_hole_and_repeats_without_touching_the_global_generator(section, monkeypatch):
    monkeypatch.setattr(mlp, "EPOCHS", (100,))
    monkeypatch.setattr(mlp, "WIDTHS", (32,))
    xy, expression, signal = section
    hole = (np.abs(xy - [400, 600]) < 120).all(axis=1)
    torch.manual_seed(0)
    state = torch.random.get_rng_state()
    first = mlp.predict(xy[~hole], expression[~hole], xy[hole], seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert first.shape == (hole.sum(), 3)
    assert first.dtype == np.float32
    assert np.corrcoef(first[:, 0], signal[hole, 0])[0, 1] > 0.9
    assert np.corrcoef(first[:, 1], signal[hole, 1])[0, 1] > 0.9
    np.testing.assert_allclose(first[:, 2], 0.5, rtol=1e-6)
    np.testing.assert_array_equal(first, mlp.predict(xy[~hole], expression[~hole], xy[hole], seed=1))
    assert not np.array_equal(first, mlp.predict(xy[~hole], expression[~hole], xy[hole], seed=2))


def test_the_best_candidate_on_held_out_blocks_is_refitted_on_all_cells_and_shrunk(section, monkeypatch):
    xy, expression, _ = section
    truth = (expression - expression.mean(axis=0)) / np.where(expression.std(axis=0) > 0, expression.std(axis=0), 1)
    tree = cKDTree((xy - xy.mean(axis=0)) / xy.std())
    calls = []

    def fit(x, y, width, epochs, seed):
        calls.append((len(x), width, epochs))
        # One candidate predicts twice the truth; the others predict a tenth of its opposite.
        factor = 2.0 if (width, epochs) == (mlp.WIDTHS[1], mlp.EPOCHS[0]) else -0.1
        return lambda x_new: torch.as_tensor(factor * truth[tree.query(x_new.numpy())[1]], dtype=torch.float32)

    monkeypatch.setattr(mlp, "fit", fit)
    prediction = mlp.predict(xy, expression, xy[:50], seed=0)
    assert calls[-1] == (600, mlp.WIDTHS[1], mlp.EPOCHS[0])
    assert all(n < 600 for n, _, _ in calls[:-1])
    np.testing.assert_allclose(prediction, expression[:50], atol=1e-4)


@pytest.mark.parametrize(("block", "low", "high"), [(10, 0.2, 0.22), (5000, 0.2, 0.2), (0, 0.2, 0.21)])
def test_held_out_blocks_are_squares_of_a_fifth_of_the_cells(section, block, low, high):
    xy = section[0]
    held = mlp.held_out_blocks(xy, block, np.random.default_rng(0))
    assert low <= held.mean() <= high
    if block == 5000:
        inside = xy[held]
        box = ((xy >= inside.min(axis=0)) & (xy <= inside.max(axis=0))).all(axis=1)
        # A single square block: hardly any seen cell within its bounding box.
        assert box.sum() <= held.sum() + 1


def test_two_cells_are_enough_to_hold_one_out():
    assert mlp.held_out_blocks(np.array([[0.0, 0], [9, 9]]), 100, np.random.default_rng(0)).sum() == 1


def test_a_linear_field_is_fitted_like_least_squares():
    x = torch.as_tensor(np.random.default_rng(0).normal(size=(500, 2)), dtype=torch.float32)
    y = x @ torch.tensor([[1.0, -0.5], [0.3, 0.8]])
    network = mlp.fit(x, y, 64, 150, 0)
    assert float((network(x) - y).square().mean()) < 1e-2
    assert not any(p.requires_grad for p in network.parameters())
