"""Table 1: niche clustering by every method, at every level of labels."""

from collections.abc import Mapping

import pandas as pd

from gest.paper.tables.labels_by_method import COST, labels_markdown, labels_table, note_units
from gest.paper.tables.method_names import clustering_names


def table_1(scores: pd.DataFrame, values: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Make Table 1 from the scores of clustering.

    As in the paper, GeST is listed with each dataset's largest window.

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
        See `gest.paper.tables.labels_by_method.labels_table`; the paper's values are those of its Table 1.
    """
    values = values[(values["source"] == "paper") & (values["item"] == "table_1")]
    tables = []
    for _, of_dataset in scores.groupby("dataset", sort=False):
        names = clustering_names(zip(of_dataset["method"], of_dataset["variant"], strict=True))
        reported = values.assign(variant=values["method"].map(dict(names.keys())))
        tables.append(labels_table(of_dataset, reported, runs, metric="ami", names=names))
    return pd.concat(tables, ignore_index=True)


def table_1_markdown(
    table: pd.DataFrame, *, run: str, algorithm: Mapping[str, str], microns: Mapping[str, float | None]
) -> str:
    """Lay out Table 1, transposed: a row per method, with levels and costs.

    Parameters
    ----------
    table
        As `table_1` returns it.
    run
        Name of the run.
    algorithm
        Clustering algorithm of each dataset; see `gest.tasks.cluster.cluster`.
    microns
        For each dataset, the declared length of one unit of its coordinates, µm, or None.
    """
    notes = [
        "Embeddings are clustered into as many clusters as the section has labels, or the nearest number found; SpaGCN "
        "does its own clustering. Cells without a label are clustered too, but not scored.",
        "s per run is from the counts to the embedding, or to SpaGCN's clusters of that level: it includes "
        "preprocessing, and excludes the clustering of embeddings.",
        COST,
        "GeST-FT is transductive: its training continued on the test section, without labels. The vocabulary and the "
        "training of zero-shot GeST never saw that section.",
    ]
    for dataset, block in table.groupby("dataset", sort=False):
        windows = block.loc[block["method"].isin(["gest", "gest_continued"]), "variant"].unique()
        seen = f"; GeST sees windows of {', '.join(windows)} µm" if len(windows) else ""
        notes.append(f"{dataset}: clustering by {algorithm[dataset]}{seen}.")
    title = "Table 1: AMI of niche clustering, mean ± sd (transposed)"
    return labels_markdown(table, title=title, run=run, notes=[*notes, *note_units(microns)])
