"""The map of a perturbation."""

import numpy as np
import pandas as pd

from gest.pl.perturbation import draw_perturbation, strongest


def test_the_map_shows_its_input(rng):
    xy = rng.uniform(0, 100, (30, 2))
    roi, surroundings = np.arange(5), np.arange(5, 25)
    control, perturbed = rng.random((2, 20, 2))
    figure = draw_perturbation(xy, roi, surroundings, control, perturbed, ["a", "b"], notes=["High", "Low"])
    panels = [ax for ax in figure.axes if len(ax.collections) == 2 and ax.collections[0].get_array() is not None]
    assert len(panels) == 6
    shown = [ax.collections[0].get_array() for ax in panels]
    for row in range(2):
        for column, values in enumerate((control, perturbed, perturbed - control)):
            np.testing.assert_array_equal(shown[3 * row + column], values[:, row])
        left, right = panels[3 * row].collections[0], panels[3 * row + 1].collections[0]
        assert left.get_clim() == right.get_clim()
        low, high = panels[3 * row + 2].collections[0].get_clim()
        assert low == -high
    np.testing.assert_array_equal(panels[0].collections[1].get_offsets(), xy[roi])


def test_strongest_are_not_those_that_were_changed():
    deg = pd.DataFrame(
        {"gene": list("abcde"), "log2_fold_change": [3, 1, 0, -1, -2.0], "changed": ["up", "", "", "", ""]}
    )
    assert strongest(deg, 1) == ["b", "e"]
    assert strongest(deg, 3) == ["b", "c", "d", "e"]
