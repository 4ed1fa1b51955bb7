"""What is drawn of the predictions: one run of each method, its cells in a given order, under the method's name."""

import os
from collections.abc import Sequence

import anndata as ad
import numpy as np

from gest.paper.tables.method_names import NAMES

_VARIANTS = ("weighted", "picking", "default")  # the paper's, in the order of its figures


def first_run(predicted: ad.AnnData) -> ad.AnnData:
    """Keep the rows of the first model seed and seed, of predictions as `gest.paper.methods.generation.predict_crops` returns them."""
    obs = predicted.obs[["model_seed", "seed"]]
    return predicted[(obs == obs.iloc[0]).all(axis=1).to_numpy()]


def predictions_of(
    paths: Sequence[str | os.PathLike], crop: str, cells: Sequence[str], genes: Sequence[str]
) -> dict[str, np.ndarray]:
    """Read what methods predicted in one crop.

    Parameters
    ----------
    paths
        Files of `gest paper predict`, one per method.
    crop
        Its name.
    cells, genes
        m names of its cells and g of genes, in the order wanted.

    Returns
    -------
    Label of method and variant to (m, g) log-normalised expression, of the first seeds; NaN where the method failed.
    """
    found = {}
    for path in paths:
        predicted = first_run(ad.read_h5ad(path))
        method = predicted.uns["gest"]["method"]
        predicted = predicted[(predicted.obs["crop"] == crop).to_numpy()]
        rows = predicted.obs["cell"].astype(str).tolist()
        order = [rows.index(cell) for cell in cells]
        for variant in (name for name in _VARIANTS if name in predicted.layers):
            found[NAMES[method, variant]] = np.asarray(predicted[order, genes].layers[variant])
    return found
