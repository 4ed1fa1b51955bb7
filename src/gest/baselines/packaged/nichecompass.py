"""NicheCompass (Birk et al. 2025) on one section: ``python nichecompass.py GIVEN.npz MADE.npz``.

Given: counts of n cells in T genes as CSR (`data`, `indices`, `indptr`), `genes`, `xy` (n, 2) in µm, `seeds`, and pairs
of `ligands` (p,) and `receptors` (p,), all of them among the genes.
Made: `embedding` (seeds, n, programmes), zero where a programme was found inactive, `seconds` of each seed, preparation
included, `peak_mb`, `version`.
"""

import resource
import sys
import time
import types
from importlib.metadata import version

import anndata as ad
import numpy as np
from scipy.sparse import csr_matrix
from sklearn.neighbors import kneighbors_graph

# NicheCompass imports omnipath, which asks a server as soon as it is imported; the programmes are given here.
sys.modules["omnipath"] = types.ModuleType("omnipath")

from nichecompass.models import NicheCompass  # noqa: E402
from nichecompass.utils import add_gps_from_gp_dict_to_adata  # noqa: E402

NEIGHBOURS = 4
# What the authors' tutorial on one sample sets, of which "gcnconv" is for little compute (the other is "gatv2conv");
# 400 epochs are the most, for training stops early. All else is the package's default, 100 new programmes among it.
MODEL = {"conv_layer_encoder": "gcnconv", "active_gp_thresh_ratio": 0.01}
TRAINING = {
    **{"n_epochs": 400, "n_epochs_all_gps": 25, "lr": 0.001, "edge_batch_size": 1024, "n_sampled_neighbors": 4},
    **{
        "lambda_edge_recon": 500000.0,
        "lambda_gene_expr_recon": 300.0,
        "lambda_l1_masked": 0.0,
        "lambda_l1_addon": 30.0,
    },
}


def programmes(ligands: np.ndarray, receptors: np.ndarray) -> dict[str, dict[str, list[str]]]:
    """Give each ligand one programme with all its receptors, in the shape that the package gives OmniPath's pairs."""
    by_ligand = {}
    for ligand, receptor in zip(ligands.tolist(), receptors.tolist(), strict=True):
        by_ligand.setdefault(ligand, []).append(receptor)
    return {
        f"{ligand}_ligand_receptor_GP": {
            **{"sources": [ligand], "sources_categories": ["ligand"]},
            **{"targets": found, "targets_categories": ["receptor"] * len(found)},
        }
        for ligand, found in by_ligand.items()
    }


def main(given: str, made: str) -> None:
    """Run NicheCompass as its authors' tutorial on one sample does, up to the latent space that they cluster."""
    arrays, began = np.load(given), time.monotonic()
    shape = len(arrays["xy"]), len(arrays["genes"])
    counts = csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape, dtype=np.float32)
    section = ad.AnnData(counts, layers={"counts": counts}, obsm={"spatial": arrays["xy"]})
    section.var_names = arrays["genes"].astype(str)
    nearest = kneighbors_graph(arrays["xy"], NEIGHBOURS)
    section.obsp["spatial_connectivities"] = csr_matrix(nearest.maximum(nearest.T))
    add_gps_from_gp_dict_to_adata(
        gp_dict=programmes(arrays["ligands"], arrays["receptors"]),
        adata=section,
        genes_uppercase=False,
        min_genes_per_gp=2,
        min_source_genes_per_gp=1,
        min_target_genes_per_gp=1,
    )
    prepared = time.monotonic() - began

    embedding, seconds = [], []
    for seed in arrays["seeds"].tolist():
        started = time.monotonic()
        model = NicheCompass(section.copy(), seed=seed, use_cuda_if_available=False, **MODEL)
        model.train(seed=seed, use_cuda_if_available=False, monitor=False, **TRAINING)
        found = model.adata
        active = np.isin(found.uns["nichecompass_gp_names"], found.uns["nichecompass_active_gp_names"])
        latent = np.zeros((section.n_obs, len(active)), dtype=np.float32)
        latent[:, active] = found.obsm["nichecompass_latent"]
        embedding.append(latent)
        seconds.append(prepared + time.monotonic() - started)
    np.savez(
        made,
        embedding=embedding,
        seconds=seconds,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        version=f"NicheCompass {version('nichecompass')}",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
