"""The front page of the report: every number that the paper reports, our number, and the verdict."""

import pandas as pd

from gest.paper.tables.markdown import lay_out
from gest.paper.verdicts import DIFFERS, MISSING, NOT_COMPARABLE, REPRODUCED, TOLERANCE, UNDECIDED, compare_orders

VERDICTS = (REPRODUCED, DIFFERS, UNDECIDED, MISSING, NOT_COMPARABLE)
_ITEMS = {
    **{f"table_{n}": f"Table {n}" for n in "1234"},
    **{f"table_a{n}": f"Table A.{n}" for n in "1234"},
    "generation": "Figure 4, Table A.1",
    "clustering": "Table 1",
    "annotation": "Table 2",
}
_RULE = (
    "The skill in a number is its distance from no skill (√2 for RMSE, 0 for all else). *Reproduced*: ours differs "
    f"from the paper's number by at most {TOLERANCE:.0%} of the paper's skill, or the 95 % interval of our mean, "
    "mean ± t · sd / √n, contains it. *Undecided*: that interval is wider than the paper's skill, so that our own "
    "spread allows no verdict. *Differs*: neither; in brackets ours less the paper's. *Missing*: this run has no such "
    "score. If ours is a single value, the tolerance alone decides."
)


def paper_comparison_markdown(table: pd.DataFrame, *, run: str, why_not: str) -> str:
    """Lay out the comparison of a run with the paper.

    Counts of verdicts come first, then the rankings of methods, then every number.

    Parameters
    ----------
    table
        As `gest.paper.verdicts.compare_with_paper` returns it.
    run
        Name of the run.
    why_not
        The reason why nothing can be compared; empty if the run can be compared.
    """
    first = f"{NOT_COMPARABLE.capitalize()}: {why_not}. Below are the numbers of the paper." if why_not else _RULE
    items = list(table.groupby(["source", "item"], sort=False))
    counts = [["", "numbers", *VERDICTS]]
    for (source, item), numbers in items:
        by_verdict = numbers["verdict"].value_counts()
        cells = [str(by_verdict.get(verdict, "–")) for verdict in VERDICTS]
        counts.append([_name_item(source, item), str(len(numbers)), *cells])
    blocks = [f"The paper against reproduction, run {run}", first, lay_out(counts), *_lay_out_orders(table)]
    for (source, item), numbers in items:
        noted = numbers[numbers["note"] != ""]
        notes = dict.fromkeys(f"{_describe(row)}: {row['note']}" for _, row in noted.iterrows())
        blocks += [f"## {_name_item(source, item)}", lay_out(_list_rows(numbers)), *notes]
    return "\n\n".join(blocks) + "\n"


def _name_item(source: str, item: str) -> str:
    return _ITEMS[item] + (" in the later version of the paper" if source == "later" else "")


def _describe(row: pd.Series) -> str:
    """Describe a number by the fields that tell it from others of its table."""
    fields = (row["dataset"], row["part"], row["method"], row["variant"], row["level"])
    return " ".join(field for field in fields if field not in ("", "default"))


def _name_metric(metric: str, gene_set: str) -> str:
    return f"{metric} ({gene_set} genes)" if gene_set not in ("", "all") else metric


def _list_rows(numbers: pd.DataFrame) -> list[list[str]]:
    rows = [["what", "metric", "paper", "ours", "n", "95 % interval", "verdict"]]
    for _, row in numbers.iterrows():
        metric = _name_metric(row["metric"], row["gene_set"])
        n = f"{row['n']:.0f} {row['n_of']}" if row["n_of"] else "–"
        interval = "–" if pd.isna(row["low"]) else f"{row['low']:.3f} to {row['high']:.3f}"
        paper = "–" if pd.isna(row["paper"]) else _format_reported(row["paper"], row["paper_sd"])
        ours = "–" if pd.isna(row["ours"]) else _format_mean(row["ours"], row["sd"])
        rows.append([_describe(row), metric, paper, ours, n, interval, _format_verdict(row)])
    return rows


def _format_reported(value: float, sd: float) -> str:
    """Format a number of the paper with the digits printed there."""
    return f"{value:g}" if pd.isna(sd) else _format_mean(value, sd)


def _format_mean(value: float, sd: float) -> str:
    return f"{value:.3f}" if pd.isna(sd) else f"{value:.3f} ± {sd:.3f}"


def _format_verdict(row: pd.Series) -> str:
    difference = f" ({row['ours'] - row['paper']:+.3f})" if row["verdict"] == DIFFERS else ""
    reason = f": {row['why']}" if row["why"] else ""
    return row["verdict"] + difference + reason


def _lay_out_orders(table: pd.DataFrame) -> list[str]:
    """Lay out how many pairs of methods rank as in the paper, if there are any."""
    orders = compare_orders(table)
    if orders.empty:
        return []
    rows = [["order", "metric", "pairs alike", "best in the paper", "best here"]]
    for row in orders.itertuples():
        order = f"{_name_item(row.source, row.item)} {row.dataset} {row.level}".strip()
        pairs = f"{row.alike} of {row.pairs}"
        rows.append([order, _name_metric(row.metric, row.gene_set), pairs, row.paper_best, row.our_best])
    return [lay_out(rows)]
