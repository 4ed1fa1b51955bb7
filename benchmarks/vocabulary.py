"""Fit the vocabulary to as many cells as Zhuang-ABCA-1 has, or to a share of them, and tokenise them.

The sections are made here: 147 of 19,367 cells and 1,122 genes, about 10 % of the counts above zero, cells between 300
types. Each part runs in a process of its own, whose peak resident memory is read from the kernel's account of it (Linux).
Beside the fit stand scanpy's PCA and scikit-learn's MiniBatchKMeans on the same cells, all held in memory, and on
a subset the two exact references: scikit-learn's PCA by full SVD and its KMeans.

    python benchmarks/vocabulary.py --scale 0.1 --folder FOLDER
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

from gest import vocabulary
from gest.metacells import cluster, covariance, principal_components
from gest.sections import read_section, write_section
from gest.vocabulary import Vocabulary, normalise

SECTIONS, CELLS, GENES, TYPES = 147, 19_367, 1_122, 300
K, P = 1000, 50
SVD_CELLS, KMEANS_CELLS, TOKENISED_SECTIONS = 20_000, 500_000, 10
PASSES = ("covariance", "principal_components", "projected", "cluster", "cluster_means")  # the rest: totals


def make(folder: Path, scale: float, seed: int = 0) -> None:
    """Write the section files."""
    rng = np.random.default_rng(seed)
    rates = np.cumsum(rng.gamma(0.3, size=(TYPES, GENES)), axis=1)
    ends = (rates / rates[:, -1:] + np.arange(TYPES)[:, None]).ravel()  # distribution functions, end to end
    ends[GENES - 1 :: GENES] = np.arange(1, TYPES + 1)
    share = rng.dirichlet(np.ones(TYPES))
    for i in range(max(round(SECTIONS * scale), 1)):
        section = AnnData(
            draw(ends, share, rng),
            obs=pd.DataFrame({"section": f"s{i}", "donor": "d"}, index=[f"s{i}_{j}" for j in range(CELLS)]),
            var=pd.DataFrame(index=[f"Gene{j}" for j in range(GENES)]),
            obsm={"spatial": rng.random((CELLS, 2)) * 11_000},
        )
        write_section(section, folder / f"{i:03d}.h5ad")


def draw(ends: np.ndarray, share: np.ndarray, rng: np.random.Generator) -> sp.csr_matrix:
    """Draw counts: Poisson totals of gamma size, each count of the gene of a cell's own type or of a second one."""
    own, other = rng.choice(TYPES, (2, CELLS), p=share)
    cell = np.repeat(np.arange(CELLS), 1 + rng.poisson(rng.gamma(4, 38, CELLS)))
    mixed = rng.random(CELLS) ** 3 / 2
    kind = np.where(rng.random(len(cell)) < mixed[cell], other[cell], own[cell])
    gene = np.searchsorted(ends, rng.random(len(cell)) + kind, side="right") - kind * GENES
    ones = np.ones(len(cell), dtype=np.float32)
    return sp.csr_matrix((ones, (cell, gene)), shape=(CELLS, GENES))


def fit(folder: Path) -> dict[str, Any]:
    """Fit the vocabulary, timing each pass over the files."""
    seconds = dict.fromkeys(PASSES, 0.0)

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            start = time.perf_counter()
            result = function(*args, **options)
            seconds[name] += time.perf_counter() - start
            return result

        return run

    for name in PASSES:
        setattr(vocabulary, name, timed(name, getattr(vocabulary, name)))
    start = time.perf_counter()
    fitted = vocabulary.fit_sections(files(folder), {"n_metacells": K, "n_components": P})
    total = time.perf_counter() - start
    fitted.save(folder / "vocabulary.npz")
    return {"cells": int(fitted.sizes.sum()), "total": total, "totals": total - sum(seconds.values()), **seconds}


def scanpy_pca(folder: Path) -> dict[str, Any]:
    """Time scanpy's PCA of all cells, held in memory."""
    import scanpy as sc

    adata = AnnData(expression(folder, files(folder)))
    start = time.perf_counter()
    sc.pp.pca(adata, n_comps=P)
    seconds = time.perf_counter() - start
    np.save(folder / "pca.npy", adata.obsm["X_pca"])
    return {"pca": seconds}


def minibatch_k_means(folder: Path) -> dict[str, Any]:
    """Time scikit-learn's MiniBatchKMeans of all cells' principal components."""
    from sklearn.cluster import MiniBatchKMeans

    points = np.load(folder / "pca.npy")
    start = time.perf_counter()
    fitted = MiniBatchKMeans(K, n_init=1, random_state=0).fit(points)
    return {"k_means": time.perf_counter() - start, "inertia": inertia(points, fitted.cluster_centers_)}


def check(folder: Path) -> dict[str, Any]:
    """Tokenise, and compare PCA, k-means and tokens with exact references on subsets."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    fitted = Vocabulary.load(folder / "vocabulary.npz")
    some = expression(folder, files(folder)[:TOKENISED_SECTIONS])
    fitted.tokenize(some[:1000])  # threads are started
    start = time.perf_counter()
    tokens = fitted.tokenize(some)
    rate = some.shape[0] / (time.perf_counter() - start)

    dense = some[:SVD_CELLS].toarray().astype(np.float64)
    points = (dense - fitted.mean) @ fitted.components.T.astype(np.float64)
    wrong = (((points[:, None] - fitted.pca[tokens[:SVD_CELLS], None]) ** 2).sum(-1).ravel())
    nearest = np.concatenate([distances(p, fitted.pca).min(1) for p in np.array_split(points, 20)])
    components = principal_components(covariance([dense])[2], P)
    exact = PCA(P, svd_solver="full").fit(dense).components_
    error = np.abs(components - exact * np.sign((components * exact).sum(1))[:, None]).max()

    points = np.load(folder / "pca.npy", mmap_mode="r")[:KMEANS_CELLS]
    k = min(K, len(points) // 500)
    label = cluster(points, k, seed=0)
    ours = np.zeros((k, P))
    np.add.at(ours, label, points)
    ours /= np.bincount(label)[:, None]
    theirs = KMeans(k, n_init=1, random_state=0).fit(points).cluster_centers_
    return {
        "tokenised_per_s": round(rate),
        "tokens_not_nearest": int((wrong > nearest * (1 + 1e-9)).sum()),
        "pca_error": float(error),
        "k_means_cells": len(points),
        "k_means_k": k,
        "inertia_to_scikit_learn": inertia(points, ours) / inertia(points, theirs),
    }
