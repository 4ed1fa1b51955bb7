"""The paper against a run: every number that it reports, ours beside it, and a verdict by one rule."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.stats import t

from gest.paper.reported import RUN
from gest.paper.scores.labels import ALL
from gest.paper.scores.table import spread, summarise

REPRODUCED, DIFFERS, UNDECIDED, MISSING = "reproduced", "differs", "undecided", "missing"
NOT_COMPARABLE = "not comparable"
# A value this near to the paper's, as a share of the paper's distance to no skill, is as good as the same.
TOLERANCE = 0.05
_COVERAGE = 0.95
# What a prediction without skill scores: RMSE of z-scores √2, everything else 0.
_NO_SKILL = {"rmse_z": np.sqrt(2)}
_LOWER_IS_BETTER = ("rmse_z",)
# What the scores of each of the paper's tables are of.
_TASKS = {
    **dict.fromkeys(("table_3", "table_4", "table_a4"), "ablation"),
    **dict.fromkeys(("table_1", "table_a2", "clustering"), "clustering"),
    **dict.fromkeys(("table_2", "annotation"), "annotation"),
    **dict.fromkeys(("table_a1", "generation"), "generation"),
    "table_a3": "perturbation",
}
_PLACE = ["task", "dataset", "method", "variant", "level", "gene_set", "metric"]
COLUMNS = (
    *("source", "item", "dataset", "part", "method", "variant", "level", "gene_set", "metric", "paper", "paper_sd"),
    *("ours", "sd", "low", "high", "n", "n_of", "verdict", "why", "note"),
)


def incomparable(run: str, *, simulated: bool) -> str:
    """Say why nothing of a run can be compared with the paper; empty for its own run, which the workflow guards."""
    if run == RUN:
        return ""
    return "toy data" if simulated else f"run {run} is not made of the paper's data"


def compare_with_paper(values: pd.DataFrame, scores: pd.DataFrame, *, why_not: str = "") -> pd.DataFrame:
    """Give a verdict on every number that the paper reports.

    What a number is worth is its distance to no skill (RMSE: √2, all else: 0). It is `reproduced` if ours lies within
    `TOLERANCE` of the paper's worth from the paper's, or the paper's in the 95 % interval of ours, mean ± t · sd / √n
    over sections, or else crops, or else seeds. It is `undecided` if that interval is wider than the paper's worth, so
    that our own spread forbids a verdict; else it `differs`. Where ours is one value, the tolerance decides alone.
    `missing`: this run has no such score.

    Parameters
    ----------
    values
        As `gest.paper.reported.read_paper_values` returns them; dashes are left out.
    scores
        All scores of the run, with `gest.paper.scores.table.COLUMNS`.
    why_not
        Why nothing can be compared, see `incomparable`; ours then stays empty.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`, a row per number in the order of the paper: `low` and `high` bound the interval, `n` counts the units
        that `n_of` names, `why` gives the reason of a verdict, or what failed and has no part in ours.
    """
    values = values[values["value"].notna()]
    rows = values.assign(paper=values["value"], paper_sd=values["sd"]).drop(columns=["value", "sd"])
    parts = rows["part"] != ""
    if why_not:
        rows = rows.assign(verdict=NOT_COMPARABLE, why=why_not)
    else:
        ours = pd.concat([_of_summaries(scores), _of_perturbation(scores)])
        rows = rows.assign(**_places(rows, scores)).merge(ours, on=_PLACE, how="left")
        rows["verdict"] = [
            _verdict(*row) for row in rows[["metric", "paper", "ours", "low", "high"]].itertuples(index=False)
        ]
        rows.loc[rows["why"].isna(), "why"] = "no such score in this run"
        # Our scores are means over all sections of the brain.
        rows.loc[parts.to_numpy(), ["verdict", "why"]] = NOT_COMPARABLE, "the paper's is of a part of the brain"
        rows.loc[parts.to_numpy(), ["ours", "sd", "low", "high", "n", "n_of"]] = np.nan
    return rows.reindex(columns=list(COLUMNS)).fillna({"n_of": ""}).reset_index(drop=True)


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """Say how far ours are in the order of the paper's, where the numbers of an item can be ordered.

    Parameters
    ----------
    table
        As `compare_with_paper` returns it.

    Returns
    -------
    pandas.DataFrame
        Per source, item, dataset, level, gene set and metric of at least two numbers: `pairs` that differ in the paper,
        how many are `alike` here, the best of either (`paper_best`, `our_best`).
    """
    keys = ["source", "item", "dataset", "level", "gene_set", "metric"]
    records = []
    for key, group in table[table["ours"].notna()].groupby(keys, sort=False):
        sign = -1 if key[-1] in _LOWER_IS_BETTER else 1
        paper, ours = (sign * group[column].to_numpy() for column in ("paper", "ours"))
        first, second = np.triu_indices(len(group), k=1)
        differ = paper[first] != paper[second]
        if not differ.any() or key[-1] == "degs":
            continue
        alike = np.sign(paper[first] - paper[second]) == np.sign(ours[first] - ours[second])
        names = (group["method"] + " " + group["variant"]).str.strip().to_numpy()
        best = {"paper_best": names[paper.argmax()], "our_best": names[ours.argmax()]}
        records.append(dict(zip(keys, key, strict=True)) | {"pairs": differ.sum(), "alike": alike[differ].sum()} | best)
    return pd.DataFrame(records, columns=[*keys, "pairs", "alike", "paper_best", "our_best"])


def _verdict(metric: str, paper: float, ours: float, low: float, high: float) -> str:
    """Return the verdict on one number; the interval is NaN where ours is one value."""
    if np.isnan(ours):
        return MISSING
    worth = abs(paper - _NO_SKILL.get(metric, 0.0))
    if low <= paper <= high:
        return UNDECIDED if high - low > worth else REPRODUCED
    return REPRODUCED if abs(ours - paper) <= TOLERANCE * worth else DIFFERS


def _places(values: pd.DataFrame, scores: pd.DataFrame) -> dict[str, list[str]]:
    """Task, variant and gene set of the paper's rows as scores name them: of GeST's niches, the window in µm."""
    niches = scores[(scores["task"] == "clustering") & scores["method"].isin(["gest", "gest_continued"])]
    largest = niches["variant"].astype(float).groupby(niches["dataset"]).max().map("{:g}".format)

    def variant(row: pd.Series) -> str:
        if not np.isnan(row["window"]):
            return f"{row['window']:g}"
        if row["item"] == "table_1" and row["method"].startswith("gest"):
            return largest.get(row["dataset"], "")
        return row["variant"] or ("default" if row["item"] in ("table_1", "table_2") else "")

    return {
        "task": [_TASKS[item] for item in values["item"]],
        "variant": [variant(row) for _, row in values.iterrows()],
        "gene_set": values["gene_set"].tolist(),
    }


def _of_summaries(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean, sd and interval of every score but those of perturbation: `_PLACE`, ours, sd, low, high, n, n_of, why."""
    labels = scores["task"].isin(["clustering", "annotation"])
    scores = scores[(scores["task"] != "perturbation") & (~labels | (scores["crop"] == ALL))].drop_duplicates()
    tables = list(_spreads(summarise(scores)))
    table = pd.concat(tables).rename(columns={"mean": "ours", "sd_over": "n_of"})
    half = t.ppf((1 + _COVERAGE) / 2, table["n"].clip(lower=2) - 1) * table["sd"] / np.sqrt(table["n"])
    why = table["status"].where(table["status"] != "ok", "")
    return table.assign(low=table["ours"] - half, high=table["ours"] + half, why=why)[
        [*_PLACE, "ours", "sd", "low", "high", "n", "n_of", "why"]
    ]


def _spreads(summary: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Per task and dataset what sd and n are over: variants of the model differ by their seeds."""
    for (task, _), block in summary.groupby(["task", "dataset"], sort=False):
        if task == "ablation":
            yield block.assign(sd=block["sd_seeds"], sd_over="seeds", n=block["n_seeds"])
        else:
            yield spread(block)[0]


def _of_perturbation(scores: pd.DataFrame) -> pd.DataFrame:
    """Shares and counts of the final calls: the same columns, the interval that over placements of the region."""
    final = scores[(scores["task"] == "perturbation") & (scores["crop"] == "") & scores["seed"].isna()]
    final = final[final["gene_set"] == "all"]
    keys = ["task", "dataset", "method", "level"]
    wide = final.pivot(index=keys, columns="metric", values="value").reset_index()  # noqa: PD010
    wide = wide.reindex(columns=[*keys, "accuracy", "accuracy_low", "accuracy_high"])
    percent = wide[keys].assign(
        **{
            new: 100 * wide[old]
            for new, old in (("ours", "accuracy"), ("low", "accuracy_low"), ("high", "accuracy_high"))
        },
        metric="correct_percent",
        n_of="",
    )
    counts = final[(final["metric"] == "accuracy") & (final["method"] == "gest")]
    counts = counts[keys].assign(ours=counts["n"].astype(float), metric="degs", method="", n_of="genes")
    return pd.concat([percent, counts]).assign(variant="", gene_set="", why="")
