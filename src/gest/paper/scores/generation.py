"""Score generated cells: compare each crop's predictions with its hidden cells, and average each gene's error."""

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
_RUN = ["model_seed", "seed", "crop"]


def score_predictions(
    predictions: AnnData, section: AnnData, truth: csr_matrix, svg: pd.DataFrame, *, run: str, dataset: str, top: int
) -> pd.DataFrame:
    """Score predictions for each pair of seeds, crop, variant and gene set.

    Parameters
    ----------
    predictions
        As `gest.paper.methods.generation.predict_crops` returns them: rows are the unseen cells of all crops and seeds;
        there is a log-normalised layer per variant; `uns["gest"]` names the method.
    section
        The section that the cells belong to; only its `obs_names` and `obs["section"]` are read.
    truth
        (cells of `section`, genes of `predictions`) log-normalised expression.
    svg
        The section's ranking, as `gest.paper.scores.spatial_genes.spatially_variable_genes` returns it.
    run, dataset
        Values of these columns in every row.
    top
        Number of spatially variable genes to score, see `gest.paper.scores.spatial_genes.top_genes`.

    Returns
    -------
    pandas.DataFrame
        `gest.paper.scores.table.COLUMNS`; `n` is the number of cells of the crop. Besides `METRICS` there are four
        counts: `constant_predictions` and `constant_truth_genes` (genes, from `rmse_z`), `constant_prediction_cells`
        and `constant_truth_cells` (cells, from `spearman`). If there is no score, the value is NaN, and `status` gives
        the reason.

    Raises
    ------
    UserError
        If a predicted cell is not in the section, or a ranked gene is not predicted.
    """
    name = str(section.obs["section"].iloc[0])
    rows = _find_cells(predictions, section)
    gene_sets = _find_genes(predictions, svg, top, section=name)
    records = []
    crops = predictions.obs.reset_index(drop=True).groupby(_RUN, sort=False, observed=True)
    for (model_seed, seed, crop), cells in crops:
        in_crop = cells.index.to_numpy()
        failure = cells["failed"].iloc[0] or "the prediction holds values that are not finite"
        crop_truth = truth[rows[in_crop]].toarray()
        fields = {"model_seed": model_seed, "seed": seed, "crop": str(crop), "n": len(in_crop)}
        for variant, layer in predictions.layers.items():
            predicted = np.asarray(layer[in_crop])
            for gene_set, columns in gene_sets.items():
                scores = _score(crop_truth[:, columns], predicted[:, columns], failure)
                records += [fields | {"variant": variant, "gene_set": gene_set} | score for score in scores]
    method = str(predictions.uns["gest"]["method"])
    table = pd.DataFrame(records).assign(
        run=run, task="generation", dataset=dataset, section=name, method=method, level=""
    )
    return typed(table)


def score_genes(predictions: AnnData, section: AnnData, truth: csr_matrix, svg: pd.DataFrame) -> pd.DataFrame:
    """Average the error of every gene over crops and seeds.

    Arguments are as for `score_predictions`.

    Returns
    -------
    pandas.DataFrame
        One row per variant and gene: section, method, variant, gene, rank (of spatial variation, from 1), rmse_z (NaN
        if the gene is constant in the truth of every crop) and rmse_log. Crops on which the method failed are left out.
    """
    rows = _find_cells(predictions, section)
    obs = predictions.obs.reset_index(drop=True)
    crops = obs[obs["failed"].astype(str) == ""].groupby(_RUN, observed=True).indices
    fields = {"section": str(section.obs["section"].iloc[0]), "method": str(predictions.uns["gest"]["method"])}
    rank = svg.set_index(svg["gene"].astype(str))["rank"].reindex(predictions.var_names).to_numpy()
    tables = []
    for variant, layer in predictions.layers.items():
        z_errors, squares = [], []
        for in_crop in crops.values():
            crop_truth, predicted = truth[rows[in_crop]].toarray(), np.asarray(layer[in_crop], dtype=np.float64)
            z_errors.append(gene_errors(crop_truth, predicted).error)
            squares.append(((crop_truth - predicted) ** 2).mean(axis=0))
        genes = pd.DataFrame({"gene": predictions.var_names, "rank": rank, "rmse_z": np.nan, "rmse_log": np.nan})
        if crops:
            genes["rmse_z"] = pd.DataFrame(z_errors).mean().to_numpy()
            genes["rmse_log"] = np.sqrt(squares).mean(axis=0)
        tables.append(genes.assign(**fields, variant=variant))
    columns = ["section", "method", "variant", "gene", "rank", "rmse_z", "rmse_log"]
    return pd.concat(tables, ignore_index=True)[columns]


def keep_headline_metrics(scores: pd.DataFrame) -> pd.DataFrame:
    """Keep the metrics of Tables 3, 4, A.1 and A.4.

    They are the RMSE for every gene set, and Spearman's correlation over all genes.
    """
    rmse = scores["metric"] == "rmse_z"
    correlation = (scores["metric"] == "spearman") & (scores["gene_set"] == "all")
    return scores[rmse | correlation]


def _find_cells(predictions: AnnData, section: AnnData) -> NDArray[np.intp]:
    """Return the row in the section of every predicted cell."""
    rows = section.obs_names.get_indexer(predictions.obs["cell"].astype(str))
    if (rows < 0).any():
        name = str(section.obs["section"].iloc[0])
        raise UserError(
            f"{(rows < 0).sum()} of {len(rows)} predicted cells are not in section {name!r}. "
            "Score the predictions against the section they were made from."
        )
    return rows


def _find_genes(predictions: AnnData, svg: pd.DataFrame, top: int, *, section: str) -> dict[str, NDArray[np.intp]]:
    """Return the columns of each gene set: all genes, and the spatially variable ones."""
    ranked, label = top_genes(svg, top)
    columns = predictions.var_names.get_indexer(ranked)
    if (columns < 0).any():
        raise UserError(
            f"{(columns < 0).sum()} of the {len(ranked)} spatially variable genes of section {section!r} are not "
            "predicted. Rank the genes of the same vocabulary with `gest paper svg`."
        )
    return {"all": np.arange(predictions.n_vars), label: columns}


def _score(truth: NDArray[np.floating], prediction: NDArray[np.floating], failure: str) -> list[dict[str, object]]:
    """Return metric, value and status of one crop, variant and gene set.

    `failure` is the status if a predicted value is not finite.
    """
    if not np.isfinite(prediction).all():
        return [{"metric": name, "value": np.nan, "status": failure} for name in METRICS]
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
