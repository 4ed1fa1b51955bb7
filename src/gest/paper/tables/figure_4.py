"""The table beside Figure 4: what its bars show, and whether the methods differ on the same sections."""

import pandas as pd

from gest.paper.figures.figure_4 import panels
from gest.paper.reported import RUN
from gest.paper.tables.markdown import METRICS, aligned, cell, failures
from gest.paper.tables.method_names import named


def figure_4_table(summary: pd.DataFrame, comparisons: pd.DataFrame) -> pd.DataFrame:
    """Lay the comparisons of methods beside the methods' means and, in the paper's run, what the paper reports.

    Parameters
    ----------
    summary
        Of one dataset, laid beside the later version's values by `gest.paper.reported.beside`.
    comparisons
        As `gest.paper.scores.paired_tests.compare` returns them.

    Returns
    -------
    pandas.DataFrame
        One row per metric, gene set and method, in the order of methods; the reference's own row has no comparison.
    """
    keys = [key for key in comparisons if key in summary]
    table = named(summary[summary["metric"].isin(METRICS)].merge(comparisons, how="left", on=keys))
    reported = [key for key in table if key.startswith("later_") and not key.endswith("_sd")]
    ours = ["dataset", "metric", "gene_set", "method", "variant", "mean", "sd", "n_sections", "n_crops", "seeds"]
    tests = ["reference", "n_pairs", "median_difference", "p", "p_holm", "test"]
    table = table.sort_values(["metric", "gene_set", "name"])[[*ours, *tests, *reported, "status", "note"]]
    return table.astype({"n_pairs": "Int64"}).reset_index(drop=True)


def figure_4_markdown(table: pd.DataFrame, *, run: str) -> str:
    """Lay out what stands in Figure 4's panels: per metric and gene set the methods, compared with GeST-W.

    Parameters
    ----------
    table
        As `figure_4_table` returns it.
    run
        Name of the run; only of the paper's the reported values are shown.

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
    for metric, gene_set in panels(table):
        block = named(table[(table["metric"] == metric) & (table["gene_set"] == gene_set)])
        heads = ["method", "mean ± sd", "sections", "crops", "seeds", "median difference", "n", "p", "p (Holm)"]
        rows = [[*heads, *(f"reported, {part.removeprefix('later_')}" for part in parts)]]
        for _, row in block.iterrows():
            numbers = [str(row[key]) for key in ("n_sections", "n_crops", "seeds")]
            reported = ["" if pd.isna(row[part]) else f"{row[part]:.3f}" for part in parts]
            rows.append([row["name"], cell(row), *numbers, *_comparison(row), *reported])
        heading = f"{metric}, genes: {gene_set} ({'lower' if metric == 'rmse_z' else 'higher'} is better)"
        blocks.append("\n".join([heading, "", *aligned(rows), *failures(block)]))
    return "\n\n".join(blocks) + "\n"


def _comparison(row: pd.Series) -> list[str]:
    """Median difference, n, p and Holm's p, or in their place why there is none; nothing for the reference itself."""
    if pd.isna(row["n_pairs"]):
        return ["reference", "", "", ""]
    tests = [row["test"], ""] if pd.isna(row["p"]) else [f"{row['p']:.2g}", f"{row['p_holm']:.2g}"]
    return [
        "–" if pd.isna(row["median_difference"]) else f"{row['median_difference']:+.4f}",
        str(row["n_pairs"]),
        *tests,
    ]
