"""Proves that GraphST and SpaGCN train: some versions of louvain and igraph hang together, and SpaGCN needs both.

Of pynndescent some versions and scanpy fail together, and SpaGCN with them on sections of 8192 cells and more.
"""

import anndata as ad
import numpy as np
import scanpy as sc
import SpaGCN
import torch
from GraphST.GraphST import GraphST

rng = np.random.default_rng(0)
sc.pp.neighbors(ad.AnnData(rng.normal(size=(8192, 5))))  # from so many on scanpy, whom SpaGCN asks, asks pynndescent
xy = rng.uniform(0, 1000, (120, 2))
left = xy[:, 0] < 500
rates = np.where(left[:, None], rng.uniform(0, 8, 60), rng.uniform(0, 8, 60))
values = np.log1p(rng.poisson(rates)).astype(np.float32)


def parted(labels: np.ndarray) -> float:
    """Share of places in a group that lies, for its greater part, on their side."""
    sides = [np.bincount(left[labels == label]).max() for label in np.unique(labels)]
    return sum(sides) / len(labels)


distances = SpaGCN.calculate_adj_matrix(x=xy[:, 0], y=xy[:, 1], histology=False)
model = SpaGCN.SpaGCN()
model.set_l(SpaGCN.search_l(0.5, distances))
model.train(ad.AnnData(values), distances, init="louvain", res=0.7, max_epochs=20)
labels = model.predict()[0]
section = ad.AnnData(values, obsm={"spatial": xy})
section.var["highly_variable"] = True
emb = GraphST(section, device=torch.device("cpu"), epochs=50).train().obsm["emb"]
assert len(np.unique(labels)) > 1, "SpaGCN finds one domain where there are two"
assert parted(labels) > 0.9, f"SpaGCN's domains part two halves at {parted(labels):.2f} only"
first = np.linalg.svd(emb - emb.mean(axis=0))[0][:, 0] > 0
assert parted(first) > 0.9, f"GraphST's embedding parts two halves at {parted(first):.2f} only"
