"""Two predictions of known meaning, between which to read every other method."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree


def mean_of_seen(
    xy_seen: NDArray[np.floating], expression_seen: NDArray[np.float32], xy_unseen: NDArray[np.floating], *, seed: int
) -> NDArray[np.float32]:
    """Give every unseen cell the mean profile of the seen cells: no knowledge of space at all.

    Parameters
    ----------
    xy_seen, xy_unseen
        (n, 2) and (m, 2) positions in µm.
    expression_seen
        (n, T) log-normalised expression.
    seed
        Not used: nothing is drawn.

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
    """Give every unseen cell the profile of the nearest seen cell: space alone, with a real cell's noise.

    Parameters
    ----------
    xy_seen, xy_unseen
        (n, 2) and (m, 2) positions in µm.
    expression_seen
        (n, T) log-normalised expression.
    seed
        Not used: nothing is drawn.

    Returns
    -------
    numpy.ndarray
        (m, T) predicted expression.
    """
    _, nearest = cKDTree(xy_seen).query(xy_unseen)
    return np.asarray(expression_seen, dtype=np.float32)[nearest]
