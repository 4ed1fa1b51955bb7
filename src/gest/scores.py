"""The tidy table of scores: how rows are made, kept and summarised. No number enters a paper table another way."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from gest.errors import UserError
from gest.metrics import gene_errors, rmse_log, rmse_z, spearman, spearman_z
from gest.svg import top_genes

COLUMNS = (
    *("run", "task", "dataset", "section", "crop", "method", "variant", "level", "gene_set", "model_seed", "seed"),
    *("metric", "value", "n", "status"),
)
INTEGERS = ("model_seed", "seed", "n")
METRICS = {"rmse_z": rmse_z, "rmse_log": rmse_log, "spearman": spearman, "spearman_z": spearman_z}
# One row of the summary per distinct value of these.
KEYS = ["run", "task", "dataset", "method", "variant", "level", "gene_set", "metric"]


def score_predictions(
    predictions: AnnData, section: AnnData, truth: csr_matrix, svg: pd.DataFrame, *, run: str, dataset: str, top: int
) -> pd.DataFrame:
    """Score every pair of seeds, crop, variant and gene set of a file of predictions.

    Parameters
    ----------
    predictions
        Rows are the unseen cells of all crops and seeds, as `gest.holdout.predict_crops` returns them; one layer per
        variant, log-normalised; `uns["gest"]` names the method.
    section
        The section the cells are from; its `obs_names` and `obs["section"]` are read.
    truth
        (cells of the section, genes of the predictions) log-normalised expression.
    svg
        The section's ranking, as `gest.svg.spatially_variable_genes` returns it.
    run, dataset
        Written into every row.
    top
        Spatially variable genes asked for, see `gest.svg.top_genes`.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`; `n` is the number of cells of the crop. Four metrics are counts: `constant_predictions` and
        `constant_truth_genes` (genes, in `rmse_z`), `constant_prediction_cells` and `constant_truth_cells` (cells, in
        `spearman`). What could not be scored has the value NaN and says why in `status`.

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
            "predicted: rank the genes of the same vocabulary with `gest svg`."
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
    return _typed(table)


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


def write_scores(scores: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a table of scores as csv, whole or not at all.

    Parameters
    ----------
    scores
        A table with `COLUMNS`.
    path
        The csv file.

    Raises
    ------
    UserError
        If columns are missing or unknown.
    """
    _check_columns(scores, str(path))
    temporary = Path(f"{os.fspath(path)}.{os.getpid()}.tmp")
    try:
        scores[list(COLUMNS)].to_csv(temporary, index=False, lineterminator="\n")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_scores(paths: Iterable[str | os.PathLike[str]]) -> pd.DataFrame:
    """Read tables of scores, one below another.

    Parameters
    ----------
    paths
        The csv files.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`; empty text stays empty text, an absent seed is missing.

    Raises
    ------
    UserError
        If a file has missing or unknown columns.
    """
    tables = []
    for path in paths:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        _check_columns(table, str(path))
        tables.append(table)
    return _typed(pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS)))


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean and spread of every method and metric, and what failed.

    The paper does not say what its ± is. Here seeds are averaged within a crop, crops within a section, and `sd` is
    over sections. `sd_crops` is over crops within their section, pooled over sections; `sd_seeds` is over the pairs of
    model seed and seed, each the mean over sections of the mean over crops. All divide by n - 1, and are NaN below two.

    Parameters
    ----------
    scores
        A table with `COLUMNS`.

    Returns
    -------
    pandas.DataFrame
        One row per run, task, dataset, method, variant, level, gene set and metric: those, `mean`, `sd`, `sd_crops`,
        `sd_seeds`, `n_sections`, `n_crops`, `n_seeds`, `seeds` (model seed:seed, the model seed where there is one),
        `n_cells`, `status` ("ok", or how many rows failed and why; the numbers are over the others).

    Raises
    ------
    UserError
        If columns are missing or unknown.
    """
    _check_columns(scores, "the table of scores")
    groups = _typed(scores).groupby(KEYS, sort=True, dropna=False)
    return pd.DataFrame(
        [dict(zip(KEYS, key, strict=True)) | _summary(group) for key, group in groups],
        columns=[
            *KEYS,
            *("mean", "sd", "sd_crops", "sd_seeds", "n_sections", "n_crops", "n_seeds", "seeds", "n_cells", "status"),
        ],
    )


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


def _summary(group: pd.DataFrame) -> dict[str, object]:
    """Compute the numbers of one row of the summary."""
    failed = group[group["status"] != "ok"]
    scored = group[group["status"] == "ok"].assign(pair=_pairs)
    crops = scored.groupby(["section", "crop"])["value"].mean()
    sections = crops.groupby("section")
    freedom = int((sections.size() - 1).sum())
    seeds = scored.groupby(["pair", "section", "crop"])["value"].mean().groupby(["pair", "section"]).mean()
    reasons = "; ".join(dict.fromkeys(failed["status"]))
    return {
        "mean": sections.mean().mean(),
        "sd": sections.mean().std(),
        "sd_crops": np.sqrt(((crops - sections.transform("mean")) ** 2).sum() / freedom) if freedom else np.nan,
        "sd_seeds": seeds.groupby("pair").mean().std(),
        "n_sections": sections.ngroups,
        "n_crops": len(crops),
        "n_seeds": scored["pair"].nunique(),
        "seeds": " ".join(sorted(scored["pair"].unique())),
        "n_cells": int(scored.groupby(["section", "crop"])["n"].first().sum()),
        "status": "ok" if failed.empty else f"{len(failed)} of {len(group)} failed: {reasons}",
    }


def _pairs(scores: pd.DataFrame) -> pd.Series:
    """Model seed and seed as text, "0:1"; the seed alone where no model was trained."""
    model = scores["model_seed"].astype("string").add(":").fillna("")
    return model + scores["seed"].astype("string").fillna("")


def _typed(scores: pd.DataFrame) -> pd.DataFrame:
    """Order the columns, text as text and numbers as numbers."""
    scores = scores[list(COLUMNS)].copy()
    for column in COLUMNS:
        if column == "value":
            scores[column] = scores[column].where(scores[column] != "").astype(np.float64)
        elif column in INTEGERS:
            scores[column] = pd.to_numeric(scores[column]).astype("Int64")
        else:
            scores[column] = scores[column].astype(str).astype(object)
    return scores


def _check_columns(scores: pd.DataFrame, name: str) -> None:
    missing = [column for column in COLUMNS if column not in scores]
    unknown = [column for column in scores if column not in COLUMNS]
    if missing or unknown:
        raise UserError(
            f"{name} lacks the columns {missing} and has the unknown columns {unknown}: a table of scores has exactly "
            f"{', '.join(COLUMNS)}."
        )
