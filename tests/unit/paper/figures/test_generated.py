"""The figure of generated cells shows its input."""

import matplotlib
import numpy as np
import pytest

from gest.paper.figures.generated import draw_generation

matplotlib.use("Agg")


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 1000, (300, 2))
    unseen = (xy < 400).all(axis=1)
    truth = rng.random((unseen.sum(), 2)) * [1, 10]
    predictions = {"gp": truth / 2, "mlp": truth * 0}
    return xy, unseen, truth, predictions, draw_generation(xy, unseen, truth, predictions, ["Gad1", "Mbp"])


def test_figure_places_values_where_the_cells_are(drawn):
    xy, unseen, truth, predictions, figure = drawn
    section, panels = figure.axes[0], [ax for ax in figure.axes if len(ax.collections) == 1 and ax.get_aspect() == 1]
    assert len(panels) == 2 * 3
    seen, hidden = (np.asarray(points.get_offsets()) for points in section.collections)
    np.testing.assert_array_equal(seen, xy[~unseen])
    np.testing.assert_array_equal(hidden, xy[unseen])
    for row in range(2):
        for ax, values in zip(panels[3 * row : 3 * row + 3], [truth, *predictions.values()], strict=True):
            np.testing.assert_array_equal(ax.collections[0].get_offsets(), xy[unseen])
            np.testing.assert_array_equal(ax.collections[0].get_array(), values[:, row])


def test_figure_has_one_colour_scale_per_gene(drawn):
    *_, figure = drawn
    panels = [ax for ax in figure.axes if len(ax.collections) == 1 and ax.get_aspect() == 1]
    scales = [panel.collections[0].get_clim() for panel in panels]
    assert len(set(scales[:3])) == len(set(scales[3:])) == 1
    assert scales[0] != scales[3]
