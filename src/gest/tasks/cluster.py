"""The one clustering step: every method's embedding of the cells of a section, into a wanted number of clusters."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gest.errors import UserError

NEIGHBOURS = 15
# Resolutions of Leiden, as powers of two, between which the one with the wanted number of clusters is searched.
LOWEST, HIGHEST = -10.0, 6.0
STEPS = 20
# Model EEE: clusters of one shape and direction, as GraphST and STAGATE take it. Exit statuses: see _mclust.
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
    """Cluster the cells of one section.

    Parameters
    ----------
    embedding
        (n, D), taken as it is; a row that is not finite is a cell that the method did not cover.
    n_clusters
        Wanted.
    algorithm
        "leiden": over the 15 nearest neighbours, the resolution searched by bisection (in 20 steps at most) for the
        wanted number of clusters or the nearest to it. "kmeans": the best of 10 starts. "mclust": R's, model EEE.
    seed
        The same one gives the same clusters.

    Returns
    -------
    numpy.ndarray
        (n,) clusters from 0 on; -1 where the cell was not covered.

    Raises
    ------
    UserError
        If the algorithm is unknown, fewer cells are covered than clusters wanted, or mclust cannot be run.
    """
    from threadpoolctl import threadpool_limits

    if algorithm not in ALGORITHMS:
        raise UserError(
            f"clustering.algorithm is {algorithm!r}, which is none of {', '.join(ALGORITHMS)}; mend it in the config."
        )
    covered = np.isfinite(embedding).all(axis=1)
    if not 1 <= n_clusters <= covered.sum():
        raise UserError(
            f"{covered.sum()} of {len(embedding)} cells have an embedding, which cannot make {n_clusters} clusters: "
            "there must be one cluster or more, and a cell for each."
        )
    clusters = np.full(len(embedding), -1)
    with threadpool_limits(1):  # the order in which several threads add up their sums changes the last bits
        clusters[covered] = ALGORITHMS[algorithm](embedding[covered], n_clusters, seed)
    return clusters


def _leiden(embedding: NDArray[np.floating], n_clusters: int, seed: int) -> NDArray[np.int64]:
    """Leiden's clusters of the resolution whose number of clusters is nearest to the wanted one."""
    import scanpy as sc
    from anndata import AnnData

    cells = AnnData(embedding)
    # Exact neighbours: approximate ones would depend on the number of threads.
    sc.pp.neighbors(cells, NEIGHBOURS, use_rep="X", transformer="sklearn", random_state=seed)
    low, high, found = LOWEST, HIGHEST, {}
    for _ in range(STEPS):
        middle = (low + high) / 2
        sc.tl.leiden(cells, 2**middle, flavor="igraph", n_iterations=2, directed=False, random_state=seed)
        number = cells.obs["leiden"].nunique()
        found.setdefault(number, cells.obs["leiden"].cat.codes.to_numpy())
        if number == n_clusters:
            break
        low, high = (middle, high) if number < n_clusters else (low, middle)
    return found[min(found, key=lambda number: abs(number - n_clusters))]


def _kmeans(embedding: NDArray[np.floating], n_clusters: int, seed: int) -> NDArray[np.int64]:
    from sklearn.cluster import KMeans

    return KMeans(n_clusters, n_init=10, random_state=seed).fit(embedding).labels_


def _mclust(embedding: NDArray[np.floating], n_clusters: int, seed: int) -> NDArray[np.int64]:
    """Clusters of R's mclust, run in a process of its own."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        raise UserError(
            f"clustering.algorithm is 'mclust', and there is no Rscript to run it: install R and its package mclust "
            f"({TO_INSTALL}), or take leiden or kmeans."
        )
    with tempfile.TemporaryDirectory() as folder:
        script, given, made = (Path(folder, name) for name in ("mclust.R", "embedding.csv", "clusters.csv"))
        script.write_text(R_SCRIPT, encoding="utf-8")
        varying = embedding[:, embedding.std(0) > 0]  # a dimension without variance fits no Gaussian
        np.savetxt(given, varying, delimiter=",", fmt="%.9g")
        command = [rscript, "--vanilla", script, given, str(n_clusters), str(seed), made]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 3:
            raise UserError(
                f"clustering.algorithm is 'mclust', a package that {rscript} does not have: install it "
                f"({TO_INSTALL}), or take leiden or kmeans."
            )
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["no such model fits"])[-1]
            raise UserError(
                f"R's mclust did not make {n_clusters} clusters of {len(embedding)} cells in {embedding.shape[1]} "
                f"dimensions ({said}): take another clustering.algorithm."
            )
        return np.unique(np.loadtxt(made, dtype=int, ndmin=1), return_inverse=True)[1]


ALGORITHMS = {"leiden": _leiden, "kmeans": _kmeans, "mclust": _mclust}
