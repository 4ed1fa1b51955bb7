"""Embed a section by GraphST (Long et al. 2023): ``python graphst.py INPUT.npz OUTPUT.npz``.

Input: counts of n cells in T genes as CSR (`data`, `indices`, `indptr`), `genes`, `xy` (n, 2) in µm, `seeds`.
Output: `embedding` (seeds, n, 20), which the authors cluster; `seconds` of each seed, preprocessing included;
`peak_mb`; `version`.
"""

import resource
import sys
import time
from importlib.metadata import version

import anndata as ad
import numpy as np
import scanpy as sc
import torch
from GraphST.GraphST import GraphST
from GraphST.preprocess import preprocess
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA

N_GENES = 3000  # as in GraphST's preprocessing
# A Visium slide has 4,992 spots. The authors use datatype '10X' for Visium, and 'Stereo', whose graph is sparse, for
# larger sections at cellular resolution.
VISIUM = 5000
COMPONENTS = 20


def main(input_path: str, output_path: str) -> None:
    """Run GraphST as its authors' tutorials do.

    The result is the principal components that the tutorials cluster.
    """
    started = time.monotonic()
    arrays = np.load(input_path)
    shape = len(arrays["xy"]), len(arrays["genes"])
    counts = csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape, dtype=np.float32)
    section = ad.AnnData(counts, obsm={"spatial": arrays["xy"]})
    if section.n_vars > N_GENES:
        preprocess(section)
    else:  # the same steps, but all genes are kept
        section.var["highly_variable"] = True
        sc.pp.normalize_total(section, target_sum=1e4)
        sc.pp.log1p(section)
        sc.pp.scale(section, zero_center=False, max_value=10)
    datatype = "10X" if section.n_obs <= VISIUM else "Stereo"
    preprocessing = time.monotonic() - started

    embedding, seconds = [], []
    for seed in arrays["seeds"].tolist():
        started = time.monotonic()
        model = GraphST(section, device=torch.device("cpu"), random_seed=seed, datatype=datatype)
        if datatype == "10X":  # an epoch takes a fraction of the time with a sparse matrix
            model.adj = model.adj.to_sparse()
        reconstruction = model.train().obsm["emb"]
        components = PCA(min(COMPONENTS, section.n_vars), random_state=42).fit_transform(reconstruction)
        embedding.append(components.astype(np.float32))
        seconds.append(preprocessing + time.monotonic() - started)
    np.savez(
        output_path,
        embedding=embedding,
        seconds=seconds,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        version=f"GraphST {version('graphst')}",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
