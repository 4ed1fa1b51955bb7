"""Read the numbers that the paper reports, and lay them beside ours, in the paper's run only."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from gest.errors import UserError

# The one run on the paper's data.
RUN = "paper"
# A reported value stands beside the one of ours with the same values of these.
KEYS = ["dataset", "method", "variant", "level", "gene_set", "metric"]
TEXT = ("dataset", "part", "method", "variant", "level", "gene_set")
COLUMNS = ("source", "item", *TEXT, "window", "metric", "value", "sd", "note")


def name_run(run: str) -> str:
    """Return the addition to a title that names a run; empty for the paper's run."""
    return "" if run == RUN else f"; run {run}, not the paper's data"


def read_paper_values(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read the numbers that the paper reports, a row each.

    Parameters
    ----------
    path
        `config/paper_values.yaml`, which describes its own layout.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`: `source` is "paper" or "later" (its later version), `item` a table. Text that does not apply is
        empty; `window` (µm) and `sd` are NaN if absent, and `value` is NaN where the paper prints a dash.

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
    """Lay reported values beside ours, if the run is the paper's.

    Parameters
    ----------
    summary
        As `gest.paper.scores.table.summarise` returns it.
    values
        Rows of `read_paper_values`: no more than one per `KEYS`, source and part.

    Returns
    -------
    pandas.DataFrame
        The summary with, for every source and part, the reported value in a column such as `paper`, `later` or
        `later_mid`, and its sd in `paper_sd`; and `note`. In another run these are NaN, and the note says so.

    Raises
    ------
    ValueError
        If two values have the same keys.
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

    The key `metric@gene_set` of a value overrides the row's gene set.
    """
    fields = {"source": source, "item": item, "window": np.nan, "note": ""} | dict.fromkeys(TEXT, "") | row
    records = []
    for name, printed in fields.pop("values").items():
        metric, _, gene_set = name.partition("@")
        value, sd = printed if isinstance(printed, list) else (printed, None)
        numbers = {"metric": metric, "value": value, "sd": sd, "gene_set": gene_set or fields["gene_set"]}
        records.append(fields | numbers)
    return records
