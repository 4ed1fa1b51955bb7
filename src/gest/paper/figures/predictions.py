"""Read predictions for figures: the first run of each method, for chosen cells and genes."""

import os
from collections.abc import Sequence

import anndata as ad
import numpy as np

from gest.paper.tables.method_names import NAMES

_VARIANTS = ("weighted", "picking", "default")  # those that the figures show, in their order


def select_first_run(predicted: ad.AnnData) -> ad.AnnData:
    """Select the rows of the first model seed and seed.

    `gest.paper.methods.generation.predict_crops` describes the rows.
    """
    obs = predicted.obs[["model_seed", "seed"]]
    return predicted[(obs == obs.iloc[0]).all(axis=1).to_numpy()]


def read_predictions(
    paths: Sequence[str | os.PathLike], crop: str, cells: Sequence[str], genes: Sequence[str]
) -> dict[str, np.ndarray]:
    """Read the predictions of methods in one crop.

    Parameters
    ----------
    paths
        Files of `gest paper predict`, one per method.
    crop
        Name of the crop.
    cells, genes
        Names of m cells of the crop and of g genes, in the order of the result.

    Returns
    -------
    For the label of each method and variant, (m, g) log-normalised expression of the first model seed and seed; NaN if
    the method failed.
    """
    predictions = {}
    for path in paths:
        predicted = select_first_run(ad.read_h5ad(path))
        method = predicted.uns["gest"]["method"]
        predicted = predicted[(predicted.obs["crop"] == crop).to_numpy()]
        rows = predicted.obs["cell"].astype(str).tolist()
        order = [rows.index(cell) for cell in cells]
        for variant in _VARIANTS:
            if variant in predicted.layers:
                predictions[NAMES[method, variant]] = np.asarray(predicted[order, genes].layers[variant])
    return predictions
