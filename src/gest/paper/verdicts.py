"""Compare a run with the paper: pair each reported number with ours, and give a verdict by one rule.

`compare_with_paper` summarises our scores (`_summarise_scores`, `_summarise_perturbation`), matches them to the
reported numbers (`_match_keys`) and applies the rule (`_decide`); `compare_orders` compares the rankings of methods.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from gest.paper.reported import RUN
from gest.paper.scores.intervals import half_width
from gest.paper.scores.labels import ALL
from gest.paper.scores.table import spread, summarise

REPRODUCED, DIFFERS, UNDECIDED, MISSING = "reproduced", "differs", "undecided", "missing"
NOT_COMPARABLE = "not comparable"
# A difference of at most this share of the paper's skill counts as reproduced.
TOLERANCE = 0.05
# Score of a prediction without skill: √2 for the RMSE of z-scores, 0 for everything else.
_NO_SKILL = {"rmse_z": np.sqrt(2)}
_LOWER_IS_BETTER = ("rmse_z",)
# The task whose scores each table of the paper reports.
_TASKS = {
    **dict.fromkeys(("table_3", "table_4", "table_a4"), "ablation"),
    **dict.fromkeys(("table_1", "table_a2", "clustering"), "clustering"),
    **dict.fromkeys(("table_2", "annotation"), "annotation"),
    **dict.fromkeys(("table_a1", "generation"), "generation"),
    "table_a3": "perturbation",
}
_KEYS = ["task", "dataset", "method", "variant", "level", "gene_set", "metric"]
_OURS = ["ours", "sd", "low", "high", "n", "n_of"]
COLUMNS = (
    *("source", "item", "dataset", "part", "method", "variant", "level", "gene_set", "metric", "paper", "paper_sd"),
    *(*_OURS, "verdict", "why", "note"),
)


def explain_incomparable(run: str, *, simulated: bool) -> str:
    """Return why a run cannot be compared with the paper; empty if it can."""
    if run == RUN:
        return ""
    return "toy data" if simulated else f"run {run} is not made of the paper's data"


def compare_with_paper(values: pd.DataFrame, scores: pd.DataFrame, *, why_not: str = "") -> pd.DataFrame:
    """Give a verdict on every number that the paper reports.

    The skill in a number is its distance from no skill (√2 for `rmse_z`, 0 for all else). Our 95 % interval is
    mean ± t · sd / √n over sections, or else crops, or else seeds. A number of the paper is

    - `missing` if this run has no such score;
    - `undecided` if our interval contains it but is wider than the paper's skill: our spread allows no verdict;
    - `reproduced` if our interval contains it, or ours differs from it by at most `TOLERANCE` of the paper's skill;
    - else `differs`.

    If ours is a single value, it has no interval, and the tolerance alone decides.

    Parameters
    ----------
    values
        As `gest.paper.reported.read_paper_values` returns them; those printed as a dash are left out.
    scores
        All scores of the run, with `gest.paper.scores.table.COLUMNS`.
    why_not
        The reason why nothing can be compared, see `explain_incomparable`; our values are then left empty.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`, a row per number in the order of the paper: `low` and `high` bound the interval, `n` counts the units
        that `n_of` names, and `why` gives the reason for a verdict, or the failed runs that our mean leaves out.
    """
    values = values[values["value"].notna()]
    rows = values.assign(paper=values["value"], paper_sd=values["sd"]).drop(columns=["value", "sd"])
    if why_not:
        rows = rows.assign(verdict=NOT_COMPARABLE, why=why_not)
    else:
        ours = pd.concat([_summarise_scores(scores), _summarise_perturbation(scores)])
        rows = rows.assign(**_match_keys(rows, scores)).merge(ours, on=_KEYS, how="left")
        rows["verdict"] = [
            _decide(row.metric, paper=row.paper, ours=row.ours, low=row.low, high=row.high) for row in rows.itertuples()
        ]
        rows.loc[rows["why"].isna(), "why"] = "no such score in this run"
        # Our scores are means over all sections of the brain.
        of_part = rows["part"] != ""
        rows.loc[of_part, ["verdict", "why"]] = NOT_COMPARABLE, "the paper's is of a part of the brain"
        rows.loc[of_part, _OURS] = np.nan
    return rows.reindex(columns=list(COLUMNS)).fillna({"n_of": ""}).reset_index(drop=True)


def compare_orders(table: pd.DataFrame) -> pd.DataFrame:
    """Count the pairs of our numbers that rank as the paper's do, table by table.

    Parameters
    ----------
    table
        As `compare_with_paper` returns it.

    Returns
    -------
    pandas.DataFrame
        A row per source, item, dataset, level, gene set and metric with at least two numbers: the `pairs` that differ
        in the paper, how many of them rank `alike` here, and the best method of each (`paper_best`, `our_best`).
    """
    keys = ["source", "item", "dataset", "level", "gene_set", "metric"]
    records = []
    for key, group in table[table["ours"].notna()].groupby(keys, sort=False):
        group_keys = dict(zip(keys, key, strict=True))
        sign = -1 if group_keys["metric"] in _LOWER_IS_BETTER else 1
        paper, ours = (sign * group[column].to_numpy() for column in ("paper", "ours"))
        first, second = np.triu_indices(len(group), k=1)
        differ = paper[first] != paper[second]
        if not differ.any() or group_keys["metric"] == "degs":
            continue
        alike = np.sign(paper[first] - paper[second]) == np.sign(ours[first] - ours[second])
        names = (group["method"] + " " + group["variant"]).str.strip().to_numpy()
        best = {"paper_best": names[paper.argmax()], "our_best": names[ours.argmax()]}
        records.append(group_keys | {"pairs": differ.sum(), "alike": alike[differ].sum()} | best)
    return pd.DataFrame(records, columns=[*keys, "pairs", "alike", "paper_best", "our_best"])


def _decide(metric: str, *, paper: float, ours: float, low: float, high: float) -> str:
    """Return the verdict on one number; the interval is NaN if ours is a single value."""
    if np.isnan(ours):
        return MISSING
    skill = abs(paper - _NO_SKILL.get(metric, 0.0))
    if low <= paper <= high:
        return UNDECIDED if high - low > skill else REPRODUCED
    return REPRODUCED if abs(ours - paper) <= TOLERANCE * skill else DIFFERS


def _match_keys(values: pd.DataFrame, scores: pd.DataFrame) -> dict[str, list[str]]:
    """Return the paper's tasks, variants and gene sets by the names of our scores."""
    niches = scores[(scores["task"] == "clustering") & scores["method"].isin(["gest", "gest_continued"])]
    largest = niches["variant"].astype(float).groupby(niches["dataset"]).max().map("{:g}".format)

    def name_variant(row: pd.Series) -> str:
        if not np.isnan(row["window"]):
            return f"{row['window']:g}"  # the variant of GeST's niches is the window in µm
        if row["item"] == "table_1" and row["method"].startswith("gest"):
            return largest.get(row["dataset"], "")
        return row["variant"] or ("default" if row["item"] in ("table_1", "table_2") else "")

    return {
        "task": [_TASKS[item] for item in values["item"]],
        "variant": [name_variant(row) for _, row in values.iterrows()],
        "gene_set": values["gene_set"].tolist(),
    }


def _summarise_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """Return mean, sd and interval of all scores except those of perturbation.

    The columns are `_KEYS`, `_OURS` and `why`.
    """
    labels = scores["task"].isin(["clustering", "annotation"])
    scores = scores[(scores["task"] != "perturbation") & (~labels | (scores["crop"] == ALL))].drop_duplicates()
    table = pd.concat(list(_choose_spreads(summarise(scores)))).rename(columns={"mean": "ours", "sd_over": "n_of"})
    half = half_width(table["sd"], table["n"].clip(lower=2))
    why = table["status"].where(table["status"] != "ok", "")
    return table.assign(low=table["ours"] - half, high=table["ours"] + half, why=why)[[*_KEYS, *_OURS, "why"]]


def _choose_spreads(summary: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the summary of each task and dataset with its `sd`, `sd_over` and `n`.

    In ablations they are over the seeds of a variant's model, else see `gest.paper.scores.table.spread`.
    """
    for (task, _), block in summary.groupby(["task", "dataset"], sort=False):
        if task == "ablation":
            yield block.assign(sd=block["sd_seeds"], sd_over="seeds", n=block["n_seeds"])
        else:
            yield spread(block)[0]


def _summarise_perturbation(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the percentage of correct final calls, and the numbers of genes.

    The columns are those of `_summarise_scores` but `sd` and `n`; the interval is over placements.
    """
    final = scores[(scores["task"] == "perturbation") & (scores["crop"] == "") & scores["seed"].isna()]
    final = final[final["gene_set"] == "all"]
    keys = ["task", "dataset", "method", "level"]
    wide = final.pivot(index=keys, columns="metric", values="value").reset_index()  # noqa: PD010
    wide = wide.reindex(columns=[*keys, "accuracy", "accuracy_low", "accuracy_high"])
    percent = wide[keys].assign(
        ours=100 * wide["accuracy"],
        low=100 * wide["accuracy_low"],
        high=100 * wide["accuracy_high"],
        metric="correct_percent",
        n_of="",
    )
    counts = final[(final["metric"] == "accuracy") & (final["method"] == "gest")]
    counts = counts[keys].assign(ours=counts["n"].astype(float), metric="degs", method="", n_of="genes")
    return pd.concat([percent, counts]).assign(variant="", gene_set="", why="")
