"""Scores of generation: every crop's predictions against the cells that were hidden, and the errors of every gene."""

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from gest.errors import UserError
from gest.metrics import gene_errors, rmse_log, rmse_z, spearman, spearman_z
from gest.paper.scores.spatial_genes import top_genes
from gest.paper.scores.table import typed

METRICS = {"rmse_z": rmse_z, "rmse_log": rmse_log, "spearman": spearman, "spearman_z": spearman_z}


def score_predictions(
    predictions: AnnData, section: AnnData, truth: csr_matrix, svg: pd.DataFrame, *, run: str, dataset: str, top: int
) -> pd.DataFrame:
    """Score every pair of seeds, crop, variant and gene set of a file of predictions.

    Parameters
    ----------
    predictions
        Rows are the unseen cells of all crops and seeds, as `gest.paper.methods.generation.predict_crops` returns them; one layer per
        variant, log-normalised; `uns["gest"]` names the method.
    section
        The section the cells are from; its `obs_names` and `obs["section"]` are read.
    truth
        (cells of the section, genes of the predictions) log-normalised expression.
    svg
        The section's ranking, as `gest.paper.scores.spatial_genes.spatially_variable_genes` returns it.
    run, dataset
        Written into every row.
    top
        Spatially variable genes asked for, see `gest.paper.scores.spatial_genes.top_genes`.

    Returns
    -------
    pandas.DataFrame
        `gest.paper.scores.table.COLUMNS`; `n` is the number of cells of the crop. Four more metrics are counts:
        `constant_predictions` and `constant_truth_genes` (genes, in `rmse_z`), `constant_prediction_cells` and
        `constant_truth_cells` (cells, in `spearman`). What could not be scored has the value NaN, and why in `status`.

    Raises
    ------
    UserError
        If a predicted cell is not in the section, or the ranking lacks or exceeds the predicted genes.
    """
    rows = section.obs_names.get_indexer(predictions.obs["cell"].astype(str))
    name = str(section.obs["section"].iloc[0])
    if (rows < 0).any():
        raise UserError(
            f"{(rows < 0).sum()} of {len(rows)} predicted cells are not in section {name!r}: score the predictions "
            "against the section they were made from."
        )
    ranked, label = top_genes(svg, top)
    gene_sets = {
        "all": np.arange(predictions.n_vars),
        label: predictions.var_names.get_indexer(ranked),
    }
    if (gene_sets[label] < 0).any():
        raise UserError(
            f"{(gene_sets[label] < 0).sum()} of the {len(ranked)} spatially variable genes of section {name!r} are not "
            "predicted: rank the genes of the same vocabulary with `gest paper svg`."
        )

    records = []
    crops = predictions.obs.reset_index(drop=True).groupby(["model_seed", "seed", "crop"], sort=False, observed=True)
    for (model_seed, seed, crop), cells in crops:
        inside = cells.index.to_numpy()
        why = cells["failed"].iloc[0] or "the prediction holds values that are not finite"
        crop_truth = truth[rows[inside]].toarray()
        for variant, layer in predictions.layers.items():
            predicted = np.asarray(layer[inside])
            for gene_set, columns in gene_sets.items():
                about = {"model_seed": model_seed, "seed": seed, "crop": str(crop), "n": len(inside)}
                records += [
                    about | {"variant": variant, "gene_set": gene_set} | value
                    for value in _metrics(crop_truth[:, columns], predicted[:, columns], why)
                ]
    method = str(predictions.uns["gest"]["method"])
    table = pd.DataFrame(records).assign(
        run=run, task="generation", dataset=dataset, section=name, method=method, level=""
    )
    return typed(table)


def score_genes(predictions: AnnData, section: AnnData, truth: csr_matrix, svg: pd.DataFrame) -> pd.DataFrame:
    """Error of every gene, mean over crops and seeds; arguments as of `score_predictions`.

    Returns
    -------
    pandas.DataFrame
        One row per variant and gene: section, method, variant, gene, rank (of spatial variation, from 1), rmse_z (NaN
        where the gene is constant in the truth of every crop) and rmse_log. Crops that failed are left out.
    """
    rows = section.obs_names.get_indexer(predictions.obs["cell"].astype(str))
    obs = predictions.obs.reset_index(drop=True)
    crops = obs[obs["failed"].astype(str) == ""].groupby(["model_seed", "seed", "crop"], observed=True).indices
    about = {"section": str(section.obs["section"].iloc[0]), "method": str(predictions.uns["gest"]["method"])}
    rank = svg.set_index(svg["gene"].astype(str))["rank"].reindex(predictions.var_names).to_numpy()
    tables = []
    for variant, layer in predictions.layers.items():
        z, square = [], []
        for inside in crops.values():
            crop_truth, predicted = truth[rows[inside]].toarray(), np.asarray(layer[inside], dtype=np.float64)
            z.append(gene_errors(crop_truth, predicted).error)
            square.append(((crop_truth - predicted) ** 2).mean(axis=0))
        genes = pd.DataFrame({"gene": predictions.var_names, "rank": rank, "rmse_z": np.nan, "rmse_log": np.nan})
        if crops:
            genes["rmse_z"] = pd.DataFrame(z).mean().to_numpy()
            genes["rmse_log"] = np.sqrt(square).mean(axis=0)
        tables.append(genes.assign(**about, variant=variant))
    columns = ["section", "method", "variant", "gene", "rank", "rmse_z", "rmse_log"]
    return pd.concat(tables, ignore_index=True)[columns]


def _metrics(truth: NDArray[np.floating], prediction: NDArray[np.floating], why: str) -> list[dict[str, object]]:
    """Metric, value and status of one crop, variant and gene set; `why` there may be no prediction."""
    if not np.isfinite(prediction).all():
        return [{"metric": name, "value": np.nan, "status": why} for name in METRICS]
    scores = {name: metric(truth, prediction) for name, metric in METRICS.items()}
    values = {name: score.value for name, score in scores.items()} | {
        "constant_predictions": scores["rmse_z"].constant_predictions,
        "constant_truth_genes": scores["rmse_z"].constant_truth,
        "constant_prediction_cells": scores["spearman"].constant_predictions,
        "constant_truth_cells": scores["spearman"].constant_truth,
    }
    return [
        {"metric": name, "value": value, "status": "nothing varies in the truth" if np.isnan(value) else "ok"}
        for name, value in values.items()
    ]
