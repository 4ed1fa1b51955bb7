"""Tables to be read: the summary of scores laid out as methods by metrics."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

METRICS = ("rmse_z", "rmse_log", "spearman", "spearman_z")


def to_markdown(summary: pd.DataFrame) -> str:
    """Lay a summary out: per dataset and gene set one table of methods by metrics, as mean ± sd.

    Parameters
    ----------
    summary
        As `gest.scores.summarise` returns it.

    Returns
    -------
    str
        Markdown whose columns are aligned as plain text too. The sd is that over sections or, where there is one
        section alone, that over its crops; what failed stands below its table.
    """
    summary = summary[summary["metric"].isin(METRICS)]
    blocks = []
    for (dataset, gene_set), block in summary.groupby(["dataset", "gene_set"], sort=False):
        sd, over = ("sd", "sections") if (block["n_sections"] > 1).any() else ("sd_crops", "the section's crops")
        rows = [["method", "variant", *METRICS, "sections", "crops", "seeds"]]
        notes = []
        for (method, variant), values in block.groupby(["method", "variant"], sort=False):
            by_metric = values.set_index("metric")
            first = values.iloc[0]
            numbers = [str(first[key]) for key in ("n_sections", "n_crops", "n_seeds")]
            rows.append([method, variant, *(_cell(by_metric.loc[metric], sd) for metric in METRICS), *numbers])
            notes += [f"\n{method}, {variant}: {first['status']}"] if first["status"] != "ok" else []
        title = f"{dataset}, genes: {gene_set} (mean ± sd over {over})"
        blocks.append("\n".join([title, "", *_aligned(rows), *notes]))
    return "\n\n".join(blocks) + "\n"


def _cell(row: pd.Series, sd: str) -> str:
    """Return mean ± sd; a dash where there is no mean, no sd where there is one value."""
    if np.isnan(row["mean"]):
        return "–"
    return f"{row['mean']:.3f}" if np.isnan(row[sd]) else f"{row['mean']:.3f} ± {row[sd]:.3f}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table, every cell as wide as the widest of its column."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [lines[0], rule, *lines[1:]]
