"""The order of cells (Eq. 5) against exact probabilities; the grid and the bins against brute force."""

from itertools import permutations

import numpy as np
import pytest

from gest.windows import Grid, position_bins, serialize


def exact_places(weights: np.ndarray) -> np.ndarray:
    """Compute P[cell, place in the order] by summing the products of Eq. 5 over all orders."""
    n = len(weights)
    P = np.zeros((n, n))
    for order in permutations(range(n)):
        remaining, p = weights.sum(), 1.0
        for cell in order:
            p *= weights[cell] / remaining  # Eq. 5
            remaining -= weights[cell]
        P[list(order), range(n)] += p
    return P


@pytest.mark.parametrize("sharpness", [1.0, 3.0])
def test_distribution_of_all_places_is_equation_5(sharpness):
    xy = np.array([[10.0, 0], [0, 30], [40, 30], [60, 80], [5, 5]])
    exact = exact_places(np.linalg.norm(xy, axis=1) ** sharpness)
    rng, draws = np.random.default_rng(0), 20_000
    counts = np.zeros((5, 5))
    for _ in range(draws):
        counts[serialize(xy, corner=np.zeros(2), sharpness=sharpness, rng=rng), range(5)] += 1
    error = np.sqrt(exact * (1 - exact) / draws)
    assert (np.abs(counts / draws - exact) < 4.5 * error + 1e-9).all()


def test_farthest_cells_come_first_on_average(rng):
    xy = rng.uniform(0, 600, (300, 2))
    distance = np.linalg.norm(xy, axis=1)
    order = np.mean([distance[serialize(xy, corner=np.zeros(2), rng=rng)] for _ in range(200)], 0)
    assert order[:30].mean() > order[-30:].mean() + 100


def test_random_order_ignores_distance():
    xy = np.array([[1.0, 0], [1000, 0], [2000, 0]])
    rng = np.random.default_rng(0)
    first = np.bincount([serialize(xy, corner=np.zeros(2), order="random", rng=rng)[0] for _ in range(6000)])
    assert (np.abs(first / 6000 - 1 / 3) < 0.03).all()


def test_cells_on_the_corner_come_last(rng):
    xy = np.array([[0.0, 0], [1, 1], [0, 0], [2, 2]])
    last_two = {tuple(serialize(xy, corner=np.zeros(2), rng=rng)[2:]) for _ in range(100)}
    assert last_two == {(0, 2), (2, 0)}


@pytest.mark.parametrize("n", [0, 1])
def test_few_cells(n, rng):
    assert serialize(np.ones((n, 2)), corner=np.zeros(2), rng=rng).tolist() == list(range(n))


def test_unknown_order(rng):
    with pytest.raises(ValueError, match="ordinal or random"):
        serialize(np.ones((2, 2)), corner=np.zeros(2), order="diagonal", rng=rng)


@pytest.mark.parametrize("side", [35.0, 100.0, 470.0, 5000.0])
def test_grid_finds_what_brute_force_finds(side, rng):
    xy = rng.uniform(-300, 900, (2000, 2))
    grid = Grid(xy, 120)
    for centre in rng.uniform(-500, 1100, (50, 2)):
        low, high = centre - side / 2, centre + side / 2
        expected = np.flatnonzero(((xy >= low) & (xy <= high)).all(1))
        np.testing.assert_array_equal(grid.window(centre, side), expected)


def test_grid_windows_are_closed():
    """Spots of a regular grid can lie exactly on the border of each other's window; each must find the other."""
    grid = Grid(np.array([[0.0, 0], [150, 0], [0, 300]]), 300)
    assert grid.window(np.zeros(2), 300).tolist() == [0, 1]
    assert grid.window(np.array([150.0, 0]), 300).tolist() == [0, 1]


def test_position_bins():
    xy = np.array([[0.0, 0], [300, -300], [3, -3], [1e6, -1e6], [1.4, 1.6]])
    bins = position_bins(xy, np.zeros(2), window=600)
    assert bins.tolist() == [[100, 100], [200, 0], [101, 99], [200, 0], [100, 101]]


def test_a_smaller_window_keeps_the_scale_of_training():
    """For a model trained with windows of 600 µm, 100 µm are 33 bins in any window."""
    assert position_bins(np.array([[100.0, 0]]), np.zeros(2), window=600).tolist() == [[133, 100]]
