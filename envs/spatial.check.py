"""Check that GraphST and SpaGCN train, and that the versions of what SpaGCN calls fit together.

Some versions of louvain hang with some of igraph. Some versions of pynndescent fail with scanpy from 8192 cells on.
"""

import anndata as ad
import numpy as np
import scanpy as sc
import SpaGCN
import torch
from GraphST.GraphST import GraphST

rng = np.random.default_rng(0)
sc.pp.neighbors(ad.AnnData(rng.normal(size=(8192, 5))))  # from 8192 cells on, scanpy calls pynndescent
xy = rng.uniform(0, 1000, (120, 2))
left = xy[:, 0] < 500
rates = np.where(left[:, None], rng.uniform(0, 8, 60), rng.uniform(0, 8, 60))
values = np.log1p(rng.poisson(rates)).astype(np.float32)


def purity(labels: np.ndarray) -> float:
    """Return the share of points on the side where most points of their group lie."""
    majorities = [np.bincount(left[labels == label]).max() for label in np.unique(labels)]
    return sum(majorities) / len(labels)


distances = SpaGCN.calculate_adj_matrix(x=xy[:, 0], y=xy[:, 1], histology=False)
model = SpaGCN.SpaGCN()
model.set_l(SpaGCN.search_l(0.5, distances))
model.train(ad.AnnData(values), distances, init="louvain", res=0.7, max_epochs=20)
labels = model.predict()[0]
section = ad.AnnData(values, obsm={"spatial": xy})
section.var["highly_variable"] = True
emb = GraphST(section, device=torch.device("cpu"), epochs=50).train().obsm["emb"]
assert len(np.unique(labels)) > 1, "SpaGCN finds one domain instead of two"
assert purity(labels) > 0.9, f"SpaGCN's domains separate two halves with a purity of only {purity(labels):.2f}"
first = np.linalg.svd(emb - emb.mean(axis=0))[0][:, 0] > 0
assert purity(first) > 0.9, f"GraphST's embedding separates two halves with a purity of only {purity(first):.2f}"
