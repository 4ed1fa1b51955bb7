"""Table 2: niche annotation by every method, at every level of labels."""

from collections.abc import Mapping

import pandas as pd

from gest.paper.tables.labels_by_method import COST, labels_markdown, labels_table, note_units
from gest.paper.tables.method_names import ANNOTATION_NAMES


def table_2(scores: pd.DataFrame, values: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Make Table 2 from the scores of annotation.

    Parameters and result are as for `gest.paper.tables.table_1.table_1`, with the paper's values of Table 2.
    """
    values = values[(values["source"] == "paper") & (values["item"] == "table_2")]
    values = values.assign(variant=values["variant"].replace("", "default"))
    return labels_table(scores, values, runs, metric="f1", names=ANNOTATION_NAMES)


def table_2_markdown(table: pd.DataFrame, *, run: str, microns: Mapping[str, float | None]) -> str:
    """Lay out Table 2, transposed: a row per method, with levels and costs.

    Parameters are as for `gest.paper.tables.table_1.table_1_markdown`.
    """
    notes = [
        "F1 is the mean over the labels that the section has; cells without a label are not scored.",
        "scANVI is transductive: it trains 100 epochs on the test section, without labels, as its documentation does "
        "to map a section onto a reference.",
        "All methods get the same training cells. Without validation sections GeST holds out a tenth of its training "
        "cells for early stopping, while the packaged methods train on all of them.",
        COST,
    ]
    title = "Table 2: macro F1 of niche annotation, mean ± sd (transposed)"
    return labels_markdown(table, title=title, run=run, notes=[*notes, *note_units(microns)])
