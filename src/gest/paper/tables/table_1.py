"""Table 1: niche clustering by every method, at every level of labels."""

from collections.abc import Mapping

import pandas as pd

from gest.paper.tables.labels_by_method import COST, niche_markdown, niche_table, unit_notes
from gest.paper.tables.method_names import clustering_names


def table_1(scores: pd.DataFrame, values: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Take Table 1 out of the scores of clustering: of GeST, as the paper's, the largest window of each dataset.

    Parameters
    ----------
    scores
        As `gest.paper.scores.labels.score_labellings` returns them.
    values
        As `gest.paper.reported.read_paper_values` returns them.
    runs
        As `gest.paper.scores.runs.read_runs` returns them.

    Returns
    -------
    pandas.DataFrame
        As `gest.paper.tables.labels_by_method.niche_table` does; of the paper's run with what its Table 1 reports.
    """
    values = values[(values["source"] == "paper") & (values["item"] == "table_1")]
    tables = []
    for _, own in scores.groupby("dataset", sort=False):
        names = clustering_names(zip(own["method"], own["variant"], strict=True))
        reported = values.assign(variant=values["method"].map(dict(names.keys())))
        tables.append(niche_table(own, reported, runs, metric="ami", names=names))
    return pd.concat(tables, ignore_index=True)


def table_1_markdown(
    table: pd.DataFrame, *, run: str, algorithm: Mapping[str, str], microns: Mapping[str, float | None]
) -> str:
    """Lay Table 1 out as the paper's on its side: methods by levels, and what each method costs.

    Parameters
    ----------
    table
        As `table_1` returns it.
    run
        Name of the run.
    algorithm
        Of clustering, by dataset; see `gest.tasks.cluster.cluster`.
    microns
        By dataset the µm that one unit of its coordinates was declared to be, where it was.
    """
    notes = [
        "Embeddings are clustered into as many clusters as the section has labels, or the nearest number found; SpaGCN "
        "clusters by itself. Cells without a label take part and are not scored.",
        "s per run is from the counts to the embedding, or to SpaGCN's clusters of that level: preprocessing is "
        "included, and the clustering of embeddings is not.",
        COST,
        "GeST-FT is transductive: its training continued on the test section, without labels. Vocabulary and training "
        "of zero-shot GeST never saw that section.",
    ]
    for dataset, block in table.groupby("dataset", sort=False):
        windows = block.loc[block["method"].isin(["gest", "gest_continued"]), "variant"].unique()
        notes.append(
            f"{dataset}: clustering by {algorithm[dataset]}"
            + (f"; GeST sees windows of {', '.join(windows)} µm" if len(windows) else "")
            + "."
        )
    title = "Table 1: AMI of niche clustering, mean ± sd (the paper's table on its side)"
    return niche_markdown(table, title=title, run=run, notes=[*notes, *unit_notes(microns)])
