"""Embed a section by NicheCompass (Birk et al. 2025): ``python nichecompass.py INPUT.npz OUTPUT.npz``.

Input: counts of n cells in T genes as CSR (`data`, `indices`, `indptr`), `genes`, `xy` (n, 2) in µm, `seeds`, and pairs
of `ligands` (p,) and `receptors` (p,), all among the genes.
Output: `embedding` (seeds, n, programmes), zero for inactive programmes; `seconds` of each seed, preprocessing
included; `peak_mb`; `version`.
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

# NicheCompass imports omnipath, which contacts a server on import; here the gene programmes are part of the input.
sys.modules["omnipath"] = types.ModuleType("omnipath")

from nichecompass.models import NicheCompass  # noqa: E402
from nichecompass.utils import add_gps_from_gp_dict_to_adata  # noqa: E402

NEIGHBOURS = 4
# As in the authors' single-sample tutorial, which recommends "gcnconv" instead of "gatv2conv" for limited compute.
# Training stops early, after at most 400 epochs. All other settings are the defaults, such as 100 de novo programmes.
MODEL = {"conv_layer_encoder": "gcnconv", "active_gp_thresh_ratio": 0.01}
TRAINING = {
    "n_epochs": 400,
    "n_epochs_all_gps": 25,
    "lr": 0.001,
    "edge_batch_size": 1024,
    "n_sampled_neighbors": 4,
    "lambda_edge_recon": 500000.0,
    "lambda_gene_expr_recon": 300.0,
    "lambda_l1_masked": 0.0,
    "lambda_l1_addon": 30.0,
}


def build_programmes(ligands: np.ndarray, receptors: np.ndarray) -> dict[str, dict[str, list[str]]]:
    """Build one gene programme per ligand, with all its receptors.

    The format is the one in which NicheCompass returns OmniPath's pairs.
    """
    by_ligand = {}
    for ligand, receptor in zip(ligands.tolist(), receptors.tolist(), strict=True):
        by_ligand.setdefault(ligand, []).append(receptor)
    return {
        f"{ligand}_ligand_receptor_GP": {
            "sources": [ligand],
            "sources_categories": ["ligand"],
            "targets": targets,
            "targets_categories": ["receptor"] * len(targets),
        }
        for ligand, targets in by_ligand.items()
    }


def main(input_path: str, output_path: str) -> None:
    """Run NicheCompass as its authors' single-sample tutorial does.

    The result is the latent space that the tutorial clusters.
    """
    started = time.monotonic()
    arrays = np.load(input_path)
    shape = len(arrays["xy"]), len(arrays["genes"])
    counts = csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape, dtype=np.float32)
    section = ad.AnnData(counts, layers={"counts": counts}, obsm={"spatial": arrays["xy"]})
    section.var_names = arrays["genes"].astype(str)
    nearest = kneighbors_graph(arrays["xy"], NEIGHBOURS)
    section.obsp["spatial_connectivities"] = csr_matrix(nearest.maximum(nearest.T))
    add_gps_from_gp_dict_to_adata(
        gp_dict=build_programmes(arrays["ligands"], arrays["receptors"]),
        adata=section,
        genes_uppercase=False,
        min_genes_per_gp=2,
        min_source_genes_per_gp=1,
        min_target_genes_per_gp=1,
    )
    preprocessing = time.monotonic() - started

    embedding, seconds = [], []
    for seed in arrays["seeds"].tolist():
        started = time.monotonic()
        model = NicheCompass(section.copy(), seed=seed, use_cuda_if_available=False, **MODEL)
        model.train(seed=seed, use_cuda_if_available=False, monitor=False, **TRAINING)
        trained = model.adata
        active = np.isin(trained.uns["nichecompass_gp_names"], trained.uns["nichecompass_active_gp_names"])
        latent = np.zeros((section.n_obs, len(active)), dtype=np.float32)
        latent[:, active] = trained.obsm["nichecompass_latent"]
        embedding.append(latent)
        seconds.append(preprocessing + time.monotonic() - started)
    np.savez(
        output_path,
        embedding=embedding,
        seconds=seconds,
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        version=f"NicheCompass {version('nichecompass')}",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
