"""Table A.1: how well the methods generate spots of liver cancer and of the Stereo-seq brain."""

import pandas as pd

from gest.paper.reported import RUN
from gest.paper.scores.table import spread
from gest.paper.tables.markdown import aligned, brackets, cell, failures
from gest.paper.tables.method_names import named

COLUMNS = (
    *("method", "variant", "dataset", "metric", "gene_set", "mean", "sd", "sd_over", "n", "seeds"),
    *("paper", "paper_sd", "later", "status", "note"),
)


def table_a1(summary: pd.DataFrame) -> pd.DataFrame:
    """Take Table A.1 out of a summary of its datasets, laid beside the paper's by `gest.paper.reported.beside`.

    Returns
    -------
    pandas.DataFrame
        `COLUMNS`, by method in their order. `sd` is over the `n` units that `sd_over` names.
    """
    wanted = (summary["metric"] == "rmse_z") | ((summary["metric"] == "spearman") & (summary["gene_set"] == "all"))
    blocks = [spread(block)[0] for _, block in summary[wanted].groupby("dataset", sort=False)]
    table = named(pd.concat(blocks)).sort_values("name", kind="stable")
    return table.reindex(columns=list(COLUMNS)).reset_index(drop=True)


def table_a1_markdown(table: pd.DataFrame, *, run: str) -> str:
    """Lay Table A.1 out as the paper does: methods by datasets and metrics.

    Parameters
    ----------
    table
        As `table_a1` returns it.
    run
        Name of the run; of any but the paper's the title says that nothing is compared.

    Returns
    -------
    str
        Markdown whose columns are aligned as plain text too.
    """
    columns, notes = [], []
    for dataset, block in table.groupby("dataset", sort=False):
        svg = sorted(set(block["gene_set"]) - {"all"})
        columns += [
            (dataset, "spearman", "all"),
            (dataset, "rmse_z", "all"),
            *((dataset, "rmse_z", top) for top in svg),
        ]
        over, n = block["sd_over"].iloc[0], sorted({block["n"].min(), block["n"].max()})
        sd = f"± is the sd over {'–'.join(map(str, n))} {over}" if over else "one crop"
        notes.append(f"{dataset}: {sd}; seeds (model:prediction) {max(block['seeds'], key=len)}.")
        notes += [line.strip() for line in failures(block)]
    values = named(table).set_index(["name", "dataset", "metric", "gene_set"])
    rows = [["method", *map(" ".join, columns)]]
    for name in dict.fromkeys(values.index.get_level_values("name")):
        cells = [(name, *column) for column in columns]
        rows.append([name, *(cell(values.loc[at]) if at in values.index else "–" for at in cells)])
    title = "Table A.1: unseen cells, mean ± sd" + ("" if run == RUN else f"; run {run}, not the paper's data")
    return "\n\n".join([title, "\n".join(aligned(rows)), *notes, *brackets(table)]) + "\n"
