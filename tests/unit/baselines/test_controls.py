"""The controls predict what their names say, and all methods return expression in the same form."""

import numpy as np

from gest.baselines import registry
from gest.baselines.controls import mean_of_seen, nearest_seen
from gest.metrics import rmse_z


def test_mean_and_nearest():
    rng = np.random.default_rng(0)
    xy, unseen = rng.uniform(0, 500, (80, 2)), rng.uniform(0, 500, (30, 2))
    expression = rng.random((80, 6), dtype=np.float32)
    mean = mean_of_seen(xy, expression, unseen, seed=0)
    np.testing.assert_allclose(mean, np.broadcast_to(expression.mean(axis=0), (30, 6)), rtol=1e-6)
    assert rmse_z(rng.random((30, 6)), mean).constant_predictions == 6
    by_hand = [expression[np.argmin(((xy - point) ** 2).sum(axis=1))] for point in unseen]
    np.testing.assert_array_equal(nearest_seen(xy, expression, unseen, seed=0), by_hand)
    np.testing.assert_array_equal(nearest_seen(xy, expression, xy, seed=0), expression)


def test_every_method_keeps_the_contract():
    rng = np.random.default_rng(0)
    xy, unseen = rng.uniform(0, 500, (40, 2)), rng.uniform(0, 500, (7, 2))
    expression = rng.random((40, 3), dtype=np.float32)
    expression[:, 1] = 0.25
    for name in ("mean_of_seen", "nearest_seen", "gp"):
        predict = registry.load_function(registry.method("generation", name))
        prediction = predict(xy, expression, unseen, seed=0)
        assert prediction.shape == (7, 3), name
        assert prediction.dtype == np.float32, name
        np.testing.assert_allclose(prediction[:, 1], 0.25, rtol=1e-6, err_msg=name)
        assert predict(xy, expression, unseen[:0], seed=0).shape == (0, 3), name
