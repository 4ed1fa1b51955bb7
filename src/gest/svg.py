"""Spatially variable genes: the ranking behind the "top" gene sets (paper, figure 4c-d; tables 3, 4, A.1, A.4)."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array, spmatrix
from scipy.spatial import cKDTree

from gest.errors import UserError

NEIGHBOURS = 10
# Genes made dense at a time, so that memory stays at one block whatever the panel.
BLOCK = 256


def spatially_variable_genes(
    expression: NDArray[np.floating] | spmatrix,
    xy: NDArray[np.floating],
    genes: Sequence[str],
    *,
    method: str = "morans_i",
) -> pd.DataFrame:
    """Rank the genes of one section by how strongly their expression varies over space.

    Parameters
    ----------
    expression
        (n, T) log-normalised expression, dense or sparse.
    xy
        (n, 2) positions in µm.
    genes
        The T gene names.
    method
        "morans_i": Moran's I over the 10 nearest neighbours.

    Returns
    -------
    pandas.DataFrame
        `gene`, `score` (higher varies more; NaN for a constant gene), `rank` (1 first; constant genes last), by rank.

    Raises
    ------
    UserError
        If the method is unknown, or the section has fewer than two cells.
    """
    if method not in METHODS:
        raise UserError(f"svg.method is {method!r}: set it to one of {', '.join(METHODS)}.")
    if len(xy) < 2:
        raise UserError(f"a section of {len(xy)} cells has no spatial pattern: give at least two cells.")
    scores = pd.DataFrame({"gene": list(genes), "score": METHODS[method](csc_array(expression), np.asarray(xy))})
    scores = scores.sort_values("score", ascending=False, kind="stable", na_position="last", ignore_index=True)
    return scores.assign(rank=np.arange(1, len(scores) + 1))


def top_genes(ranking: pd.DataFrame, top: int) -> tuple[list[str], str]:
    """Take the first `top` genes of a ranking, but never more than a quarter of the panel.

    Parameters
    ----------
    ranking
        As returned by `spatially_variable_genes`, in any order of rows.
    top
        The number of genes asked for.

    Returns
    -------
    tuple
        The genes in the order of their rank, and a label with their number, such as "svg33".
    """
    count = max(1, min(top, len(ranking) // 4))
    return ranking.sort_values("rank")["gene"].astype(str).tolist()[:count], f"svg{count}"


def neighbour_graph(xy: NDArray[np.floating], k: int = NEIGHBOURS) -> csr_array:
    """Connect each cell to its k nearest others, with weights that sum to 1 in each row.

    Parameters
    ----------
    xy
        (n, 2) positions in µm, n >= 2.
    k
        Neighbours; n - 1 where the section has fewer.

    Returns
    -------
    scipy.sparse.csr_array
        (n, n) float64.
    """
    n = len(xy)
    k = min(k, n - 1)
    _, neighbours = cKDTree(xy).query(xy, k + 1)
    others = neighbours != np.arange(n)[:, None]
    others[others.all(axis=1), -1] = False  # among many cells on one spot a cell need not find itself
    return csr_array((np.full(n * k, 1 / k), neighbours[others], np.arange(0, n * k + 1, k)), shape=(n, n))


def morans_i(expression: csc_array, xy: NDArray[np.floating]) -> NDArray[np.float64]:
    """Moran's I of each gene, z' W z / z' z with row-standardised W (Moran 1950).

    Parameters
    ----------
    expression
        (n, T) log-normalised expression.
    xy
        (n, 2) positions in µm.

    Returns
    -------
    numpy.ndarray
        (T,) NaN where a gene is constant.
    """
    graph = neighbour_graph(xy)
    scores = np.full(expression.shape[1], np.nan)
    for start in range(0, expression.shape[1], BLOCK):
        values = expression[:, start : start + BLOCK].toarray().astype(np.float64)
        varies = np.ptp(values, axis=0) > 0
        z = values[:, varies] - values[:, varies].mean(axis=0)
        scores[start : start + BLOCK][varies] = (z * (graph @ z)).sum(axis=0) / (z**2).sum(axis=0)
    return scores


METHODS: dict[str, Callable[[csc_array, NDArray[np.floating]], NDArray[np.float64]]] = {"morans_i": morans_i}
