"""Regions of interest against plain geometry, and their errors."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from gest.errors import UserError
from gest.roi import Circle, Label, Mask, Polygon, cells_of


@pytest.fixture
def grid():
    """A section of cells 10 µm apart; some lie exactly on the borders of the regions below."""
    xy = np.stack(np.meshgrid(np.arange(0.0, 101, 10), np.arange(0.0, 81, 10)), axis=-1).reshape(-1, 2)
    obs = pd.DataFrame(
        {
            "layer": pd.Categorical(np.where(xy[:, 1] < 40, "upper", None)),
            "cluster": (xy[:, 0] // 50).astype(int),
            "chosen": xy[:, 0] > 55,
        },
        index=[f"c{i}" for i in range(len(xy))],
    )
    return AnnData(np.ones((len(xy), 2), np.float32), obs=obs, obsm={"spatial": xy})


def test_circle_includes_its_border(grid):
    x, y = grid.obsm["spatial"].T
    np.testing.assert_array_equal(cells_of(grid, Circle(50, 40, 20)), (x - 50) ** 2 + (y - 40) ** 2 <= 400)
    assert cells_of(grid, Circle(50, 40, 20)).sum() == 13


@pytest.mark.parametrize("vertices", [[[0, 0], [60, 0], [0, 60]], [[0, 60], [60, 0], [0, 0]]])
def test_polygon_includes_its_border_in_either_direction(grid, vertices):
    x, y = grid.obsm["spatial"].T
    np.testing.assert_array_equal(cells_of(grid, Polygon(vertices)), x + y <= 60)


def test_polygon_that_is_not_convex(grid):
    x, y = grid.obsm["spatial"].T
    corner = Polygon([[-5, -5], [95, -5], [95, 25], [25, 25], [25, 75], [-5, 75]])
    np.testing.assert_array_equal(cells_of(grid, corner), (x < 95) & (y < 75) & ((x < 25) | (y < 25)))


def test_label_and_mask(grid):
    x, y = grid.obsm["spatial"].T
    np.testing.assert_array_equal(cells_of(grid, Label("layer", "upper")), y < 40)
    np.testing.assert_array_equal(cells_of(grid, Label("cluster", "1")), (x >= 50) & (x < 100))
    np.testing.assert_array_equal(cells_of(grid, Mask("chosen")), x > 55)
    np.testing.assert_array_equal(cells_of(grid, Mask(y == 0)), y == 0)


@pytest.mark.parametrize(
    ("roi", "sentence"),
    [
        (Circle(500, 500, 20), r"circle of 20 µm around \(500, 500\) holds no cell; .* x 0 to 100 and y 0 to 80 µm"),
        (Circle(50, 50, 0), "radius is 0 µm"),
        (Polygon([[0, 0], [1, 1]]), "three or more vertices"),
        (Polygon([[0, 0], [1, 1], [2]]), "three or more vertices"),
        (Polygon([[0, 0], [1, 1], [np.nan, 2]]), "three or more vertices"),
        (Polygon([[1, 1], [2, 1], [2, 2]]), "polygon of 3 vertices holds no cell"),
        (Label("depth", "upper"), r"no column 'depth' \(columns: layer, cluster, chosen\)"),
        (Label("layer", "lower"), "no cell has obs.'layer'. = 'lower'; the column holds upper"),
        (Label("layer", "nan"), "no cell has"),
        (Mask("layer"), "expected 99 booleans"),
        (Mask("mine"), "no column 'mine'"),
        (Mask(np.ones(3, bool)), "expected 99 booleans"),
        (Mask(np.zeros(99, bool)), "the mask holds no cell"),
    ],
)
def test_user_errors(grid, roi, sentence):
    with pytest.raises(UserError, match=sentence) as raised:
        cells_of(grid, roi)
    assert "\n" not in str(raised.value)
