"""Proves that STAGATE trains without torch-sparse, and that what it learns parts two halves."""

import anndata as ad
import numpy as np
import torch
from omicverse.external.STAGATE_pyG import Cal_Spatial_Net, train_STAGATE

rng = np.random.default_rng(0)
xy = rng.uniform(0, 1000, (120, 2))
left = xy[:, 0] < 500
rates = np.where(left[:, None], rng.uniform(0, 8, 60), rng.uniform(0, 8, 60))
section = ad.AnnData(np.log1p(rng.poisson(rates)).astype(np.float32), obsm={"spatial": xy})
Cal_Spatial_Net(section, model="KNN", k_cutoff=6, verbose=False)
emb = train_STAGATE(section, n_epochs=50, device=torch.device("cpu"), verbose=False).obsm["STAGATE"]
first = np.linalg.svd(emb - emb.mean(axis=0))[0][:, 0] > 0
agree = np.mean(first == left)
assert max(agree, 1 - agree) > 0.9, f"STAGATE's embedding parts two halves at {max(agree, 1 - agree):.2f} only"
