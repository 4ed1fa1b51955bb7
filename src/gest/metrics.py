"""Errors and correlations of predicted expression in unseen cells (paper, section 4.1; tables 3, 4, A.1, A.4).

The paper names neither the scale of its RMSE nor that of its Spearman correlation. Its errors sit near sqrt(2) where
there is next to no correlation, which is what sqrt(2 (1 - r)) between z-scored signals gives, so `rmse_z` is compared
with the paper and `rmse_log` stands beside it. Every function takes truth and prediction as dense (m cells, T genes)
arrays on the log-normalised scale.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from gest.errors import UserError

# A range below this share of the largest magnitude is float32 rounding (1.2e-7 each) added up, not variation.
CONSTANT_RTOL = 1e-5


class Score(NamedTuple):
    """One metric over one set of unseen cells.

    Attributes
    ----------
    value
        The metric; NaN where nothing could be scored.
    n
        Genes (`rmse_z`), cells (`spearman`, `spearman_z`) or entries (`rmse_log`) that entered it.
    constant_predictions
        How many of those n had a constant prediction and were counted as correlation 0.
    constant_truth
        Genes or cells left out because their truth is constant, so that no correlation exists.
    """

    value: float
    n: int
    constant_predictions: int = 0
    constant_truth: int = 0


class GeneErrors(NamedTuple):
    """Errors per gene.

    Attributes
    ----------
    error
        (T,) sqrt(2 (1 - r)) of each gene; NaN where its truth is constant.
    constant_prediction
        (T,) genes whose prediction is constant over cells and whose truth is not.
    """

    error: NDArray[np.float64]
    constant_prediction: NDArray[np.bool_]


def gene_errors(truth: ArrayLike, prediction: ArrayLike) -> GeneErrors:
    """RMSE of each gene between truth and prediction, both z-scored over the cells.

    Parameters
    ----------
    truth, prediction
        (m, T) log-normalised expression.

    Returns
    -------
    GeneErrors
        Per gene sqrt(2 (1 - r)), with r = 0 where the prediction is constant: the RMSE between two z-scored signals
        of Pearson correlation r.

    Raises
    ------
    UserError
        If the shapes differ or a value is not finite.
    """
    truth, prediction = _pair(truth, prediction)
    r, flat_truth, flat_prediction = _pearson(truth.T, prediction.T)
    error = np.sqrt(2 * (1 - r))
    error[flat_truth] = np.nan
    return GeneErrors(error, flat_prediction & ~flat_truth)


def rmse_z(truth: ArrayLike, prediction: ArrayLike) -> Score:
    """RMSE over all cells and genes, truth and prediction z-scored per gene over the cells.

    Each gene contributes 2 (1 - r) to the mean square, so a prediction that knows nothing scores sqrt(2). A
    prediction constant over cells counts as r = 0; genes constant in truth are left out. Both are counted.

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
        If the shapes differ or a value is not finite.
    """
    error, constant = gene_errors(truth, prediction)
    kept = error[~np.isnan(error)]
    value = float(np.sqrt(np.mean(kept**2))) if len(kept) else float("nan")
    return Score(value, len(kept), int(constant.sum()), len(error) - len(kept))


def rmse_log(truth: ArrayLike, prediction: ArrayLike) -> Score:
    """RMSE over all cells and genes on the log-normalised scale.

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
        If the shapes differ or a value is not finite.
    """
    truth, prediction = _pair(truth, prediction)
    value = float(np.sqrt(np.mean((truth - prediction) ** 2))) if truth.size else float("nan")
    return Score(value, truth.size)


def spearman(truth: ArrayLike, prediction: ArrayLike) -> Score:
    """Mean over cells of the Spearman correlation over genes, ties by average ranks.

    A cell whose prediction is constant over genes counts as 0; a cell whose truth is constant is left out. Both are
    counted. A plain mean profile scores high here: genes differ more than cells do.

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
        If the shapes differ or a value is not finite.
    """
    return _mean_spearman(*_pair(truth, prediction))


def spearman_z(truth: ArrayLike, prediction: ArrayLike) -> Score:
    """`spearman` of the per-gene z-scores, free of the mean profile that every cell shares.

    Genes constant in truth are left out; a gene whose prediction is constant over cells has z-score 0 in every cell.

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
        If the shapes differ or a value is not finite.
    """
    truth, prediction = _pair(truth, prediction)
    kept = ~_constant(truth.T)
    return _mean_spearman(_z_scores(truth[:, kept].T).T, _z_scores(prediction[:, kept].T).T)


def _mean_spearman(truth: NDArray[np.float64], prediction: NDArray[np.float64]) -> Score:
    """Mean Spearman correlation over the rows of two (m, T) arrays."""
    if truth.size == 0:
        return Score(float("nan"), 0, 0, len(truth))
    flat_truth, flat_prediction = _constant(truth), _constant(prediction)
    r, _, _ = _pearson(rankdata(truth, axis=1), rankdata(prediction, axis=1))
    # Ranks turn rounding noise into full-size variation, so constants are judged on the values.
    kept = np.where(flat_prediction, 0.0, r)[~flat_truth]
    value = float(kept.mean()) if len(kept) else float("nan")
    return Score(value, len(kept), int((flat_prediction & ~flat_truth).sum()), int(flat_truth.sum()))


def _pearson(
    a: NDArray[np.float64], b: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Pearson correlation of each row of a and b (0 where either is constant), and where a and b are constant."""
    r = np.clip((_z_scores(a) * _z_scores(b)).sum(axis=1) / max(a.shape[1], 1), -1.0, 1.0)
    return r, _constant(a), _constant(b)


def _z_scores(a: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each row with mean 0 and variance 1; a constant row becomes 0."""
    constant = _constant(a)
    z = a - a.mean(axis=1, keepdims=True) if a.shape[1] else a
    z = z / np.where(constant, 1.0, a.std(axis=1))[:, None] if a.shape[1] else z
    z[constant] = 0.0
    return z


def _constant(a: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Rows whose range is within rounding of nothing."""
    if a.shape[1] == 0:
        return np.ones(len(a), dtype=bool)
    return np.ptp(a, axis=1) <= CONSTANT_RTOL * np.abs(a).max(axis=1)


def _pair(truth: ArrayLike, prediction: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both arrays in float64, checked."""
    truth, prediction = np.asarray(truth, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if truth.ndim != 2 or truth.shape != prediction.shape:
        raise UserError(
            f"truth {truth.shape} and prediction {prediction.shape} differ in shape: both must be (cells, genes)."
        )
    if not (np.isfinite(truth).all() and np.isfinite(prediction).all()):
        raise UserError("truth or prediction holds values that are not finite: every entry must be a number.")
    return truth, prediction


def ami(truth: np.ndarray, labels: np.ndarray) -> float:
    """Return the adjusted mutual information of n cells' labels: 1 if the same up to names, about 0 by chance."""
    from sklearn.metrics import adjusted_mutual_info_score

    return float(adjusted_mutual_info_score(truth, labels, average_method="arithmetic"))


def macro_f1(truth: np.ndarray, labels: np.ndarray) -> float:
    """Return the F1 of n cells' labels, mean over the labels that are in the truth; 0 for one that is never given."""
    from sklearn.metrics import f1_score

    return float(f1_score(truth, labels, labels=np.unique(truth), average="macro", zero_division=0))
