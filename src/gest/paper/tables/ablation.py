"""Tables 3, 4 and A.4, and the like of a user's own: variants of the model, their scores, and how they are ordered."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from gest.paper.ablation import BETTER, LARGER_IS_BETTER, WORSE, orderings
from gest.paper.reported import RUN, beside
from gest.paper.scores.table import summarise
from gest.paper.tables.markdown import aligned, brackets, cell, failures

COLUMNS = (
    *("dataset", "variant", "metric", "gene_set", "mean", "sd", "n_seeds", "seeds", "n_sections", "n_crops", "n_cells"),
    *("paper", "reference", "difference", "ordering", "why", "paper_ordering", "steps", "target_cells"),
    *("training_cells", "parameters", "converged", "constant_predictions", "constant_prediction_cells"),
    *("status", "note"),
)
_CONSTANT = ["constant_predictions", "constant_prediction_cells"]


def ablation_table(
    scores: pd.DataFrame,
    values: pd.DataFrame,
    trainings: pd.DataFrame,
    *,
    variants: Sequence[str],
    references: Mapping[str, str],
) -> pd.DataFrame:
    """Lay the scores of variants beside the paper's, and order them.

    Parameters
    ----------
    scores
        Of the variants, each by `gest.paper.ablation.of_variant`.
    values
        Rows of `gest.paper.reported.read_paper_values`, of this table; none if the paper has no such table.
    trainings
        As `gest.paper.ablation.read_trainings` returns them.
    variants
        Names, in the order of the table.
    references
        Variants that are ordered, each with the one it is ordered against.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`: RMSE of all and of the spatially variable genes, Spearman of all. `sd` is over the models' seeds;
        `paper_ordering` that of the paper's numbers, which of other data is all there is to compare.
    """
    wanted = (scores["metric"] == "rmse_z") | ((scores["metric"] == "spearman") & (scores["gene_set"] == "all"))
    table = beside(summarise(scores[wanted]), values).assign(sd=lambda rows: rows["sd_seeds"])
    keys = ["variant", "metric", "gene_set"]
    table = table.merge(orderings(scores[wanted], trainings, references=references), on=keys, how="left")
    told = trainings.groupby("variant", sort=False)
    about = told[["steps", "target_cells", "training_cells", "parameters"]].mean().round().astype(int)
    table = table.merge(about.assign(converged=told["converged"].all()).reset_index(), on="variant")
    counts = scores[scores["metric"].isin(_CONSTANT) & (scores["gene_set"] == "all")]
    means = counts.groupby(["variant", "metric"])["value"].mean().unstack()  # noqa: PD010
    table = table.merge(means.reset_index(), on="variant", how="left")
    table["paper_ordering"] = [
        _reported(values, *row) for row in table[["reference", *keys]].itertuples(index=False, name=None)
    ]
    table = table.assign(place=table["variant"].map(list(variants).index)).sort_values(["metric", "gene_set", "place"])
    table = table.fillna({"reference": "", "ordering": "", "why": ""})
    return table.reindex(columns=list(COLUMNS)).reset_index(drop=True)


def _reported(values: pd.DataFrame, reference: str, variant: str, metric: str, gene_set: str) -> str:
    """Order two of the paper's numbers; of spatially variable genes it reports 50, however many ours are.

    The paper's default stands first in each of its tables, by a name that a default of other size has not.
    """
    here = values[(values["metric"] == metric) & ((values["gene_set"] == "all") == (gene_set == "all"))]
    default = {"baseline": here["variant"].iloc[0]} if len(here) else {}
    pair = [default.get(name, name) for name in (reference, variant)]
    numbers = here.set_index("variant")["value"].reindex(pair).to_numpy()
    if pair[0] == pair[1] or np.isnan(numbers).any():
        return ""
    if numbers[0] == numbers[1]:
        return "equal"
    return BETTER if (numbers[1] > numbers[0]) == (metric in LARGER_IS_BETTER) else WORSE


def ablation_markdown(table: pd.DataFrame, *, title: str, run: str, percent: float) -> str:
    """Lay a table of variants out: their scores, then how they are ordered.

    Parameters
    ----------
    table
        As `ablation_table` returns it.
    title
        What the table is of.
    run
        Name of the run; of any but the paper's the title says that nothing is compared.
    percent
        See `gest.paper.ablation.converged`.

    Returns
    -------
    str
        Markdown whose columns are aligned as plain text too.
    """
    svg = sorted(set(table["gene_set"]) - {"all"})
    columns = [("rmse_z", "all"), *(("rmse_z", top) for top in svg), ("spearman", "all")]
    variants = list(dict.fromkeys(table["variant"]))
    at = table.set_index(["variant", "metric", "gene_set"])
    rows = [["variant", *map(" ".join, columns), "parameters", "steps", "target cells", "converged"]]
    for variant in variants:
        first = at.loc[variant].iloc[0]
        numbers = [f"{first[name]:,}" for name in ("parameters", "steps", "target_cells")]
        cells = [cell(at.loc[variant, *column]) if (variant, *column) in at.index else "–" for column in columns]
        rows.append([variant, *cells, *numbers, "yes" if first["converged"] else "no"])
    order = [["variant", "against", "genes, metric", "difference", "here", "in the paper", "why undecided"]]
    for row in table[table["ordering"] != ""].itertuples():
        change = f"{row.difference:+.4f}"
        measure = f"{row.gene_set} {row.metric}"
        order.append([row.variant, row.reference, measure, change, row.ordering, row.paper_ordering, row.why])
    seeds = table["n_seeds"].max()
    spread = f"mean ± sd over {seeds} seeds" if seeds > 1 else "one seed"
    title = f"{title}, {table['dataset'].iloc[0]}: {spread}"
    foreign = "" if run == RUN else f"; run {run}, not the paper's data"
    notes = [
        _scored(table),
        f"An ordering is undecided where a training of either had not converged (its second half "
        f"made up {percent:g} % or more of what it learnt, by the validation loss), or where the ranges of the "
        "seeds overlap.",
    ]
    blocks = [title + foreign, "\n".join(aligned(rows)), notes[0], *_constants(table), *brackets(table)]
    failed = [line.strip() for line in failures(table.assign(method="gest"))]
    return "\n\n".join([*blocks, *failed, notes[1], "\n".join(aligned(order))]) + "\n"


def _scored(table: pd.DataFrame) -> str:
    """Say on which crops variants are scored, and which variants lack some, with a seed or with all."""
    over, n = table["n_crops"].max(), table["n_cells"].max()
    lacking = table.loc[(table["n_crops"] < over) | (table["status"] != "ok"), "variant"].unique()
    if not len(lacking):
        return f"Every variant is scored on the same {over} crops with {n} unseen cells."
    return (
        f"There are {over} crops with {n} unseen cells, of which scores are missing of {', '.join(lacking)}. A variant "
        "is ordered on the crops that it and the other have scores of with every seed."
    )


def _constants(table: pd.DataFrame) -> list[str]:
    """Say of which variants predictions are constant, and Spearman's correlation cannot be computed but counts as 0."""
    rows = table.drop_duplicates("variant")
    rows = rows[(rows[_CONSTANT] > 0).any(axis=1)]
    return [
        f"{row.variant}: in the mean over crops {row.constant_predictions:.1f} genes and "
        f"{row.constant_prediction_cells:.1f} cells were predicted constant; they count as a correlation of 0."
        for row in rows.itertuples()
    ]
