"""The numbers that the paper reports, read and laid beside ours; never beside those of other data."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from gest.errors import UserError

# The one run that is made of the paper's data.
RUN = "paper"
# What a reported value and one of ours must share to stand beside each other.
KEYS = ["dataset", "method", "variant", "level", "gene_set", "metric"]
TEXT = ("dataset", "part", "method", "variant", "level", "gene_set")
COLUMNS = ("source", "item", *TEXT, "window", "metric", "value", "sd", "note")


def read_paper_values(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read what the paper reports, one row per number.

    Parameters
    ----------
    path
        `config/paper_values.yaml`, which describes its own layout.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`: `source` is "paper" or "later" (its later version), `item` a table; text that does not apply is
        empty, `window` (µm) and `sd` NaN; `value` is NaN where the paper prints a dash.

    Raises
    ------
    UserError
        If a row has a key that no column is made of.
    """
    records = []
    for source, about in yaml.safe_load(Path(path).read_text(encoding="utf-8")).items():
        for item, table in about["items"].items():
            for row in table["rows"]:
                row = table["common"] | row
                if unknown := sorted(row.keys() - {*TEXT, "window", "values", "note"}):
                    raise UserError(
                        f"{path}, {source}.items.{item}: {unknown[0]!r} is no key of a row, which are "
                        f"{', '.join(TEXT)}, window, values and note; mend its spelling."
                    )
                records += _records(source, item, row)
    return pd.DataFrame(records, columns=list(COLUMNS)).astype({"window": float, "value": float, "sd": float})


def beside(summary: pd.DataFrame, values: pd.DataFrame) -> pd.DataFrame:
    """Lay reported values beside ours, where the run is the paper's.

    Parameters
    ----------
    summary
        As `gest.paper.scores.table.summarise` returns it.
    values
        Rows of `read_paper_values`: no more than one per `KEYS`, source and part.

    Returns
    -------
    pandas.DataFrame
        The summary's rows and columns; for every source and part the value, in a column such as `paper`, `later` or
        `later_mid`, and its sd as `paper_sd`; and `note`, which of another run says that nothing is compared.

    Raises
    ------
    ValueError
        If two values claim one place.
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


def _records(source: str, item: str, row: dict[str, Any]) -> list[dict[str, Any]]:
    """One record per value of a row; `metric@gene_set` names a gene set of its own."""
    about = {"source": source, "item": item, "window": np.nan, "note": ""} | dict.fromkeys(TEXT, "") | row
    records = []
    for name, printed in about.pop("values").items():
        metric, _, gene_set = name.partition("@")
        value, sd = printed if isinstance(printed, list) else (printed, None)
        records.append(about | {"metric": metric, "value": value, "sd": sd, "gene_set": gene_set or about["gene_set"]})
    return records
