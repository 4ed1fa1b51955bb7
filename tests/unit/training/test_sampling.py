"""Training windows are squares of the section, rotated and thinned as the configuration says."""

import numpy as np
import pytest

from gest import Config
from gest.errors import UserError
from gest.training.sampling import draw_window, thin
from gest.windows import Grid, Tokens

CONFIG = Config(window=300)


def test_a_window_is_a_square_of_the_section(rng):
    xy = rng.uniform(0, 1000, (800, 2))
    section = Tokens(xy, np.arange(800))
    grid = Grid(xy, 300)
    for _ in range(30):
        cells, bins = draw_window(section, grid, CONFIG, rotate=False, rng=rng)
        assert len(set(cells)) == len(cells) >= 2
        assert (np.ptp(xy[cells], axis=0) <= 300).all()
        steps = np.diff(xy[cells], axis=0) / 1.5  # a bin is 1.5 µm
        assert np.abs(np.diff(bins, axis=0) - steps).max() <= 1.0


def test_rotated_windows_keep_distances(rng):
    xy = rng.uniform(0, 1000, (800, 2))
    section, grid = Tokens(xy, np.arange(800)), Grid(xy, 300)
    config = Config.of({"window": 300, "serialisation": {"order": "random"}})
    rotations = set()
    for _ in range(100):
        cells, bins = draw_window(section, grid, config, rotate=True, rng=rng)
        if len(cells) < 20:  # too few, in a corner of the section, to fit a rotation
            continue
        actual, binned = xy[cells] - xy[cells].mean(0), bins - bins.mean(0)
        rotation = np.linalg.lstsq(binned * 1.5, actual, rcond=None)[0]
        np.testing.assert_allclose(np.abs(rotation), np.abs(rotation.round()), atol=0.05)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(2), atol=0.05)
        rotations.add(tuple(rotation.round().astype(int).ravel()))
    assert len(rotations) == 8


def test_cells_too_far_apart_are_an_error(rng):
    xy = np.array([[0.0, 0], [10_000, 0]])
    with pytest.raises(UserError, match="held two cells"):
        draw_window(Tokens(xy, np.zeros(2, int)), Grid(xy, 300), CONFIG, rotate=False, rng=rng)


def test_thinning_makes_the_mix_of_cells_vary_over_windows_and_within_them(rng):
    xy = rng.uniform(-150, 150, (4000, 2))
    states = rng.normal(size=(4000, 4))  # states do not depend on position
    shares_kept, differences = [], []
    for _ in range(60):
        kept = thin(xy, states, window=300, rng=rng)
        shares_kept.append(kept.mean())
        sides = [states[kept & side].mean(0) for side in (xy[:, 0] < 0, xy[:, 0] >= 0)]
        differences.append(np.abs(sides[0] - sides[1]).max())
    assert 0.4 < np.mean(shares_kept) < 0.6
    unthinned = np.abs(states[xy[:, 0] < 0].mean(0) - states[xy[:, 0] >= 0].mean(0)).max()
    assert np.median(differences) > 3 * unthinned


def test_thinning_leaves_enough_cells(rng):
    xy, states = rng.uniform(-150, 150, (9, 2)), rng.normal(size=(9, 4))
    assert min(thin(xy, states, window=300, rng=rng).sum() for _ in range(50)) >= 8
