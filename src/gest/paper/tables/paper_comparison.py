"""The front page of the report: every number that the paper reports, ours beside it, and the verdict."""

import pandas as pd

from gest.paper.tables.markdown import aligned
from gest.paper.verdicts import DIFFERS, MISSING, NOT_COMPARABLE, REPRODUCED, TOLERANCE, UNDECIDED, agreement

VERDICTS = (REPRODUCED, DIFFERS, UNDECIDED, MISSING, NOT_COMPARABLE)
_ITEMS = {
    **{f"table_{n}": f"Table {n}" for n in "1234"},
    **{f"table_a{n}": f"Table A.{n}" for n in "1234"},
    "generation": "Figure 4, Table A.1",
    "clustering": "Table 1",
    "annotation": "Table 2",
}
_RULE = (
    "What a number is worth is its distance to no skill (√2 for RMSE, 0 for all else). *Reproduced*: ours lies within "
    f"{TOLERANCE:.0%} of the paper's worth from the paper's number, or that lies in the 95 % interval of our mean, "
    "mean ± t · sd / √n. *Undecided*: that interval is wider than the paper's worth, so that our own spread forbids a "
    "verdict. *Differs*: neither; in brackets ours less the paper's. *Missing*: this run has no such score. Where ours "
    "is one value, the tolerance decides alone."
)


def paper_comparison_markdown(table: pd.DataFrame, *, run: str, why_not: str) -> str:
    """Lay out `gest.paper.verdicts.compare_with_paper`: counts of verdicts, orders of methods, then every number.

    Parameters
    ----------
    table
        As `compare_with_paper` returns it.
    run
        Name of the run.
    why_not
        Why nothing can be compared, where nothing can.
    """
    first = f"{NOT_COMPARABLE.capitalize()}: {why_not}. Below is what the paper reports." if why_not else _RULE
    items = list(table.groupby(["source", "item"], sort=False))
    counts = [["", "numbers", *VERDICTS]]
    for (source, item), own in items:
        found = own["verdict"].value_counts()
        counts.append([_title(source, item), str(len(own)), *(str(found.get(name, "–")) for name in VERDICTS)])
    blocks = [f"The paper against reproduction, run {run}", first, "\n".join(aligned(counts)), *_orders(table)]
    for (source, item), own in items:
        said = dict.fromkeys(f"{_what(row)}: {row['note']}" for _, row in own[own["note"] != ""].iterrows())
        blocks += [f"## {_title(source, item)}", "\n".join(aligned(_rows(own))), *said]
    return "\n\n".join(blocks) + "\n"


def _title(source: str, item: str) -> str:
    return _ITEMS[item] + (" in the later version of the paper" if source == "later" else "")


def _what(row: pd.Series) -> str:
    """Name what was measured: the words that tell rows apart."""
    words = (row["dataset"], row["part"], row["method"], row["variant"], row["level"])
    return " ".join(word for word in words if word not in ("", "default"))


def _rows(own: pd.DataFrame) -> list[list[str]]:
    rows = [["what", "metric", "paper", "ours", "n", "95 % interval", "verdict"]]
    for _, row in own.iterrows():
        metric = row["metric"] + (f" ({row['gene_set']} genes)" if row["gene_set"] not in ("", "all") else "")
        n = f"{row['n']:.0f} {row['n_of']}" if row["n_of"] else "–"
        interval = "–" if pd.isna(row["low"]) else f"{row['low']:.3f} to {row['high']:.3f}"
        rows.append([_what(row), metric, _number(row, "paper"), _number(row, "ours"), n, interval, _verdict(row)])
    return rows


def _number(row: pd.Series, column: str) -> str:
    value, sd = row[column], row["paper_sd" if column == "paper" else "sd"]
    if pd.isna(value):
        return "–"
    return (
        f"{value:g}" if column == "paper" and pd.isna(sd) else f"{value:.3f}" + ("" if pd.isna(sd) else f" ± {sd:.3f}")
    )


def _verdict(row: pd.Series) -> str:
    by = f" ({row['ours'] - row['paper']:+.3f})" if row["verdict"] == DIFFERS else ""
    return row["verdict"] + by + (f": {row['why']}" if row["why"] else "")


def _orders(table: pd.DataFrame) -> list[str]:
    """Lay out how far ours are in the paper's order, where anything can be compared."""
    found = agreement(table)
    if found.empty:
        return []
    rows = [["order", "metric", "pairs alike", "best in the paper", "best here"]]
    for row in found.itertuples():
        of = f"{_title(row.source, row.item)} {row.dataset} {row.level}".strip()
        metric = row.metric + (f" ({row.gene_set} genes)" if row.gene_set not in ("", "all") else "")
        rows.append([of, metric, f"{row.alike} of {row.pairs}", row.paper_best, row.our_best])
    return ["\n".join(aligned(rows))]
