"""Meta cells over a sample of the cells they represent (Figure A.9)."""

import numpy as np
from matplotlib.figure import Figure

from gest.pl.maps import handle

# Okabe and Ito's palette, repeated with each marker shape.
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7", "#F0E442", "#000000")
SHAPES = "osD^v"


def project_umap(cells: np.ndarray, metacells: np.ndarray, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Project cells (n, p) and meta cells (K, p) by one UMAP to (n, 2) and (K, 2)."""
    import scanpy as sc
    from anndata import AnnData

    both = AnnData(obsm={"X_pca": np.vstack([cells, metacells])})
    sc.pp.neighbors(both, use_rep="X_pca", random_state=seed)
    sc.tl.umap(both, random_state=seed)
    return both.obsm["X_umap"][: len(cells)], both.obsm["X_umap"][len(cells) :]


def draw_umap(cells: np.ndarray, metacells: np.ndarray, clusters: np.ndarray, *, title: str = "") -> Figure:
    """Draw meta cells, coloured by cluster, over the cells.

    Parameters
    ----------
    cells, metacells
        (n, 2) and (K, 2), as `project_umap` returns them.
    clusters
        (K,) clusters of the meta cells at level 1 of the hierarchy, integers from 0 to 39.

    Returns
    -------
    Figure
        Neither shown nor saved.
    """
    figure = Figure(figsize=(6.5, 5.2), layout="constrained")
    ax = figure.subplots()
    ax.scatter(*cells.T, s=2, color="0.8", linewidths=0, rasterized=True)
    size = float(np.clip(8000 / len(metacells), 12, 40))
    handles = [handle("0.8", f"{len(cells):,} cells")]
    for cluster in np.unique(clusters):
        colour, shape = COLOURS[cluster % len(COLOURS)], SHAPES[cluster // len(COLOURS)]
        in_cluster = metacells[clusters == cluster]
        ax.scatter(*in_cluster.T, s=size, color=colour, marker=shape, edgecolors="white", linewidths=0.3)
        handles.append(handle(colour, f"{cluster + 1}", marker=shape))
    ax.set(xlabel="UMAP 1", ylabel="UMAP 2", xticks=[], yticks=[])
    ax.spines[["top", "right"]].set_visible(False)
    name = f"{len(metacells):,} meta cells,\nby cluster of level 1"
    ax.legend(handles=handles, title=name, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=8)
    figure.suptitle(title, fontsize=10)
    return figure
