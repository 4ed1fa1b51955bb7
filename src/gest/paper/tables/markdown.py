"""Tables to be read: a summary of scores laid out, beside what the paper reports, and the parts other tables share."""

from collections.abc import Sequence

import pandas as pd

from gest.paper.scores.generation import METRICS
from gest.paper.scores.table import SPREADS, spread

BRACKETS = "In brackets the paper's value, or where it has none that of its later version (*)."


def to_markdown(summary: pd.DataFrame) -> str:
    """Lay a summary out: per dataset and gene set one table of methods by metrics, as mean ± sd.

    Parameters
    ----------
    summary
        As `gest.paper.scores.table.summarise` returns it; of the paper's run with its values, see `gest.paper.reported.beside`.

    Returns
    -------
    str
        Markdown whose columns are aligned as plain text too. The sd is that over sections or, where there is one
        section alone, that over its crops; what failed stands below its table.
    """
    summary = summary[summary["metric"].isin(METRICS)]
    blocks = []
    for (dataset, gene_set), block in summary.groupby(["dataset", "gene_set"], sort=False):
        block, over = spread(block)
        rows = [["method", "variant", *METRICS, "sections", "crops", "seeds"]]
        for (method, variant), values in block.groupby(["method", "variant"], sort=False):
            by_metric = values.set_index("metric")
            numbers = [str(values.iloc[0][key]) for _, _, key in SPREADS]
            rows.append([method, variant, *(cell(by_metric.loc[metric]) for metric in METRICS), *numbers])
        title = f"run {block['run'].iloc[0]}: {dataset}, genes: {gene_set} (mean{over})"
        blocks.append("\n".join([title, "", *aligned(rows), *failures(block)]))
    return "\n\n".join([*blocks, *brackets(summary)]) + "\n"


def cell(row: pd.Series) -> str:
    """Return mean ± sd [reported]; a dash where there is no mean, no sd where there is one value."""
    if pd.isna(row["mean"]):
        text = "–"
    else:
        text = f"{row['mean']:.3f}" if pd.isna(row["sd"]) else f"{row['mean']:.3f} ± {row['sd']:.3f}"
    for column, mark in (("paper", ""), ("later", "*")):
        if pd.notna(row.get(column)):
            return f"{text} [{row[column]:.3f}{mark}]"
    return text


def brackets(table: pd.DataFrame) -> list[str]:
    """Say what brackets hold, where there are any."""
    printed = [column for column in ("paper", "later") if column in table]
    return [BRACKETS] if table[printed].notna().any(axis=None) else []


def failures(block: pd.DataFrame) -> list[str]:
    """Say which methods failed, and why."""
    failed = block[block["status"] != "ok"].drop_duplicates(["method", "variant"])
    return [f"\n{row.method}, {row.variant}: {row.status}" for row in failed.itertuples()]


def plain(frame: pd.DataFrame) -> str:
    """Lay a table out as it is: numbers with four digits, a dash for what is missing."""
    return "\n".join(
        aligned([list(frame), *([_shown(value) for value in row] for row in frame.to_numpy(dtype=object))])
    )


def _shown(value: object) -> str:
    if isinstance(value, str):
        return value
    return "–" if pd.isna(value) else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table, every cell as wide as the widest of its column."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [lines[0], rule, *lines[1:]]
