"""Tables 3, 4 and A.4, and the same table for other variants: scores, and which variant is better than another."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from gest.paper.ablation import BETTER, LARGER_IS_BETTER, WORSE, order_variants
from gest.paper.reported import beside, name_run
from gest.paper.scores.generation import keep_headline_metrics
from gest.paper.scores.table import summarise
from gest.paper.tables.markdown import explain_brackets, format_score, lay_out, list_failures

COLUMNS = (
    *("dataset", "variant", "metric", "gene_set", "mean", "sd", "n_seeds", "seeds", "n_sections", "n_crops", "n_cells"),
    *("paper", "reference", "difference", "ordering", "why", "paper_ordering", "steps", "target_cells"),
    *("training_cells", "parameters", "converged", "constant_predictions", "constant_prediction_cells"),
    *("status", "note"),
)
_KEYS = ["variant", "metric", "gene_set"]
_CONSTANT = ["constant_predictions", "constant_prediction_cells"]


def ablation_table(
    scores: pd.DataFrame,
    values: pd.DataFrame,
    trainings: pd.DataFrame,
    *,
    variants: Sequence[str],
    references: Mapping[str, str],
) -> pd.DataFrame:
    """Summarise the scores of variants, add the paper's, and order the variants.

    Parameters
    ----------
    scores
        Scores of the variants, each by `gest.paper.ablation.select_variant`.
    values
        Rows of `gest.paper.reported.read_paper_values` for this table; empty if the paper has no such table.
    trainings
        As `gest.paper.ablation.read_trainings` returns them.
    variants
        Names, in the order of the table.
    references
        For each variant to order, the variant that it is compared with.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`: RMSE of all genes and of the spatially variable ones, and Spearman's correlation of all genes. `sd`
        is over the models' seeds. `paper_ordering` is the ordering by the paper's numbers, given for any run.
    """
    headline = keep_headline_metrics(scores)
    table = beside(summarise(headline), values).assign(sd=lambda rows: rows["sd_seeds"])
    table = table.merge(order_variants(headline, trainings, references=references), on=_KEYS, how="left")
    table = table.merge(_summarise_trainings(trainings), on="variant")
    constant = scores[scores["metric"].isin(_CONSTANT) & (scores["gene_set"] == "all")]
    constant = constant.groupby(["variant", "metric"])["value"].mean().unstack()  # noqa: PD010
    table = table.merge(constant.reset_index(), on="variant", how="left")
    table["paper_ordering"] = [
        _order_reported(values, reference=row.reference, variant=row.variant, metric=row.metric, gene_set=row.gene_set)
        for row in table.itertuples()
    ]
    table = table.assign(place=table["variant"].map(list(variants).index)).sort_values(["metric", "gene_set", "place"])
    table = table.fillna({"reference": "", "ordering": "", "why": ""})
    return table.reindex(columns=list(COLUMNS)).reset_index(drop=True)


def ablation_markdown(table: pd.DataFrame, *, title: str, run: str, percent: float) -> str:
    """Lay out a table of variants: their scores, then their orderings.

    Parameters
    ----------
    table
        As `ablation_table` returns it.
    title
        Title of the table.
    run
        Name of the run; if it is not the paper's, the title says that nothing is compared.
    percent
        Largest late gain of a converged training, see `gest.paper.ablation.converged`.

    Returns
    -------
    str
        Markdown whose columns are aligned as plain text too.
    """
    seeds = table["n_seeds"].max()
    spread = f"mean ± sd over {seeds} seeds" if seeds > 1 else "one seed"
    note = (
        f"An ordering is undecided if a training of either had not converged (its second half contributed {percent:g} "
        "% or more of the fall of the validation loss), or if the ranges of the seeds overlap."
    )
    blocks = [
        f"{title}, {table['dataset'].iloc[0]}: {spread}{name_run(run)}",
        lay_out(_list_scores(table)),
        _describe_crops(table),
        *_list_constants(table),
        *explain_brackets(table),
        *list_failures(table.assign(method="gest")),
        note,
        lay_out(_list_orderings(table)),
    ]
    return "\n\n".join(blocks) + "\n"


def _summarise_trainings(trainings: pd.DataFrame) -> pd.DataFrame:
    """Return mean size and length of a variant's trainings, and if all converged."""
    by_variant = trainings.groupby("variant", sort=False)
    means = by_variant[["steps", "target_cells", "training_cells", "parameters"]].mean().round().astype(int)
    return means.assign(converged=by_variant["converged"].all()).reset_index()


def _order_reported(values: pd.DataFrame, *, reference: str, variant: str, metric: str, gene_set: str) -> str:
    """Order two variants by the paper's numbers; return "" if it lacks one.

    For spatially variable genes the paper reports the top 50, even if ours are fewer. Our `baseline` stands for the
    paper's default, the first row of each of its tables, even if it has another size.
    """
    reported = values[(values["metric"] == metric) & ((values["gene_set"] == "all") == (gene_set == "all"))]
    default = {"baseline": reported["variant"].iloc[0]} if len(reported) else {}
    pair = [default.get(name, name) for name in (reference, variant)]
    numbers = reported.set_index("variant")["value"].reindex(pair).to_numpy()
    if pair[0] == pair[1] or np.isnan(numbers).any():
        return ""
    if numbers[0] == numbers[1]:
        return "equal"
    return BETTER if (numbers[1] > numbers[0]) == (metric in LARGER_IS_BETTER) else WORSE


def _list_scores(table: pd.DataFrame) -> list[list[str]]:
    """Return the table of scores: a row per variant, a column per metric and gene set."""
    top = sorted(set(table["gene_set"]) - {"all"})
    columns = [("rmse_z", "all"), *(("rmse_z", gene_set) for gene_set in top), ("spearman", "all")]
    by_key = table.set_index(_KEYS)
    rows = [["variant", *map(" ".join, columns), "parameters", "steps", "target cells", "converged"]]
    for variant in dict.fromkeys(table["variant"]):
        keys = [(variant, *column) for column in columns]
        scores = [format_score(by_key.loc[key]) if key in by_key.index else "–" for key in keys]
        first = by_key.loc[variant].iloc[0]
        sizes = [f"{first[name]:,}" for name in ("parameters", "steps", "target_cells")]
        rows.append([variant, *scores, *sizes, "yes" if first["converged"] else "no"])
    return rows


def _list_orderings(table: pd.DataFrame) -> list[list[str]]:
    """Return the table of orderings, here and in the paper."""
    rows = [["variant", "against", "genes, metric", "difference", "here", "in the paper", "why undecided"]]
    for row in table[table["ordering"] != ""].itertuples():
        measure, difference = f"{row.gene_set} {row.metric}", f"{row.difference:+.4f}"
        rows.append([row.variant, row.reference, measure, difference, row.ordering, row.paper_ordering, row.why])
    return rows


def _describe_crops(table: pd.DataFrame) -> str:
    """Describe the crops on which the variants are scored.

    The text names the variants that lack a score on any crop for any seed.
    """
    n_crops, n_cells = table["n_crops"].max(), table["n_cells"].max()
    lacking = table.loc[(table["n_crops"] < n_crops) | (table["status"] != "ok"), "variant"].unique()
    if not len(lacking):
        return f"Every variant is scored on the same {n_crops} crops with {n_cells} unseen cells."
    return (
        f"There are {n_crops} crops with {n_cells} unseen cells; some scores are missing for {', '.join(lacking)}. Two "
        "variants are ordered on the crops for which both have scores with every seed."
    )


def _list_constants(table: pd.DataFrame) -> list[str]:
    """Return a note for each variant with constant predictions.

    Spearman's correlation is undefined for them, and counts as 0.
    """
    rows = table.drop_duplicates("variant")
    rows = rows[(rows[_CONSTANT] > 0).any(axis=1)]
    return [
        f"{row.variant}: on average over crops {row.constant_predictions:.1f} genes and "
        f"{row.constant_prediction_cells:.1f} cells were predicted constant; they count as a correlation of 0."
        for row in rows.itertuples()
    ]
