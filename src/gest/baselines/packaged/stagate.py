"""Embed a section by STAGATE (Dong & Zhang 2022): ``python stagate.py INPUT.npz OUTPUT.npz``.

Input: counts of n cells in T genes as CSR (`data`, `indices`, `indptr`), `genes`, `xy` (n, 2) in µm, `seeds`.
Output: `embedding` (seeds, n, 30); `seconds` of each seed, preprocessing included; `peak_mb`; `version`.
"""

import resource
import sys
import time
from importlib.metadata import version

import anndata as ad
import numpy as np
import scanpy as sc
import torch
from omicverse.external.STAGATE_pyG import Cal_Spatial_Net, train_STAGATE
from scipy.sparse import csr_matrix

N_GENES = 3000
# On Visium the authors choose neighbours by a radius, which gives each spot six; elsewhere by their number. We use six
# neighbours on every section, whatever the distance between cells.
NEIGHBOURS = 6


def main(input_path: str, output_path: str) -> None:
    """Run STAGATE as its authors' tutorials do: [512, 30] dimensions, 1,000 epochs."""
    started = time.monotonic()
    arrays = np.load(input_path)
    shape = len(arrays["xy"]), len(arrays["genes"])
    counts = csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape, dtype=np.float32)
    section = ad.AnnData(counts, obsm={"spatial": arrays["xy"]})
    if section.n_vars > N_GENES:
        sc.pp.highly_variable_genes(section, flavor="seurat_v3", n_top_genes=N_GENES)
    sc.pp.normalize_total(section, target_sum=1e4)
    sc.pp.log1p(section)
    Cal_Spatial_Net(section, model="KNN", k_cutoff=NEIGHBOURS)
    preprocessing = time.monotonic() - started

    embedding, seconds = [], []
    for seed in arrays["seeds"].tolist():
        started = time.monotonic()
        trained = train_STAGATE(section, random_seed=seed, device=torch.device("cpu"))
        embedding.append(trained.obsm["STAGATE"].astype(np.float32))
        seconds.append(preprocessing + time.monotonic() - started)
    np.savez(
        output_path,
        embedding=embedding,
        seconds=seconds,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        version=f"STAGATE_pyG of omicverse {version('omicverse')}",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
