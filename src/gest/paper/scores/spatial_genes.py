"""Spatially variable genes: the ranking behind the "top" gene sets (paper, figure 4c-d; tables 3, 4, A.1, A.4)."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array, spmatrix
from scipy.spatial import cKDTree

from gest.baselines.packaged import run_packaged
from gest.data.tokenize import expression as normalised_expression
from gest.data.tokenize import match_genes
from gest.errors import UserError
from gest.vocabulary import Vocabulary

NEIGHBOURS = 10
# Cells per node of SOMDE's map: what its authors' README and tutorial take (github.com/WhirlFirst/somde).
CELLS_PER_NODE = 20
FEWEST_NODES = 9  # a map of 3 × 3
# Genes made dense at a time, so that memory stays at one block whatever the panel.
BLOCK = 256


def rank_section(section: AnnData, vocabulary: Vocabulary, *, method: str = "morans_i") -> pd.DataFrame:
    """Rank a vocabulary's genes in one section by what the method takes: counts, or log-normalised expression.

    Parameters
    ----------
    section
        n cells, coordinates in µm; see `gest.sections`.
    vocabulary
        Names the T genes. One that the section lacks varies nowhere.
    method
        See `spatially_variable_genes`, also for the result and the errors.
    """
    if method != "somde":
        expression = normalised_expression(section, vocabulary)
    else:
        columns = match_genes(section, vocabulary)
        expression = sp.csc_matrix(section.X)[:, columns] @ sp.diags_array((columns >= 0).astype(np.float32))
    return spatially_variable_genes(expression, section.obsm["spatial"], vocabulary.genes, method=method)


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
        (n, T) log-normalised expression, or counts for "somde", dense or sparse.
    xy
        (n, 2) positions in µm.
    genes
        The T gene names.
    method
        "morans_i": Moran's I over the 10 nearest neighbours. "somde": log-likelihood ratio of SOMDE, which runs in an
        environment of its own (`gest.baselines.packaged`).

    Returns
    -------
    pandas.DataFrame
        `gene`, `score` (higher varies more; NaN for a constant gene), `rank` (1 first; constant genes last, in the
        order they were given in), by rank.

    Raises
    ------
    UserError
        If the method is unknown, the section has fewer than two cells, or SOMDE is given no counts, has too few cells
        or cannot be run.
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


def somde(counts: csc_array, xy: NDArray[np.floating]) -> NDArray[np.float64]:
    """Score each gene by SOMDE's log-likelihood ratio of a Gaussian process to a constant (Hao, Hua & Zhang 2021).

    SOMDE condenses the section to a map of nodes, stabilises the nodes' counts, regresses out their totals, and sorts
    genes by the ratio; its q-values are in the same order. Nothing in it is random.

    Parameters
    ----------
    counts
        (n, T) counts.
    xy
        (n, 2) positions in µm.

    Returns
    -------
    numpy.ndarray
        (T,) NaN where a gene is constant.

    Raises
    ------
    UserError
        If these are no counts, the cells fill fewer than 9 nodes, or the environment is missing or fails.
    """
    if len(xy) < CELLS_PER_NODE * FEWEST_NODES:
        raise UserError(
            f"a section of {len(xy)} cells is too small for SOMDE, which needs {FEWEST_NODES} nodes of "
            f"{CELLS_PER_NODE} cells: set svg.method to morans_i."
        )
    if (counts.data != np.rint(counts.data)).any():
        raise UserError("SOMDE takes counts, and these values are no integers: set svg.method to morans_i.")
    scores = np.full(counts.shape[1], np.nan)
    varies = (counts.max(axis=0) != counts.min(axis=0)).toarray().ravel()
    if varies.any():
        chosen = counts[:, varies]  # (n, T) by columns is (T, n) by rows
        arrays = {name: getattr(chosen, name) for name in ("data", "indices", "indptr")}
        scores[varies] = run_packaged("somde", **arrays, xy=xy, k=CELLS_PER_NODE)["llr"]
    return scores


METHODS: dict[str, Callable[[csc_array, NDArray[np.floating]], NDArray[np.float64]]] = {
    "morans_i": morans_i,
    "somde": somde,
}
