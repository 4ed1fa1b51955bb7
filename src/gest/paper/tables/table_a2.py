"""Table A.2: niche clustering by the size of GeST's window, zero-shot and after continued training."""

from collections.abc import Mapping

import pandas as pd

from gest.paper.reported import name_run
from gest.paper.tables.labels_by_method import (
    count_sections,
    explain_reported,
    labels_table,
    lacks_sections,
    list_failures,
    note_units,
    summarise_spread,
)
from gest.paper.tables.markdown import format_score, lay_out

MODES = {"gest": "zero-shot", "gest_continued": "fine-tuned"}
SHOW_SEEDS_WITH = ("sections", "crops")
"""If ± is over one of these, the sd over seeds is shown as well."""


def table_a2(scores: pd.DataFrame, values: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Make Table A.2 from the scores of clustering.

    Parameters and result are as for `gest.paper.tables.table_1.table_1`, but all windows that were scored are listed:
    a row's `name` is its mode, and its `variant` the window in µm.
    """
    windows = sorted(scores.loc[scores["method"].isin(MODES), "variant"].unique(), key=float)
    names = {(method, window): mode for method, mode in MODES.items() for window in windows}
    values = values[(values["source"] == "paper") & (values["item"] == "table_a2")]
    values = values.assign(variant=values["window"].map("{:g}".format))
    return labels_table(scores, values, runs, metric="ami", names=names)


def table_a2_markdown(
    table: pd.DataFrame, *, run: str, algorithm: Mapping[str, str], microns: Mapping[str, float | None]
) -> str:
    """Lay out Table A.2 as in the paper: levels and modes by windows.

    Parameters
    ----------
    table
        As `table_a2` returns it.
    run
        Name of the run; if it is not the paper's, the title says that nothing is compared.
    algorithm
        Clustering algorithm of each dataset; see `gest.tasks.cluster.cluster`.
    microns
        For each dataset, the declared length of one unit of its coordinates, µm, or None.
    """
    blocks = [f"Table A.2: AMI of niche clustering by window, mean ± sd{name_run(run)}."]
    for dataset, block in table[table["cells"] == "all"].groupby("dataset", sort=False):
        heading = f"{dataset}, clustered by {algorithm[dataset]}: {summarise_spread(block)}"
        blocks += [heading, lay_out(_list_rows(block)), *list_failures(block)]
    seeds = ["In parentheses the sd over seeds."] if table["sd_over"].isin(SHOW_SEEDS_WITH).any() else []
    note = "Fine-tuned is transductive: training continued on the test section, without labels."
    return "\n\n".join([*blocks, *seeds, *explain_reported(table), note, *note_units(microns)]) + "\n"


def _list_rows(block: pd.DataFrame) -> list[list[str]]:
    """Return the rows of one dataset's table."""
    windows = sorted(block["variant"].unique(), key=float)
    lacking = lacks_sections(block)
    rows = [["level", "mode", *(["sections"] if lacking else []), *(f"{window} µm" for window in windows)]]
    for (level, mode), of_mode in block.groupby(["level", "name"], sort=False):
        by_window = of_mode.set_index("variant")
        scores = [_with_seeds(by_window.loc[window]) if window in by_window.index else "–" for window in windows]
        rows.append([level, mode, *([count_sections(of_mode)] if lacking else []), *scores])
    return rows


def _with_seeds(row: pd.Series) -> str:
    """Format a score; add the sd over seeds if ± is over sections or crops."""
    if row["sd_over"] not in SHOW_SEEDS_WITH or pd.isna(row["sd_seeds"]):
        return format_score(row)
    ours, bracket, paper = format_score(row).partition(" [")
    return f"{ours} ({row['sd_seeds']:.3f}){bracket}{paper}"
