"""Gaussian process on absolute coordinates with one Matérn-5/2 kernel for all genes (paper, section 4.1).

Genes are independent outputs, standardised over the seen cells. They share a length scale, a signal variance and a
noise variance, chosen to maximise the log marginal likelihood summed over genes. With at most `exact_limit` seen cells
the prediction is exact; with more, it uses inducing points (Titsias 2009).
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial import cKDTree
from sklearn.cluster import KMeans
from torch import Tensor

# This fraction of the signal variance is added to the diagonal of the inducing points' covariance, so that its Cholesky
# factor exists.
JITTER = 1e-9


class Hyperparameters(NamedTuple):
    """Hyperparameters of the kernel, shared by all genes."""

    length_scale: float
    """In µm."""
    signal: float
    """Signal variance, relative to the variance of a gene."""
    noise: float
    """Noise variance, relative to the variance of a gene."""


def predict(
    xy_seen: NDArray[np.floating],
    expression_seen: NDArray[np.float32],
    xy_unseen: NDArray[np.floating],
    *,
    seed: int,
    exact_limit: int = 6000,
    n_inducing: int = 1000,
    n_learning: int = 1200,
) -> NDArray[np.float32]:
    """Predict expression at unseen positions, as the posterior mean.

    Parameters
    ----------
    xy_seen, xy_unseen
        (n, 2) and (m, 2) positions in µm.
    expression_seen
        (n, T) log-normalised expression.
    seed
        Seed for drawing the cells that hyperparameters are learnt from, and for k-means.
    exact_limit
        Largest number of seen cells for an exact prediction. The hyperparameters, and the inducing points if there are
        more cells, are computed from the `exact_limit` seen cells nearest to the unseen ones: inducing points spread
        over the whole section would be too far apart for the length scale.
    n_inducing
        Number of inducing points, which are the centres of k-means clusters of cells.
    n_learning
        Number of randomly drawn cells that hyperparameters are learnt from.

    Returns
    -------
    numpy.ndarray
        (m, T) predicted expression.
    """
    expression = np.asarray(expression_seen, dtype=np.float64)
    mean, scale = expression.mean(axis=0), expression.std(axis=0)
    # Constant genes say nothing about the kernel; their prediction is their mean.
    varies = np.ptp(expression, axis=0) > 0
    prediction = np.tile(mean, (len(xy_unseen), 1))
    if varies.any() and len(xy_unseen):
        x, x_new = (torch.as_tensor(np.asarray(xy, dtype=np.float64)) for xy in (xy_seen, xy_unseen))
        y = torch.as_tensor((expression[:, varies] - mean[varies]) / scale[varies])
        near = np.argsort(cKDTree(xy_unseen).query(xy_seen)[0], kind="stable")[:exact_limit]
        learning = np.random.default_rng(seed).permutation(near)[:n_learning]
        hyperparameters = learn(x[learning], y[learning])
        if len(x) <= exact_limit:
            posterior = exact_mean(x, y, x_new, hyperparameters)
        else:
            centres = KMeans(n_inducing, n_init=1, max_iter=20, random_state=seed).fit(x[near].numpy()).cluster_centers_
            posterior = inducing_mean(x, y, x_new, torch.as_tensor(centres), hyperparameters)
        prediction[:, varies] += posterior.numpy() * scale[varies]
    return prediction.astype(np.float32)


def learn(x: Tensor, y: Tensor) -> Hyperparameters:
    """Learn hyperparameters by maximising the log marginal likelihood.

    The optimisation starts from the best of several length scales.

    Parameters
    ----------
    x
        (n, 2) positions in µm, float64.
    y
        (n, T) outputs of mean 0 and variance 1, float64.

    Returns
    -------
    Hyperparameters
        The hyperparameters at the optimum.
    """
    distance = _distance(x, x)
    extent = float(distance.max()) or 1.0

    def loss(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        log_parameters = torch.tensor(theta, requires_grad=True)
        value = -log_marginal_likelihood(distance, y, *log_parameters.exp()) / y.numel()
        value.backward()
        return float(value.detach()), log_parameters.grad.numpy()

    starts = [np.log([extent * share, 0.2, 0.8]) for share in (0.01, 0.03, 0.1, 0.3, 1.0)]
    bounds = [np.log([extent * 1e-3, extent * 10]), np.log([1e-5, 10]), np.log([1e-4, 10])]
    start = min(starts, key=lambda theta: loss(theta)[0])
    return Hyperparameters(*np.exp(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x).tolist())


def log_marginal_likelihood(distance: Tensor, y: Tensor, length_scale: Tensor, signal: Tensor, noise: Tensor) -> Tensor:
    """Sum log N(y | 0, K + noise I) over genes (Rasmussen & Williams 2006, Eq. 2.30).

    Parameters
    ----------
    distance
        (n, n) distances in µm.
    y
        (n, T) outputs.
    length_scale, signal, noise
        Scalars: length scale in µm, signal variance and noise variance.

    Returns
    -------
    torch.Tensor
        The log marginal likelihood, a scalar.
    """
    n, n_genes = y.shape
    factor = torch.linalg.cholesky(_with_diagonal(_matern(distance, length_scale, signal), noise))
    whitened = torch.linalg.solve_triangular(factor, y, upper=False)
    return -0.5 * whitened.square().sum() - n_genes * (factor.diagonal().log().sum() + 0.5 * n * np.log(2 * np.pi))


def exact_mean(x: Tensor, y: Tensor, x_new: Tensor, hyperparameters: Hyperparameters) -> Tensor:
    """Compute the posterior mean K* (K + noise I)^-1 y.

    See Rasmussen & Williams 2006, Eq. 2.25.

    Parameters
    ----------
    x, x_new
        (n, 2) and (m, 2) positions in µm.
    y
        (n, T) outputs.
    hyperparameters
        Hyperparameters of the kernel.

    Returns
    -------
    torch.Tensor
        (m, T) posterior mean.
    """
    length_scale, signal, noise = hyperparameters
    factor = torch.linalg.cholesky(_with_diagonal(_matern(_distance(x, x), length_scale, signal), noise))
    return _matern(_distance(x_new, x), length_scale, signal) @ torch.cholesky_solve(y, factor)


def inducing_mean(x: Tensor, y: Tensor, x_new: Tensor, inducing: Tensor, hyperparameters: Hyperparameters) -> Tensor:
    """Compute the posterior mean through inducing points, with the optimal q(u).

    See Titsias 2009, Eq. 6.

    Parameters
    ----------
    x, x_new, inducing
        (n, 2), (m, 2) and (k, 2) positions in µm.
    y
        (n, T) outputs.
    hyperparameters
        Hyperparameters of the kernel.

    Returns
    -------
    torch.Tensor
        (m, T) posterior mean; equal to `exact_mean`, up to `JITTER`, if the inducing points are the cells.
    """
    length_scale, signal, noise = hyperparameters
    k_uu = _with_diagonal(_matern(_distance(inducing, inducing), length_scale, signal), JITTER * signal)
    factor = torch.linalg.cholesky(k_uu)

    def whiten(points: Tensor) -> Tensor:
        return torch.linalg.solve_triangular(
            factor, _matern(_distance(inducing, points), length_scale, signal), upper=False
        )

    whitened = whiten(x)
    inner = torch.linalg.cholesky(_with_diagonal(whitened @ whitened.T, noise))
    return whiten(x_new).T @ torch.cholesky_solve(whitened @ y, inner)


def _matern(distance: Tensor, length_scale: Tensor | float, signal: Tensor | float) -> Tensor:
    """Evaluate the Matérn kernel of smoothness 5/2.

    See Rasmussen & Williams 2006, Eq. 4.17.
    """
    scaled = 5**0.5 * distance / length_scale
    return signal * (1 + scaled + scaled.square() / 3) * torch.exp(-scaled)


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """Return the distances (n, m) between points (n, 2) and points (m, 2).

    Equal points have a distance of exactly zero.
    """
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def _with_diagonal(matrix: Tensor, value: Tensor | float) -> Tensor:
    """Add a value to the diagonal of a square matrix."""
    return matrix + value * torch.eye(len(matrix), dtype=matrix.dtype)
