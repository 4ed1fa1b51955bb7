"""The table that accompanies Figure 4: the values of its bars, and tests of the methods against GeST-W."""

import pandas as pd

from gest.paper.reported import RUN
from gest.paper.scores.generation import METRICS
from gest.paper.tables.markdown import format_score, lay_out, list_failures
from gest.paper.tables.method_names import add_names


def list_panels(scores: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the metric and gene set of each of panels a to c."""
    top = sorted(set(scores["gene_set"]) - {"all"})
    return [("rmse_z", "all"), ("spearman", "all"), *(("rmse_z", gene_set) for gene_set in top)]


def figure_4_table(summary: pd.DataFrame, comparisons: pd.DataFrame) -> pd.DataFrame:
    """Join the means of the methods with their comparisons and reported values.

    The reported values are NaN unless the run is the paper's.

    Parameters
    ----------
    summary
        Summary of one dataset, to which `gest.paper.reported.beside` has added the later version's values.
    comparisons
        As `gest.paper.scores.paired_tests.compare` returns them.

    Returns
    -------
    pandas.DataFrame
        One row per metric, gene set and method, in the order of methods; the reference method has no comparison.
    """
    keys = [key for key in comparisons if key in summary]
    table = add_names(summary[summary["metric"].isin(METRICS)].merge(comparisons, how="left", on=keys))
    reported = [key for key in table if key.startswith("later_") and not key.endswith("_sd")]
    ours = ["dataset", "metric", "gene_set", "method", "variant", "mean", "sd", "n_sections", "n_crops", "seeds"]
    tests = ["reference", "n_pairs", "median_difference", "p", "p_holm", "test"]
    table = table.sort_values(["metric", "gene_set", "name"])[[*ours, *tests, *reported, "status", "note"]]
    return table.astype({"n_pairs": "Int64"}).reset_index(drop=True)


def figure_4_markdown(table: pd.DataFrame, *, run: str) -> str:
    """Lay out the values of Figure 4's panels, and the comparisons with GeST-W.

    There is a table per metric and gene set.

    Parameters
    ----------
    table
        As `figure_4_table` returns it.
    run
        Name of the run; reported values are shown for the paper's run only.

    Returns
    -------
    str
        Markdown whose columns are aligned as plain text too.
    """
    parts = [key for key in table if key.startswith("later_")] if run == RUN else []
    title = (
        f"Figure 4, run {run}: differences are method - GeST-W, paired by section; p: two-sided Wilcoxon signed-rank "
        "test; p (Holm): corrected over the methods of a table."
    )
    blocks = [title]
    for metric, gene_set in list_panels(table):
        block = add_names(table[(table["metric"] == metric) & (table["gene_set"] == gene_set)])
        heads = ["method", "mean ± sd", "sections", "crops", "seeds", "median difference", "n", "p", "p (Holm)"]
        rows = [[*heads, *(f"reported, {part.removeprefix('later_')}" for part in parts)]]
        for _, row in block.iterrows():
            counts = [str(row[key]) for key in ("n_sections", "n_crops", "seeds")]
            reported = ["" if pd.isna(row[part]) else f"{row[part]:.3f}" for part in parts]
            rows.append([row["name"], format_score(row), *counts, *_format_comparison(row), *reported])
        heading = f"{metric}, genes: {gene_set} ({'lower' if metric == 'rmse_z' else 'higher'} is better)"
        blocks += [heading, lay_out(rows), *list_failures(block)]
    return "\n\n".join(blocks) + "\n"


def _format_comparison(row: pd.Series) -> list[str]:
    """Format median difference, n, p and Holm's p, or the reason why there is no p."""
    if pd.isna(row["n_pairs"]):
        return ["reference", "", "", ""]
    tests = [row["test"], ""] if pd.isna(row["p"]) else [f"{row['p']:.2g}", f"{row['p_holm']:.2g}"]
    difference = "–" if pd.isna(row["median_difference"]) else f"{row['median_difference']:+.4f}"
    return [difference, str(row["n_pairs"]), *tests]
