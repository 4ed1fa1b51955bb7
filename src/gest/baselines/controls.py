"""Two controls of generation, one without spatial information and one with nothing else."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree


def mean_of_seen(
    xy_seen: NDArray[np.floating], expression_seen: NDArray[np.float32], xy_unseen: NDArray[np.floating], *, seed: int
) -> NDArray[np.float32]:
    """Predict the mean profile of the seen cells for every unseen cell.

    It uses no spatial information.

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
    """Predict the profile of the nearest seen cell.

    It uses spatial information alone, and has the noise of a real cell.

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
