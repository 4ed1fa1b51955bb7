"""Check that STAGATE trains without torch-sparse, and that its embedding separates two halves of a section."""

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
agreement = np.mean(first == left)
accuracy = max(agreement, 1 - agreement)
assert accuracy > 0.9, f"STAGATE's embedding separates two halves with an accuracy of only {accuracy:.2f}"
