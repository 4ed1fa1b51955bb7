"""Metrics of predicted expression (section 4.1) and of labels.

The paper does not state the scale on which it computes RMSE and Spearman correlation. Where it reports almost no
correlation, its RMSE is near sqrt(2). Between z-scored signals of correlation r, the RMSE is sqrt(2 (1 - r)), which is
sqrt(2) at r = 0. So `rmse_z` is compared with the paper (Tables 3, 4, A.1, A.4); `rmse_log` is reported in addition.

The metrics of expression take truth and prediction as dense (m cells, T genes) arrays on the log-normalised scale;
`ami` and `macro_f1` take labels.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from gest.errors import UserError

# Values whose range is below this share of the largest magnitude differ only by accumulated float32 rounding.
CONSTANT_RTOL = 1e-5


class Score(NamedTuple):
    """The value of one metric over one set of unseen cells.

    Attributes
    ----------
    value
        The metric; NaN if nothing could be scored.
    n
        Number of genes (`rmse_z`), cells (`spearman`, `spearman_z`) or entries (`rmse_log`) scored.
    constant_predictions
        Number of those n genes or cells whose prediction is constant; it counts as correlation 0.
    constant_truth
        Number of genes or cells left out because their truth is constant, so that no correlation is defined.
    """

    value: float
    n: int
    constant_predictions: int = 0
    constant_truth: int = 0


class GeneErrors(NamedTuple):
    """The error of each gene.

    Attributes
    ----------
    error
        (T,) sqrt(2 (1 - r)) of each gene; NaN if its truth is constant.
    constant_prediction
        (T,) true for genes whose prediction is constant over the cells and whose truth is not.
    """

    error: NDArray[np.float64]
    constant_prediction: NDArray[np.bool_]


def gene_errors(truth: ArrayLike, prediction: ArrayLike) -> GeneErrors:
    """Compute the RMSE of each gene between z-scores over the cells.

    Parameters
    ----------
    truth, prediction
        (m, T) log-normalised expression.

    Returns
    -------
    GeneErrors
        Per gene sqrt(2 (1 - r)), the RMSE between two z-scored signals of Pearson correlation r; r = 0 if the
        prediction is constant.

    Raises
    ------
    UserError
        The shapes differ, or a value is not finite.

    Examples
    --------
    >>> gene_errors([[0, 1], [1, 2], [2, 3]], [[0, 3], [1, 2], [2, 1]]).error.round(6)
    array([0., 2.])
    """
    truth, prediction = _pair(truth, prediction)
    r, flat_truth, flat_prediction = _pearson(truth.T, prediction.T)
    error = np.sqrt(2 * (1 - r))
    error[flat_truth] = np.nan
    return GeneErrors(error=error, constant_prediction=flat_prediction & ~flat_truth)


def rmse_z(truth: ArrayLike, prediction: ArrayLike) -> Score:
    """Compute the RMSE over all cells and genes of z-scores per gene.

    Each gene contributes 2 (1 - r) to the mean square, so an uninformed prediction scores sqrt(2). A gene whose
    prediction is constant over the cells counts as r = 0; a gene whose truth is constant is left out. The score counts
    both kinds.

    Parameters
    ----------
    truth, prediction
        (m, T) log-normalised expression.

    Returns
    -------
    Score
        `n` counts genes.

    Raises
    ------
    UserError
        The shapes differ, or a value is not finite.

    Examples
    --------
    >>> round(rmse_z([[0], [1], [2]], [[5], [5], [5]]).value, 3)
    1.414
    """
    errors = gene_errors(truth, prediction)
    kept = errors.error[~np.isnan(errors.error)]
    return Score(
        value=float(np.sqrt(np.mean(kept**2))) if len(kept) else float("nan"),
        n=len(kept),
        constant_predictions=int(errors.constant_prediction.sum()),
        constant_truth=len(errors.error) - len(kept),
    )


def rmse_log(truth: ArrayLike, prediction: ArrayLike) -> Score:
    """Compute the RMSE over all cells and genes on the log-normalised scale.

    Parameters
    ----------
    truth, prediction
        (m, T) log-normalised expression.

    Returns
    -------
    Score
        `n` counts entries, m T.

    Raises
    ------
    UserError
        The shapes differ, or a value is not finite.

    Examples
    --------
    >>> rmse_log([[0, 1], [2, 3]], [[0, 1], [2, 1]])
    Score(value=1.0, n=4, constant_predictions=0, constant_truth=0)
    """
    truth, prediction = _pair(truth, prediction)
    value = float(np.sqrt(np.mean((truth - prediction) ** 2))) if truth.size else float("nan")
    return Score(value=value, n=truth.size)


def spearman(truth: ArrayLike, prediction: ArrayLike) -> Score:
    """Compute the Spearman correlation over genes, averaged over cells.

    Ties get average ranks. A cell whose prediction is constant over the genes counts as 0; a cell whose truth is
    constant is left out. The score counts both kinds. Predicting the mean profile for every cell already scores high,
    because genes differ more than cells do.

    Parameters
    ----------
    truth, prediction
        (m, T) log-normalised expression.

    Returns
    -------
    Score
        `n` counts cells.

    Raises
    ------
    UserError
        The shapes differ, or a value is not finite.

    Examples
    --------
    >>> round(spearman([[0, 1, 2], [0, 1, 2]], [[0, 5, 9], [2, 1, 0]]).value, 6)
    0.0
    """
    return _mean_spearman(*_pair(truth, prediction))


def spearman_z(truth: ArrayLike, prediction: ArrayLike) -> Score:
    """Compute `spearman` of z-scores per gene, which removes the mean profile.

    A gene whose truth is constant is left out; a gene whose prediction is constant has z-score 0 in every cell.

    Parameters
    ----------
    truth, prediction
        (m, T) log-normalised expression.

    Returns
    -------
    Score
        `n` counts cells.

    Raises
    ------
    UserError
        The shapes differ, or a value is not finite.

    Examples
    --------
    >>> truth = np.array([[0, 5, 1], [2, 5, 0], [1, 7, 1]])
    >>> round(spearman_z(truth, truth + [0, 10, 0]).value, 6)
    1.0
    """
    truth, prediction = _pair(truth, prediction)
    kept = ~_constant(truth.T)
    return _mean_spearman(_z_scores(truth[:, kept].T).T, _z_scores(prediction[:, kept].T).T)


def _mean_spearman(truth: NDArray[np.float64], prediction: NDArray[np.float64]) -> Score:
    """Compute the mean Spearman correlation over the rows of two (m, T) arrays."""
    if truth.size == 0:
        return Score(value=float("nan"), n=0, constant_truth=len(truth))
    flat_truth, flat_prediction = _constant(truth), _constant(prediction)
    r, _, _ = _pearson(rankdata(truth, axis=1), rankdata(prediction, axis=1))
    # Constant rows are found by their values: ranks would turn rounding noise into variation.
    kept = np.where(flat_prediction, 0.0, r)[~flat_truth]
    return Score(
        value=float(kept.mean()) if len(kept) else float("nan"),
        n=len(kept),
        constant_predictions=int((flat_prediction & ~flat_truth).sum()),
        constant_truth=int(flat_truth.sum()),
    )


def _pearson(
    a: NDArray[np.float64], b: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Correlate the rows of a with those of b; mark the constant rows of each.

    The correlation is 0 if either row is constant.
    """
    r = np.clip((_z_scores(a) * _z_scores(b)).sum(axis=1) / max(a.shape[1], 1), -1.0, 1.0)
    return r, _constant(a), _constant(b)


