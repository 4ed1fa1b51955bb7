"""Cluster a section by SpaGCN (Hu et al. 2021), without histology: ``python spagcn.py INPUT.npz OUTPUT.npz``.

Input: counts of n cells in T genes as CSR (`data`, `indices`, `indptr`), `genes`, `xy` (n, 2) in µm, `seeds`, and
`n_clusters` (levels,).
Output: `labels` (seeds, levels, n); `seconds` of each seed, preprocessing included, mean over levels; `peak_mb`;
`version`.
"""

import random
import resource
import sys
import time
from importlib.metadata import version

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc
import SpaGCN
import torch
from scipy.sparse import csr_matrix

COMPONENTS = 50  # SpaGCN's default, which its search for a resolution always uses
NEIGHBOURHOOD = 0.5  # total weight of a cell's neighbours, relative to the cell itself
TRAINING = {"init_spa": True, "init": "louvain", "tol": 5e-3, "lr": 0.05}


def preprocess(arrays: dict[str, np.ndarray]) -> ad.AnnData:
    """Normalise a section as the tutorial does.

    A panel of fewer than 50 genes is padded with genes of zero expression.
    """
    shape = len(arrays["xy"]), len(arrays["genes"])
    counts = csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape, dtype=np.float32)
    section = ad.AnnData(counts.toarray(), var=pd.DataFrame(index=arrays["genes"]))
    SpaGCN.prefilter_genes(section, min_cells=3)
    SpaGCN.prefilter_specialgenes(section)
    sc.pp.normalize_total(section)
    sc.pp.log1p(section)
    return ad.AnnData(np.pad(section.X, [(0, 0), (0, max(0, COMPONENTS - section.n_vars))]))


def main(input_path: str, output_path: str) -> None:
    """Run SpaGCN as its authors' tutorial does.

    The result is the spatial domains, without the tutorial's optional refinement.
    """
    started = time.monotonic()
    arrays = dict(np.load(input_path))
    section = preprocess(arrays)
    distances = SpaGCN.calculate_adj_matrix(x=arrays["xy"][:, 0], y=arrays["xy"][:, 1], histology=False)
    length = SpaGCN.search_l(NEIGHBOURHOOD, distances, start=0.01, end=1000, tol=0.01, max_run=100)
    preprocessing = time.monotonic() - started

    labels, seconds = [], []
    for seed in arrays["seeds"].tolist():
        started = time.monotonic()
        labels.append([])
        for n_clusters in arrays["n_clusters"].tolist():
            # Search for a resolution that gives this number of clusters; after a dozen tries (0.7 to 1.9) use the last.
            search = {"start": 0.7, "step": 0.1, "tol": 5e-3, "lr": 0.05, "max_epochs": 20}
            seeds = dict.fromkeys(("r_seed", "t_seed", "n_seed"), seed)
            resolution = SpaGCN.search_res(section, distances, length, n_clusters, **search, **seeds)
            random.seed(seed)
            torch.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002 (the generator that SpaGCN draws from)
            model = SpaGCN.SpaGCN()
            model.set_l(length)
            model.train(section, distances, res=resolution, max_epochs=200, **TRAINING)
            labels[-1].append(model.predict()[0])
        seconds.append(preprocessing + (time.monotonic() - started) / len(arrays["n_clusters"]))
    np.savez(
        output_path,
        labels=labels,
        seconds=seconds,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        version=f"SpaGCN {version('spagcn')}",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
