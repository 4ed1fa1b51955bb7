"""Fit the vocabulary to as many cells as Zhuang-ABCA-1 has, or to a share of them, and tokenise them.

The sections are made here: 147 of 19,367 cells and 1,122 genes, about 10 % of the counts above zero, cells between
300 types. Each part runs in a process of its own, whose peak resident memory is read from the kernel's account of it
(Linux). Beside the fit stand scanpy's PCA and scikit-learn's MiniBatchKMeans on the same cells, all held in memory, and
on a subset the two exact references: scikit-learn's PCA by full SVD and its KMeans.

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
from measuring import keep, peak_memory, processor

from gest import vocabulary
from gest.metacells import cluster, covariance, principal_components, project
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
    return {"cells": int(fitted.sizes.sum()), "seconds": total, "totals": total - sum(seconds.values()), **seconds}


def scanpy_pca(folder: Path) -> dict[str, Any]:
    """Time scanpy's PCA of all cells, held in memory."""
    import scanpy as sc

    adata = AnnData(expression(folder, files(folder)))
    start = time.perf_counter()
    sc.pp.pca(adata, n_comps=P)
    seconds = time.perf_counter() - start
    np.save(folder / "pca.npy", adata.obsm["X_pca"])
    return {"seconds": seconds}


def minibatch_k_means(folder: Path) -> dict[str, Any]:
    """Time scikit-learn's MiniBatchKMeans of all cells' principal components."""
    from sklearn.cluster import MiniBatchKMeans

    points = np.load(folder / "pca.npy")
    start = time.perf_counter()
    fitted = MiniBatchKMeans(K, n_init=1, random_state=0).fit(points)
    return {"seconds": time.perf_counter() - start, "inertia": inertia(points, fitted.cluster_centers_)}


def check(folder: Path) -> dict[str, Any]:
    """Tokenise, and compare PCA, k-means and tokens with exact references on subsets."""
    from scipy.spatial.distance import cdist
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    fitted = Vocabulary.load(folder / "vocabulary.npz")
    some = expression(folder, files(folder)[:TOKENISED_SECTIONS])
    seconds = []
    for _ in range(5):  # the fastest counts: what else runs on the machine only slows it
        start = time.perf_counter()
        tokens = fitted.tokenize(some)
        seconds.append(time.perf_counter() - start)
    each = [project(expression(folder, [path]), fitted.mean, fitted.components) for path in files(folder)]
    of_fit = inertia(np.concatenate(each), fitted.pca)

    dense = some[:SVD_CELLS].toarray().astype(np.float64)
    distances = cdist((dense - fitted.mean) @ fitted.components.T.astype(np.float64), fitted.pca, "sqeuclidean")
    of_tokens = distances[np.arange(len(dense)), tokens[:SVD_CELLS]]

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
        "tokenised_per_s": round(some.shape[0] / min(seconds)),
        "inertia": of_fit,
        "tokens_not_nearest": int((of_tokens > distances.min(1) * (1 + 1e-9)).sum()),
        "pca_error": float(error),
        "k_means_cells": len(points),
        "k_means_k": k,
        "inertia_to_scikit_learn": inertia(points, ours) / inertia(points, theirs),
    }


def files(folder: Path) -> list[Path]:
    """List the section files."""
    return sorted(folder.glob("*.h5ad"))


def expression(folder: Path, paths: list[Path]) -> sp.csr_matrix:
    """Stack normalised sections."""
    normalisation = Vocabulary.load(folder / "vocabulary.npz").normalisation
    return sp.vstack([normalise(read_section(path).X, normalisation) for path in paths], format="csr")


def inertia(points: np.ndarray, centres: np.ndarray) -> float:
    """Mean squared distance of points to their nearest centres."""
    total, centres = 0.0, centres.astype(np.float64)
    for some in np.array_split(points, max(len(points) // 2000, 1)):
        some = some.astype(np.float64)
        total += ((centres**2).sum(1) - 2 * some @ centres.T).min(1).sum() + (some**2).sum()
    return float(total / len(points))


PARTS = {"fit": fit, "scanpy_pca": scanpy_pca, "minibatch_k_means": minibatch_k_means, "check": check}


def measured(part: str, folder: Path) -> dict[str, Any]:
    """Run one part in a process of its own and add its peak resident memory, MB."""
    command = [sys.executable, __file__, "--part", part, "--folder", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        peak = 0
        while child.poll() is None:
            peak = max(peak, peak_memory(child.pid))
            time.sleep(0.05)
        told = child.stdout.read()
    if child.returncode:
        sys.exit(child.returncode)
    return json.loads(told) | {"peak_mb": round(peak / 1e6)}


def main() -> None:
    """Make the files, run each part in a child process and tell what it took."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--folder", type=Path, required=True, help="where the files go; they are removed afterwards")
    arguments.add_argument("--scale", type=float, default=0.1, help="share of the 147 sections (default: 0.1)")
    arguments.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.part:
        print(json.dumps(PARTS[given.part](given.folder)))
        return
    folder = given.folder / "vocabulary"
    try:
        start = time.perf_counter()
        make(folder, given.scale)
        made = time.perf_counter() - start
        parts = {}
        for part in PARTS:
            parts[part] = measured(part, folder)
            print(part, parts[part], file=sys.stderr)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result = {
        "benchmark": "vocabulary",
        "machine": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "versions": {name: version(name) for name in ("numpy", "scipy", "scikit-learn", "scanpy")},
        "scale": given.scale,
        "genes": GENES,
        "K": K,
        "p": P,
        "make_s": made,
        **parts,
    }
    keep(json.loads(json.dumps(result), parse_float=lambda text: float(f"{float(text):.5g}")))


if __name__ == "__main__":
    main()
