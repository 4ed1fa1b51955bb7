"""Table A.2: niche clustering by the window that GeST's embedding sees, zero-shot and after continued training."""

from collections.abc import Mapping

import pandas as pd

from gest.paper.reported import RUN
from gest.paper.tables.labels_by_method import (
    failures,
    lacks_sections,
    niche_table,
    reported,
    scored_sections,
    spread_note,
    unit_notes,
)
from gest.paper.tables.markdown import aligned, cell

MODES = {"gest": "zero-shot", "gest_continued": "fine-tuned"}
BESIDE = ("sections", "crops")  # what ± is over where the sd over seeds stands beside it


def table_a2(scores: pd.DataFrame, values: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Take Table A.2 out of the scores of clustering; arguments and result as of `gest.paper.tables.table_1.table_1`.

    The name of a row is its mode, and its variant the window in µm, of which there are as many as were scored.
    """
    windows = sorted(scores.loc[scores["method"].isin(MODES), "variant"].unique(), key=float)
    names = {(method, window): mode for method, mode in MODES.items() for window in windows}
    values = values[(values["source"] == "paper") & (values["item"] == "table_a2")]
    values = values.assign(variant=values["window"].map("{:g}".format))
    return niche_table(scores, values, runs, metric="ami", names=names)


def table_a2_markdown(
    table: pd.DataFrame, *, run: str, algorithm: Mapping[str, str], microns: Mapping[str, float | None]
) -> str:
    """Lay Table A.2 out as the paper does: levels and modes by windows.

    Parameters
    ----------
    table
        As `table_a2` returns it.
    run
        Name of the run; of any but the paper's the title says that nothing is compared.
    algorithm
        Of clustering, by dataset; see `gest.tasks.cluster.cluster`.
    microns
        By dataset the µm that one unit of its coordinates was declared to be, where it was.
    """
    title = "Table A.2: AMI of niche clustering by window, mean ± sd"
    blocks = [title + ("." if run == RUN else f"; run {run}, not the paper's data.")]
    for dataset, block in table[table["cells"] == "all"].groupby("dataset", sort=False):
        windows = sorted(block["variant"].unique(), key=float)
        lacks = ["sections"] if lacks_sections(block) else []
        rows = [["level", "mode", *lacks, *(f"{window} µm" for window in windows)]]
        for (level, name), own in block.groupby(["level", "name"], sort=False):
            at = own.set_index("variant")
            scored = [scored_sections(own)] if lacks else []
            shown = [_with_seeds(at.loc[window]) if window in at.index else "–" for window in windows]
            rows.append([level, name, *scored, *shown])
        heading = f"{dataset}, clustered by {algorithm[dataset]}: {spread_note(block)}"
        blocks += [heading, "\n".join([*aligned(rows), *failures(block)])]
    seeds = ["In parentheses the sd over seeds."] if table["sd_over"].isin(BESIDE).any() else []
    note = "Fine-tuned is transductive: training continued on the test section, without labels."
    return "\n\n".join([*blocks, *seeds, *reported(table), note, *unit_notes(microns)]) + "\n"


def _with_seeds(row: pd.Series) -> str:
    """Return the cell, the sd over seeds beside that over sections."""
    if row["sd_over"] not in BESIDE or pd.isna(row["sd_seeds"]):
        return cell(row)
    ours, bracket, paper = cell(row).partition(" [")
    return f"{ours} ({row['sd_seeds']:.3f}){bracket}{paper}"
