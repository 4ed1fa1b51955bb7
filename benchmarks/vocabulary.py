"""Compare the vocabulary with scanpy and scikit-learn.

Time, memory and accuracy of fitting and tokenising are measured.

Sections are simulated: up to 19,367 cells and 1,122 genes each, about 10 % of the counts above zero, cells mixed from
300 types. Each part runs in a separate process. The fit is compared with scanpy's PCA and scikit-learn's
MiniBatchKMeans on the same cells, all in memory, and on a subset with two exact references: scikit-learn's PCA by full
SVD and its KMeans. For the 2,846,908 cells of Zhuang-ABCA-1, this takes a quarter of an hour and 5 GB of
disk.

    python benchmarks/vocabulary.py --cells 300000
"""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from anndata import AnnData
from measuring import done, in_process, machine, memory_mb, options, write

from gest import vocabulary
from gest._metacells import cluster, covariance, principal_components, project
from gest.sections import read_section, write_section
from gest.training.vocabulary import fit_sections
from gest.vocabulary import Vocabulary, normalise

CELLS, GENES, TYPES = 19_367, 1_122, 300  # CELLS: in the largest section
K, P = 1000, 50
SVD_CELLS, KMEANS_CELLS, TOKENISED_SECTIONS = 20_000, 500_000, 10
PASSES = {  # measure: function of gest.vocabulary that it times; the remaining time is `totals`
    "covariance": "covariance",
    "principal_components": "principal_components",
    "projected": "project_all",
    "cluster": "cluster",
    "cluster_means": "cluster_means",
}


def make(folder: Path, n_cells: int, seed: int = 0) -> None:
    """Write the section files."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    rates = np.cumsum(rng.gamma(0.3, size=(TYPES, GENES)), axis=1)
    ends = (rates / rates[:, -1:] + np.arange(TYPES)[:, None]).ravel()  # the types' distribution functions, end to end
    ends[GENES - 1 :: GENES] = np.arange(1, TYPES + 1)
    share = rng.dirichlet(np.ones(TYPES))
    for i, start in enumerate(range(0, n_cells, CELLS)):
        n = min(CELLS, n_cells - start)
        section = AnnData(
            draw(n, ends, share, rng),
            obs=pd.DataFrame({"section": f"s{i}", "donor": "d"}, index=[f"s{i}_{j}" for j in range(n)]),
            var=pd.DataFrame(index=[f"Gene{j}" for j in range(GENES)]),
            obsm={"spatial": rng.random((n, 2)) * 11_000},
        )
        write_section(section, folder / f"{i:03d}.h5ad")


def draw(n: int, ends: np.ndarray, share: np.ndarray, rng: np.random.Generator) -> sp.csr_matrix:
    """Draw counts (n, T) of cells that mix two types.

    Total counts are gamma-Poisson distributed; each count follows the profile of the cell's first or second type.
    """
    first, second = rng.choice(TYPES, (2, n), p=share)
    cell = np.repeat(np.arange(n), 1 + rng.poisson(rng.gamma(4, 38, n)))
    mixed = rng.random(n) ** 3 / 2
    kind = np.where(rng.random(len(cell)) < mixed[cell], second[cell], first[cell])
    gene = np.searchsorted(ends, rng.random(len(cell)) + kind, side="right") - kind * GENES
    ones = np.ones(len(cell), dtype=np.float32)
    return sp.csr_matrix((ones, (cell, gene)), shape=(n, GENES))


def fit(folder: Path) -> dict[str, Any]:
    """Fit the vocabulary, timing each of its steps."""
    seconds = dict.fromkeys(PASSES, 0.0)

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            start = time.perf_counter()
            result = function(*args, **options)
            seconds[name] += time.perf_counter() - start
            return result

        return run

    for measure, name in PASSES.items():
        setattr(vocabulary, name, timed(measure, getattr(vocabulary, name)))
    start = time.perf_counter()
    fitted = fit_sections(files(folder), {"n_metacells": K, "n_components": P})
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
    cells = expression(folder, files(folder)[:TOKENISED_SECTIONS])
    seconds = []
    for _ in range(5):  # the fastest one is used, as other load only slows it down
        start = time.perf_counter()
        tokens = fitted.tokenize(cells)
        seconds.append(time.perf_counter() - start)
    projected = [project(expression(folder, [path]), fitted.mean, fitted.components) for path in files(folder)]
    inertia_of_fit = inertia(np.concatenate(projected), fitted.pca)

    dense = cells[:SVD_CELLS].toarray().astype(np.float64)
    distances = cdist((dense - fitted.mean) @ fitted.components.T.astype(np.float64), fitted.pca, "sqeuclidean")
    token_distances = distances[np.arange(len(dense)), tokens[:SVD_CELLS]]

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
        "tokenised_per_s": round(cells.shape[0] / min(seconds)),
        "inertia": inertia_of_fit,
        "tokens_not_nearest": int((token_distances > distances.min(1) * (1 + 1e-9)).sum()),
        "pca_error": float(error),
        "k_means_cells": len(points),
        "k_means_k": k,
        "inertia_to_scikit_learn": inertia(points, ours) / inertia(points, theirs),
    }


def files(folder: Path) -> list[Path]:
    """List the section files."""
    return sorted(folder.glob("*.h5ad"))


def expression(folder: Path, paths: list[Path]) -> sp.csr_matrix:
    """Read, normalise and stack sections."""
    normalisation = Vocabulary.load(folder / "vocabulary.npz").normalisation
    return sp.vstack([normalise(read_section(path).X, normalisation) for path in paths], format="csr")


def inertia(points: np.ndarray, centres: np.ndarray) -> float:
    """Compute the mean squared distance of points to their nearest centres."""
    total, centres = 0.0, centres.astype(np.float64)
    for block in np.array_split(points, max(len(points) // 2000, 1)):
        block = block.astype(np.float64)
        total += ((centres**2).sum(1) - 2 * block @ centres.T).min(1).sum() + (block**2).sum()
    return float(total / len(points))


PARTS = {"fit": fit, "scanpy_pca": scanpy_pca, "minibatch_k_means": minibatch_k_means, "check": check}


def main() -> None:
    """Make the files and run each part in a separate process."""
    parser = options(__doc__)
    parser.add_argument("--cells", type=int, default=100_000, help="number of cells (default: 100,000)")
    parser.add_argument("--part", nargs=2, metavar=("PART", "FOLDER"), help="run one part only")
    arguments = parser.parse_args()
    if arguments.part:
        part, folder = arguments.part
        print(json.dumps(PARTS[part](Path(folder)) | {"peak_mb": memory_mb()}))
        return
    n_cells, rows = 5000 if arguments.quick else arguments.cells, []
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), n_cells)
        for part in PARTS:
            result = done(in_process(__file__, "--part", part, folder), f"vocabulary, {part}")
            rows += [
                {"cells": n_cells, "part": part, "measure": name, "value": value} for name, value in result.items()
            ]
    write("vocabulary", [row | machine(torch.device("cpu")) for row in rows], quick=arguments.quick)


if __name__ == "__main__":
    main()
