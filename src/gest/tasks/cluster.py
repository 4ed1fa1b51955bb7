"""Cluster the cells of a section by an embedding, the same way for the embeddings of all methods."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gest.errors import UserError

NEIGHBOURS = 15
# Leiden's resolution is searched between 2**LOWEST and 2**HIGHEST for the wanted number of clusters.
LOWEST, HIGHEST = -10.0, 6.0
STEPS = 20
# Model EEE: clusters of equal volume, shape and orientation, as in GraphST and STAGATE. `_mclust` reads the status.
R_SCRIPT = """
a <- commandArgs(TRUE)
if (!requireNamespace("mclust", quietly = TRUE)) quit(status = 3)
suppressMessages(library(mclust))
set.seed(as.integer(a[3]))
Z <- as.matrix(read.csv(a[1], header = FALSE))
m <- Mclust(Z, G = as.integer(a[2]), modelNames = "EEE", verbose = FALSE)
if (is.null(m)) quit(status = 4)
write.table(m$classification, a[4], row.names = FALSE, col.names = FALSE)
"""
TO_INSTALL = "on Debian, `apt-get install r-base-core r-cran-mclust`"


def cluster(
    embedding: NDArray[np.floating], n_clusters: int, *, algorithm: str = "leiden", seed: int
) -> NDArray[np.int64]:
    """Cluster the cells of one section by their embedding.

    Parameters
    ----------
    embedding
        (n, D); it is not rescaled. A row with values that are not finite is a cell that the method did not cover.
    n_clusters
        Number of clusters wanted.
    algorithm
        "leiden": on the graph of 15 nearest neighbours. A bisection of at most 20 steps searches for a resolution that
        gives the wanted number of clusters, or the number nearest to it. "kmeans": the best of 10 starts. "mclust": R's
        package of that name, with model EEE.
    seed
        The same seed gives the same clusters.

    Returns
    -------
    numpy.ndarray
        (n,) the cluster of each cell, from 0; −1 if the cell is not covered.

    Raises
    ------
    UserError
        The algorithm is unknown, fewer cells are covered than clusters wanted, or mclust cannot be run.
    """
    from threadpoolctl import threadpool_limits

    if algorithm not in ALGORITHMS:
        choices = ", ".join(ALGORITHMS)
        raise UserError(f"clustering.algorithm: unknown value {algorithm!r} (choose one of {choices}).")
    covered = np.isfinite(embedding).all(axis=1)
    if not 1 <= n_clusters <= covered.sum():
        raise UserError(
            f"clustering: cannot make {n_clusters} clusters of the {covered.sum()} of {len(embedding)} cells that have "
            "an embedding (expected at least one cluster, and a cell for each)."
        )
    clusters = np.full(len(embedding), -1)
    with threadpool_limits(1):  # with several threads, the order of additions would change the last bits
        clusters[covered] = ALGORITHMS[algorithm](embedding[covered], n_clusters, seed)
    return clusters


def _leiden(embedding: NDArray[np.floating], n_clusters: int, seed: int) -> NDArray[np.int64]:
    """Run Leiden at the resolution that gives the number nearest to the wanted one."""
    import scanpy as sc
    from anndata import AnnData

    cells = AnnData(embedding)
    # Exact neighbours: approximate ones would depend on the number of threads.
    sc.pp.neighbors(cells, NEIGHBOURS, use_rep="X", transformer="sklearn", random_state=seed)
    low, high = LOWEST, HIGHEST
    clusters_by_number: dict[int, NDArray[np.int64]] = {}
    for _ in range(STEPS):
        middle = (low + high) / 2
        sc.tl.leiden(cells, 2**middle, flavor="igraph", n_iterations=2, directed=False, random_state=seed)
        number = cells.obs["leiden"].nunique()
        clusters_by_number.setdefault(number, cells.obs["leiden"].cat.codes.to_numpy())
        if number == n_clusters:
            break
        low, high = (middle, high) if number < n_clusters else (low, middle)
    nearest = min(clusters_by_number, key=lambda number: abs(number - n_clusters))
    return clusters_by_number[nearest]


def _kmeans(embedding: NDArray[np.floating], n_clusters: int, seed: int) -> NDArray[np.int64]:
    from sklearn.cluster import KMeans

    return KMeans(n_clusters, n_init=10, random_state=seed).fit(embedding).labels_


def _mclust(embedding: NDArray[np.floating], n_clusters: int, seed: int) -> NDArray[np.int64]:
    """Run R's mclust in a separate process."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        raise UserError(
            f"clustering.algorithm: 'mclust' needs Rscript, which is not installed; install R and its package mclust "
            f"({TO_INSTALL}), or choose leiden or kmeans."
        )
    with tempfile.TemporaryDirectory() as folder:
        script, embedding_file, clusters_file = (
            Path(folder, name) for name in ("mclust.R", "embedding.csv", "clusters.csv")
        )
        script.write_text(R_SCRIPT, encoding="utf-8")
        varying = embedding[:, embedding.std(0) > 0]  # a dimension without variance fits no Gaussian
        np.savetxt(embedding_file, varying, delimiter=",", fmt="%.9g")
        command = [rscript, "--vanilla", script, embedding_file, str(n_clusters), str(seed), clusters_file]
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        if finished.returncode == 3:
            raise UserError(
                f"clustering.algorithm: 'mclust' is not installed in the R of {rscript}; install it ({TO_INSTALL}), or "
                "choose leiden or kmeans."
            )
        if finished.returncode:
            reason = (finished.stderr.strip().splitlines() or ["the model does not fit"])[-1]
            raise UserError(
                f"clustering.algorithm: 'mclust' could not make {n_clusters} clusters of {len(embedding)} cells in "
                f"{embedding.shape[1]} dimensions ({reason}); choose leiden or kmeans."
            )
        return np.unique(np.loadtxt(clusters_file, dtype=int, ndmin=1), return_inverse=True)[1]


ALGORITHMS = {"leiden": _leiden, "kmeans": _kmeans, "mclust": _mclust}