def _z_scores(a: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale each row to mean 0 and variance 1; a constant row becomes 0."""
    constant = _constant(a)
    z = a - a.mean(axis=1, keepdims=True) if a.shape[1] else a
    z = z / np.where(constant, 1.0, a.std(axis=1))[:, None] if a.shape[1] else z
    z[constant] = 0.0
    return z


def _constant(a: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark the rows that are constant up to rounding."""
    if a.shape[1] == 0:
        return np.ones(len(a), dtype=bool)
    return np.ptp(a, axis=1) <= CONSTANT_RTOL * np.abs(a).max(axis=1)


def _pair(truth: ArrayLike, prediction: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both arrays in float64; raise UserError if shapes or values are invalid."""
    truth, prediction = np.asarray(truth, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if truth.ndim != 2 or truth.shape != prediction.shape:
        raise UserError(
            f"metrics: truth {truth.shape} and prediction {prediction.shape} differ in shape (expected (cells, genes))."
        )
    if not (np.isfinite(truth).all() and np.isfinite(prediction).all()):
        raise UserError("metrics: truth or prediction has values that are not finite (expected numbers).")
    return truth, prediction


def ami(truth: np.ndarray, labels: np.ndarray) -> float:
    """Compute the adjusted mutual information of two labellings (n,).

    It is 1 if the labellings are equal up to the names of the labels, and about 0 by chance.

    Examples
    --------
    >>> ami(["a", "a", "b", "b"], [1, 1, 0, 0])
    1.0
    """
    from sklearn.metrics import adjusted_mutual_info_score

    return float(adjusted_mutual_info_score(truth, labels, average_method="arithmetic"))


def macro_f1(truth: np.ndarray, labels: np.ndarray) -> float:
    """Compute the F1 score of labels (n,), averaged over the labels of the truth.

    A label that is never predicted scores 0.

    Examples
    --------
    >>> round(macro_f1(["a", "a", "b"], ["a", "a", "a"]), 3)
    0.4
    """
    from sklearn.metrics import f1_score

    return float(f1_score(truth, labels, labels=np.unique(truth), average="macro", zero_division=0))
