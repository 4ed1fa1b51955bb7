"""Represent the cells of a section by raw expression, by coordinates, or by shuffled labels.

Each function is called as `represent(section, *, seed, levels)`. It returns an embedding (n, D), or a dictionary from
level to groups (n,), where −1 marks a cell without a group.
"""

from collections.abc import Sequence

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc

from gest.sections import read_matrix

N_COMPONENTS = 50


def raw(section: ad.AnnData, *, seed: int, levels: Sequence[str]) -> np.ndarray:
    """Embed each cell by the principal components of its log-normalised expression.

    Parameters
    ----------
    section
        One section of n cells; `uns["gest"]["x"]` says whether `X` holds counts.
    seed
        Seed of the decomposition.
    levels
        Not used.

    Returns
    -------
    numpy.ndarray
        (n, D) float32, D at most 50.
    """
    expression = ad.AnnData(read_matrix(section, "raw").copy())
    if section.uns["gest"]["x"] == "counts":
        sc.pp.normalize_total(expression)
        sc.pp.log1p(expression)
    n_components = min(N_COMPONENTS, *(size - 1 for size in expression.shape))
    sc.pp.pca(expression, n_comps=n_components, random_state=seed)
    return expression.obsm["X_pca"].astype(np.float32)


def coordinates(section: ad.AnnData, *, seed: int, levels: Sequence[str]) -> np.ndarray:
    """Embed each cell by its coordinates alone: (n, 2) float32.

    Both coordinates are centred and divided by the same scale; the seed is not used.
    """
    xy = np.asarray(section.obsm["spatial"])
    return ((xy - xy.mean(0)) / xy.std()).astype(np.float32)


def shuffled(section: ad.AnnData, *, seed: int, levels: Sequence[str]) -> dict[str, np.ndarray]:
    """Group cells by their true labels, permuted among the cells that have one."""
    rng = np.random.default_rng(seed)
    groups = {}
    for level in levels:
        groups[level] = pd.Categorical(section.obs[level]).codes.astype(np.int64)
        labelled = groups[level] >= 0
        groups[level][labelled] = rng.permutation(groups[level][labelled])
    return groups
