"""Read the numbers that the paper reports, and add them to our scores in the run on the paper's data."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from gest.errors import UserError

# Name of the run on the paper's data.
RUN = "paper"
# A reported value is matched to our score with the same values in these columns.
KEYS = ["dataset", "method", "variant", "level", "gene_set", "metric"]
TEXT = ("dataset", "part", "method", "variant", "level", "gene_set")
COLUMNS = ("source", "item", *TEXT, "window", "metric", "value", "sd", "note")


def name_run(run: str) -> str:
    """Return a suffix for titles that names the run; empty for the paper's run."""
    return "" if run == RUN else f"; run {run}, not the paper's data"


def read_paper_values(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read the numbers that the paper reports, one per row.

    Parameters
    ----------
    path
        `config/paper_values.yaml`, which describes its own layout.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`: `source` is "paper" or "later" (its later version), `item` names a table. Text that does not apply
        is empty; `window` (µm) and `sd` are NaN if absent, and `value` is NaN where the paper prints a dash.

    Raises
    ------
    UserError
        If a row has an unknown key.
    """
    records = []
    for source, content in yaml.safe_load(Path(path).read_text(encoding="utf-8")).items():
        for item, table in content["items"].items():
            for row in table["rows"]:
                row = table["common"] | row
                if unknown := sorted(row.keys() - {*TEXT, "window", "values", "note"}):
                    raise UserError(
                        f"{path}, {source}.items.{item}: unknown key {unknown[0]!r} (choose from {', '.join(TEXT)}, "
                        "window, values and note)."
                    )
                records += _list_values(source, item, row)
    return pd.DataFrame(records, columns=list(COLUMNS)).astype({"window": float, "value": float, "sd": float})


def beside(summary: pd.DataFrame, values: pd.DataFrame) -> pd.DataFrame:
    """Add the reported values to a summary of our scores, in the paper's run only.

    Parameters
    ----------
    summary
        As `gest.paper.scores.table.summarise` returns it.
    values
        Rows of `read_paper_values`, at most one for each combination of `KEYS`, source and part.

    Returns
    -------
    pandas.DataFrame
        The summary with more columns: for each source and part the reported value (such as `paper`, `later` or
        `later_mid`) and its sd (such as `paper_sd`), and `note`. In any other run the values are NaN, and the note says
        that they are not comparable.

    Raises
    ------
    ValueError
        If two values have the same keys, source and part.
    """
    part = values["part"].where(values["part"] == "", "_" + values["part"])
    wide = values.assign(column=values["source"] + part).pivot(index=KEYS, columns="column", values=["value", "sd"])  # noqa: PD010
    wide.columns = [column if kind == "value" else f"{column}_sd" for kind, column in wide.columns]
    reported = list(wide.columns)
    wide["note"] = values.groupby(KEYS)["note"].agg(lambda notes: " ".join(filter(None, notes)))
    table = summary.merge(wide, how="left", left_on=KEYS, right_index=True)
    foreign = table["run"] != RUN
    table.loc[foreign, reported] = np.nan
    table["note"] = table["note"].fillna("").mask(foreign, "not comparable: run " + table["run"])
    return table


def _list_values(source: str, item: str, row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one record per value of a row.

    A value with the key `metric@gene_set` overrides the row's gene set.
    """
    fields = {"source": source, "item": item, "window": np.nan, "note": ""} | dict.fromkeys(TEXT, "") | row
    records = []
    for name, printed in fields.pop("values").items():
        metric, _, gene_set = name.partition("@")
        value, sd = printed if isinstance(printed, list) else (printed, None)
        numbers = {"metric": metric, "value": value, "sd": sd, "gene_set": gene_set or fields["gene_set"]}
        records.append(fields | numbers)
    return records
