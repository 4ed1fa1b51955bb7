"""Lay out tables as Markdown: rows of cells, scores with their spread, and the notes that tables share."""

from collections.abc import Sequence

import pandas as pd
from tabulate import SEPARATING_LINE, DataRow, Line, TableFormat, tabulate

BRACKETS = "In brackets the paper's value, or where it has none that of its later version (*)."
_ROW = DataRow("|", "|", "|")
# Like tabulate's "github", but columns are no wider than their cells; for this the head must be laid out as a row.
_FORMAT = TableFormat(
    lineabove=None,
    linebelowheader=Line("|", "-", "|", "|"),
    linebetweenrows=None,
    linebelow=None,
    headerrow=_ROW,
    datarow=_ROW,
    padding=1,
    with_header_hide=None,
)


def lay_out(rows: Sequence[Sequence[str]]) -> str:
    """Lay out rows of cells, the head first, as a Markdown table with aligned columns."""
    head, *body = rows
    return tabulate([head, SEPARATING_LINE, *body], tablefmt=_FORMAT, disable_numparse=True)


def lay_out_frame(frame: pd.DataFrame) -> str:
    """Lay out a data frame, formatting each value by itself.

    Floats have four significant digits; a missing value is a dash.
    """
    rows = [[_format_value(value) for value in row] for row in frame.to_numpy(dtype=object)]
    return lay_out([list(frame), *rows])


def format_score(row: pd.Series) -> str:
    """Format mean ± sd [reported]; a missing mean is a dash, a missing sd left out."""
    if pd.isna(row["mean"]):
        text = "–"
    elif pd.isna(row["sd"]):
        text = f"{row['mean']:.3f}"
    else:
        text = f"{row['mean']:.3f} ± {row['sd']:.3f}"
    for column, mark in (("paper", ""), ("later", "*")):
        if pd.notna(row.get(column)):
            return f"{text} [{row[column]:.3f}{mark}]"
    return text


def explain_spread(block: pd.DataFrame, *, single: str) -> str:
    """Say over which units, and over how many, the ± of a block is taken.

    `single` is the text if there is no ±.
    """
    units, counts = block["sd_over"].iloc[0], sorted({block["n"].min(), block["n"].max()})
    return f"± is the sd over {'–'.join(map(str, counts))} {units}" if units else single


def explain_brackets(table: pd.DataFrame) -> list[str]:
    """Return the note on values in brackets, if the table has any."""
    reported = [column for column in ("paper", "later") if column in table]
    return [BRACKETS] if table[reported].notna().any(axis=None) else []


def list_failures(block: pd.DataFrame) -> list[str]:
    """Return a note for each method that failed, with the reason."""
    failed = block[block["status"] != "ok"].drop_duplicates(["method", "variant"])
    return [f"{row.method}, {row.variant}: {row.status}" for row in failed.itertuples()]


def _format_value(value: object) -> str:
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
