"""Table 2: niche annotation by every method, at every level of labels."""

from collections.abc import Mapping

import pandas as pd

from gest.paper.tables.labels_by_method import COST, niche_markdown, niche_table, unit_notes
from gest.paper.tables.method_names import ANNOTATION_NAMES


def table_2(scores: pd.DataFrame, values: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Take Table 2 out of the scores of annotation; arguments and result as of `gest.paper.tables.table_1.table_1`."""
    values = values[(values["source"] == "paper") & (values["item"] == "table_2")]
    values = values.assign(variant=values["variant"].replace("", "default"))
    return niche_table(scores, values, runs, metric="f1", names=ANNOTATION_NAMES)


def table_2_markdown(table: pd.DataFrame, *, run: str, microns: Mapping[str, float | None]) -> str:
    """Lay Table 2 out as the paper's on its side: methods by levels, and the costs; `microns` as of Table 1."""
    notes = [
        "F1 is the mean over the labels that the section has; cells without a label are not scored.",
        "scANVI is transductive: it trains 100 epochs on the test section, without labels, as its documentation does "
        "to map a section onto a reference.",
        "All methods are given the same training cells. Where there are no validation sections GeST holds out a tenth "
        "of its training cells to stop early by, while the packaged methods learn from all.",
        COST,
    ]
    title = "Table 2: macro F1 of niche annotation, mean ± sd (the paper's table on its side)"
    return niche_markdown(table, title=title, run=run, notes=[*notes, *unit_notes(microns)])
