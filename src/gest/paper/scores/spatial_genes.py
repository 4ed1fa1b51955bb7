"""Rank genes by spatial variation, for Figure 4d and the "top" gene sets of Figure 4c and Tables 3, 4, A.1 and A.4."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData
from numpy.typing import NDArray
from scipy.sparse import csc_array, csr_array, csr_matrix, spmatrix
from scipy.spatial import cKDTree

from gest.baselines import registry
from gest.baselines.packaged import run_packaged
from gest.data.tokenize import expression as normalised_expression
from gest.data.tokenize import match_genes
from gest.errors import UserError
from gest.vocabulary import Vocabulary

NEIGHBOURS = 10
# Cells per node of SOMDE's map: the value of its README and tutorial (github.com/WhirlFirst/somde).
CELLS_PER_NODE = 20
FEWEST_NODES = 9  # a map of 3 × 3 nodes


def rank_section(section: AnnData, vocabulary: Vocabulary, *, method: str = "morans_i") -> pd.DataFrame:
    """Rank a vocabulary's genes in one section.

    Parameters
    ----------
    section
        n cells, coordinates in µm; see `gest.sections`.
    vocabulary
        Its T genes are ranked; a gene that the section lacks counts as constant.
    method
        See `spatially_variable_genes`, which also describes the result and the errors.
    """
    if method != "somde":
        expression = normalised_expression(section, vocabulary)
    else:
        columns = match_genes(section, vocabulary)
        in_section = (columns >= 0).astype(np.float32)
        expression = sp.csc_matrix(section.X)[:, columns] @ sp.diags_array(in_section)
    return spatially_variable_genes(expression, section.obsm["spatial"], vocabulary.genes, method=method)


def spatially_variable_genes(
    expression: NDArray[np.floating] | spmatrix,
    xy: NDArray[np.floating],
    genes: Sequence[str],
    *,
    method: str = "morans_i",
) -> pd.DataFrame:
    """Rank the genes of a section by how strongly their expression varies over space.

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
        isolated environment (`gest.baselines.packaged`).

    Returns
    -------
    pandas.DataFrame
        `gene`, `score` (larger for more spatial variation; NaN for a constant gene) and `rank` (from 1; constant genes
        last, in the order of `genes`), sorted by rank.

    Raises
    ------
    UserError
        If the method is unknown, the section has fewer than two cells, or SOMDE gets no counts, has too few cells or
        cannot be run.
    """
    registry.method("svg", method)  # raises UserError if it is unknown
    if len(xy) < 2:
        raise UserError(f"a section of {len(xy)} cells has no spatial pattern (expected at least two cells).")
    expression = csc_array(expression)
    varies = (expression.max(axis=0) != expression.min(axis=0)).toarray().ravel()
    scores = np.full(len(varies), np.nan)
    if varies.any():
        scores[varies] = METHODS[method](expression[:, varies], np.asarray(xy))
    ranking = pd.DataFrame({"gene": list(genes), "score": scores})
    ranking = ranking.sort_values("score", ascending=False, kind="stable", na_position="last", ignore_index=True)
    return ranking.assign(rank=np.arange(1, len(ranking) + 1))


def top_genes(ranking: pd.DataFrame, top: int) -> tuple[list[str], str]:
    """Select the first `top` genes of a ranking, at most a quarter of the panel.

    Parameters
    ----------
    ranking
        As returned by `spatially_variable_genes`, in any order of rows.
    top
        Number of genes to select.

    Returns
    -------
    tuple
        The genes in order of rank, and a label with their number, such as "svg33".
    """
    count = max(1, min(top, len(ranking) // 4))
    return ranking.sort_values("rank")["gene"].astype(str).tolist()[:count], f"svg{count}"


def neighbour_graph(xy: NDArray[np.floating], k: int = NEIGHBOURS) -> csr_array:
    """Connect each cell to its k nearest other cells; each row's weights sum to 1.

    On a grid, several neighbours tie for the last places, and the choice among them changes Moran's I by up to 0.01.
    Rankings depend on SciPy's choice; scikit-learn's `NearestNeighbors.kneighbors_graph` chooses differently.

    Parameters
    ----------
    xy
        (n, 2) positions in µm, n >= 2.
    k
        Number of neighbours; n - 1 if the section has no more cells.

    Returns
    -------
    scipy.sparse.csr_array
        (n, n) float64.
    """
    n = len(xy)
    k = min(k, n - 1)
    _, neighbours = cKDTree(xy).query(xy, k + 1)
    others = neighbours != np.arange(n)[:, None]
    others[others.all(axis=1), -1] = False  # if many cells share a position, a cell may not be among its own nearest
    return csr_array((np.full(n * k, 1 / k), neighbours[others], np.arange(0, n * k + 1, k)), shape=(n, n))


def morans_i(expression: csc_array, xy: NDArray[np.floating]) -> NDArray[np.float64]:
    """Compute Moran's I of each gene (Moran 1950).

    I = z' W z / z' z, where z is the centred expression and W the row-standardised neighbour graph.

    Parameters
    ----------
    expression
        (n, T) log-normalised expression; no gene is constant.
    xy
        (n, 2) positions in µm.

    Returns
    -------
    numpy.ndarray
        (T,)
    """
    # Imported here, so that importing `gest` does not load scanpy.
    from scanpy.metrics import morans_i

    return morans_i(csr_matrix(neighbour_graph(xy)), csr_matrix(expression.T, dtype=np.float64))


def somde(counts: csc_array, xy: NDArray[np.floating]) -> NDArray[np.float64]:
    """Score each gene by SOMDE (Hao, Hua & Zhang 2021).

    The score is the log-likelihood ratio of a Gaussian process to a constant model. SOMDE condenses the section to a
    map of nodes, stabilises the variance of the nodes' counts, and regresses out their totals. It ranks genes by this
    ratio, and its q-values give the same order. SOMDE is deterministic.

    Parameters
    ----------
    counts
        (n, T) counts; no gene is constant.
    xy
        (n, 2) positions in µm.

    Returns
    -------
    numpy.ndarray
        (T,)

    Raises
    ------
    UserError
        If the values are not counts, the cells fill fewer than 9 nodes, or the environment is missing or fails.
    """
    if len(xy) < CELLS_PER_NODE * FEWEST_NODES:
        raise UserError(
            f"a section of {len(xy)} cells is too small for SOMDE (expected {FEWEST_NODES} nodes of {CELLS_PER_NODE} "
            "cells). Set `svg.method: morans_i`."
        )
    if (counts.data != np.rint(counts.data)).any():
        raise UserError("SOMDE takes counts, but some values are not integers. Set `svg.method: morans_i`.")
    # (n, T) stored by columns is (T, n) stored by rows.
    arrays = {name: getattr(counts, name) for name in ("data", "indices", "indptr")}
    return run_packaged("somde", **arrays, xy=xy, k=CELLS_PER_NODE)["llr"]


METHODS: dict[str, Callable[[csc_array, NDArray[np.floating]], NDArray[np.float64]]] = {
    "morans_i": morans_i,
    "somde": somde,
}
