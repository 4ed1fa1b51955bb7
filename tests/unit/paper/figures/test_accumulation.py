"""Figure A.1 and its table: errors by round, and panels that show their input."""

import matplotlib
import numpy as np
from matplotlib.collections import EllipseCollection

from gest.paper.figures.accumulation import draw_accumulation, errors_by_round

matplotlib.use("Agg")


def test_errors_by_round(rng):
    truth, rounds = rng.random((30, 5)), np.repeat([1, 2, 3], [5, 10, 15])
    error = np.array([0, 0.1, 0.5, 2.0])[rounds][:, None]
    table = errors_by_round(truth, {("a", "x"): truth + error, ("b", "y"): truth - error}, rounds)
    assert table["method"].tolist() == ["a"] * 3 + ["b"] * 3
    assert table["round"].tolist() == [1, 2, 3] * 2
    assert table["cells"].tolist() == [5, 10, 15] * 2
    np.testing.assert_allclose(table["rmse_log"], [0.1, 0.5, 2.0] * 2)
    negative = [((truth - error)[rounds == n] < 0).mean() for n in (1, 2, 3)]
    assert table["negative"].tolist() == [0, 0, 0, *negative]
    assert negative[0] < negative[1] < negative[2] == 1


def test_figure_shows_its_values_on_one_scale(rng):
    xy = rng.uniform(0, 1000, (300, 2))
    rounds = np.where(xy[:, 1] > 400, 1 + (xy[:, 1] > 700), 0)
    panels = {name: rng.random(300) + i for i, name in enumerate(("truth", "with", "without"))}
    figure = draw_accumulation(xy, 400.0, panels, rounds, gene="Gad1", title="toy")
    drawn = [[c for c in ax.collections if isinstance(c, EllipseCollection)] for ax in figure.axes[:4]]
    for (circles,), values in zip(drawn[:3], panels.values(), strict=True):
        np.testing.assert_array_equal(circles.get_array(), values)
        assert circles.get_clim() == tuple(np.percentile(panels["truth"], [1, 99]))
    seen, generated = drawn[3]
    np.testing.assert_array_equal(seen.get_offsets(), xy[rounds == 0])
    np.testing.assert_array_equal(generated.get_array(), rounds[rounds > 0])
    assert all(400.0 in line.get_ydata() for ax in figure.axes[:4] for line in ax.lines[:1])
