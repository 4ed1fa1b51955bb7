"""The generation baselines of the paper (section 4.1), and two controls of known meaning.

All keep one contract: `predict(xy_seen, expression_seen, xy_unseen, *, seed) -> (m, T) float32`, with positions in µm
and dense log-normalised expression.
"""

from collections.abc import Callable

from gest.baselines import controls, gp, mlp

METHODS: dict[str, Callable] = {
    "gp": gp.predict,
    "mlp": mlp.predict,
    "mean_of_seen": controls.mean_of_seen,
    "nearest_seen": controls.nearest_seen,
}
