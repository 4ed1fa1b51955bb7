"""Check that NicheCompass trains: its torch-sparse is compiled on this machine, and samples the graphs."""

import sys
import types

import anndata as ad
import numpy as np
from scipy.sparse import csr_matrix
from sklearn.neighbors import kneighbors_graph

sys.modules["omnipath"] = types.ModuleType("omnipath")  # it contacts a server on import

from nichecompass.models import NicheCompass  # noqa: E402
from nichecompass.utils import add_gps_from_gp_dict_to_adata  # noqa: E402

rng = np.random.default_rng(0)
xy = rng.random((300, 2))
left = xy[:, :1] < 0.5
counts = csr_matrix(rng.poisson(np.where(left == (np.arange(10) < 5), 8, 1)).astype(np.float32))
cells = ad.AnnData(counts, layers={"counts": counts}, obsm={"spatial": xy})
nearest = kneighbors_graph(xy, 4)
cells.obsp["spatial_connectivities"] = csr_matrix(nearest.maximum(nearest.T))
shared = {"sources": ["0"], "sources_categories": ["ligand"], "targets_categories": ["receptor"]}
programmes = {f"{i}_GP": {**shared, "targets": [str(i)]} for i in range(1, 5)}
add_gps_from_gp_dict_to_adata(programmes, cells, genes_uppercase=False)
model = NicheCompass(cells, n_addon_gp=5, conv_layer_encoder="gcnconv", use_cuda_if_available=False)
model.train(n_epochs=10, n_epochs_all_gps=5, n_sampled_neighbors=4, use_cuda_if_available=False, monitor=False)
latent = model.adata.obsm["nichecompass_latent"]
correlation = max(abs(np.corrcoef(column, left[:, 0])[0, 1]) for column in latent.T)
assert correlation > 0.5, f"the latent space separates two halves with a correlation of only {correlation:.2f}"
