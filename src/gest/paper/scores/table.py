"""Read, write and summarise the tidy table of all scores, from which all tables of the paper are made."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gest.errors import UserError
from gest.utils.files import whole_file

COLUMNS = (
    *("run", "task", "dataset", "section", "crop", "method", "variant", "level", "gene_set", "model_seed", "seed"),
    *("metric", "value", "n", "status"),
)
INTEGERS = ("model_seed", "seed", "n")
# The summary has one row for each combination of these columns.
KEYS = ["run", "task", "dataset", "method", "variant", "level", "gene_set", "metric"]


@dataclass(frozen=True, kw_only=True)
class Spread:
    """One of the standard deviations of a summary."""

    units: str
    """Units that the sd is taken over."""
    sd: str
    """Column of the sd."""
    n: str
    """Column of the number of units."""


# Tables show the first of these whose units number more than one.
SPREADS = (
    Spread(units="sections", sd="sd", n="n_sections"),
    Spread(units="crops", sd="sd_crops", n="n_crops"),
    Spread(units="seeds", sd="sd_seeds", n="n_seeds"),
)


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
    with whole_file(path) as partial:
        scores[list(COLUMNS)].to_csv(partial, index=False, lineterminator="\n")


def read_scores(paths: Iterable[str | os.PathLike[str]]) -> pd.DataFrame:
    """Read and concatenate tables of scores.

    Parameters
    ----------
    paths
        The csv files.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`; empty text stays empty, an absent seed is missing.

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
    return typed(pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS)))


def summarise(scores: pd.DataFrame) -> pd.DataFrame:
    """Compute the mean and spread of every method and metric, and count failures.

    The paper does not define its ±. Here seeds are averaged within a crop, crops within a section, and then sections.

    - `sd` is over the means of sections.
    - `sd_crops` is over the crops of a section, pooled over sections.
    - `sd_seeds` is over the pairs of model seed and seed; the value of a pair is its mean over crops, then sections.

    Each divides by its degrees of freedom (n - 1), and is NaN if there are none.

    Parameters
    ----------
    scores
        A table with `COLUMNS`.

    Returns
    -------
    pandas.DataFrame
        One row for each combination of `KEYS`: these, `mean`, `sd`, `sd_crops`, `sd_seeds`, `n_sections`, `n_crops`,
        `n_seeds`, `seeds` (model seed:seed, or the seed alone without a model), `n_cells` and `status` ("ok", or the
        number of failed rows and the reasons). Failed rows do not enter the numbers.

    Raises
    ------
    UserError
        If columns are missing or unknown.
    """
    _check_columns(scores, "the table of scores")
    groups = typed(scores).groupby(KEYS, sort=True, dropna=False)
    return pd.DataFrame(
        [dict(zip(KEYS, key, strict=True)) | _summarise_group(group) for key, group in groups],
        columns=[
            *KEYS,
            *("mean", "sd", "sd_crops", "sd_seeds", "n_sections", "n_crops", "n_seeds", "seeds", "n_cells", "status"),
        ],
    )


def spread(block: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Choose the sd that tables show for one dataset.

    It is the first of `SPREADS` whose units number more than one for any row.

    Returns
    -------
    The rows with `sd`, `sd_over` (the units) and `n` (their number), and text for a title, such as " ± sd over crops".
    If no unit numbers more than one, `sd_over` and the text are empty.
    """
    for candidate in SPREADS:
        n = block[candidate.n]
        if (n > 1).any():
            units = candidate.units
            return block.assign(sd=block[candidate.sd], sd_over=units, n=n), f" ± sd over {units}"
    return block.assign(sd_over="", n=block["n_crops"]), ""


def _summarise_group(group: pd.DataFrame) -> dict[str, object]:
    """Return the mean, spreads, counts and status of one row of the summary."""
    failed = group[group["status"] != "ok"]
    scored = group[group["status"] == "ok"].assign(pair=_name_seeds)
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


def _name_seeds(scores: pd.DataFrame) -> pd.Series:
    """Return each row's model seed and seed as text, such as "0:1".

    Without a model seed it is the seed alone.
    """
    model = scores["model_seed"].astype("string").add(":").fillna("")
    return model + scores["seed"].astype("string").fillna("")


def typed(scores: pd.DataFrame) -> pd.DataFrame:
    """Order the columns of a table of scores, and convert each to its type."""
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
            f"{name}: columns {missing} are missing and {unknown} are unknown (a table of scores has exactly "
            f"{', '.join(COLUMNS)})."
        )
