"""Controls of generation: the mean of the seen cells, and a copy of the nearest seen cell."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree


def mean_of_seen(
    xy_seen: NDArray[np.floating], expression_seen: NDArray[np.float32], xy_unseen: NDArray[np.floating], *, seed: int
) -> NDArray[np.float32]:
    """Predict the mean profile of the seen cells for every unseen cell.

    This control uses no spatial information.

    Parameters
    ----------
    xy_seen, xy_unseen
        (n, 2) and (m, 2) positions in µm.
    expression_seen
        (n, T) log-normalised expression.
    seed
        Not used.

    Returns
    -------
    numpy.ndarray
        (m, T) predicted expression, constant over cells.
    """
    mean = expression_seen.mean(axis=0, dtype=np.float64).astype(np.float32)
    return np.tile(mean, (len(xy_unseen), 1))


def nearest_seen(
    xy_seen: NDArray[np.floating], expression_seen: NDArray[np.float32], xy_unseen: NDArray[np.floating], *, seed: int
) -> NDArray[np.float32]:
    """Predict the profile of the nearest seen cell for every unseen cell.

    This control uses only the positions, and its predictions are as noisy as real cells.

    Parameters
    ----------
    xy_seen, xy_unseen
        (n, 2) and (m, 2) positions in µm.
    expression_seen
        (n, T) log-normalised expression.
    seed
        Not used.

    Returns
    -------
    numpy.ndarray
        (m, T) predicted expression.
    """
    _, nearest = cKDTree(xy_seen).query(xy_unseen)
    return np.asarray(expression_seen, dtype=np.float32)[nearest]
