"""Keep expression on disk for a model without quantisation; only the rows of a window are read.

Such a model reads every cell's expression instead of its token. For the paper's training sections, expression takes
gigabytes and tokens take 30 MB, so expression is not held in memory (decision 31).
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from gest.windows import Tokens


def on_disk(rows: sp.csr_matrix, folder: Path) -> sp.csr_matrix:
    """Move a matrix to unnamed memory-mapped files in `folder`.

    The files disappear when the process ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays = tuple(_mapped(array, folder) for array in (rows.data, rows.indices, rows.indptr))
    return sp.csr_matrix(arrays, shape=rows.shape, copy=False)


def _mapped(array: np.ndarray, folder: Path) -> np.ndarray:
    if not array.size:
        return array  # an empty file cannot be mapped
    with tempfile.TemporaryFile(dir=folder) as file:
        array.tofile(file)
        file.flush()
        return np.memmap(file, dtype=array.dtype, mode="r", shape=array.shape)


def error_of_mean(training: Sequence[Tokens], scored: Sequence[Tokens]) -> float:
    """Compute the mean squared error of predicting the mean training cell.

    This is the baseline for a model without quantisation.
    """
    predicted, _ = _moments(training)
    mean, mean_square = _moments(scored)
    return float((mean_square - 2 * mean * predicted + predicted**2).mean())


def _moments(sections: Sequence[Tokens]) -> tuple[np.ndarray, np.ndarray]:
    """Compute mean (T,) and mean square (T,) of every gene over all cells.

    Sections are read one at a time.
    """
    n = sum(section.expression.shape[0] for section in sections)
    total = sum(np.asarray(section.expression.sum(0, dtype=np.float64)).ravel() for section in sections)
    squares = sum(_column_sums_of_squares(section.expression) for section in sections)
    return total / n, squares / n


def _column_sums_of_squares(rows: sp.csr_matrix) -> np.ndarray:
    return np.bincount(rows.indices, weights=np.square(rows.data, dtype=np.float64), minlength=rows.shape[1])
