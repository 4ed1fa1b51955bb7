"""Scores of labels: clusters by adjusted mutual information, annotated labels by macro F1 (paper, 4.2 and 4.3)."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from anndata import AnnData

from gest.errors import UserError
from gest.metrics import ami, macro_f1
from gest.paper.scores.runs import Labelling
from gest.paper.scores.table import COLUMNS, INTEGERS

# `crop` of the rows of all cells that a method covers, and of the cells that all methods cover.
ALL, SHARED = "", "shared"


# Name and function of the metric of each task.
METRICS: dict[str, tuple[str, Callable[[np.ndarray, np.ndarray], float]]] = {
    "clustering": ("ami", ami),
    "annotation": ("f1", macro_f1),
}


def score_labellings(
    section: AnnData,
    by_method: Mapping[str, Sequence[Labelling]],
    *,
    task: str,
    run: str,
    dataset: str,
    levels: Sequence[str],
) -> pd.DataFrame:
    """Score all methods' labellings of one section.

    Parameters
    ----------
    section
        n cells; `obs` has a column per level, missing where a cell has no label: such cells are not scored.
    by_method
        Method to its runs, in the order of the section's cells.
    task
        "clustering", scored by `ami`; "annotation", by `f1`.
    run, dataset
        Written into every row.
    levels
        To score; labellings of others are left out.

    Returns
    -------
    pandas.DataFrame
        `gest.paper.scores.table.COLUMNS`. Per labelling, with the `crop` "" for the cells that it covers: the task's metric,
        `coverage` (share of the labelled cells), `n_clusters` (different labels given), `seconds` and `peak_mb`; with
        the `crop` "shared" the metric on the cells that every run of every method at this level covers, but those that
        failed. `n` is the number of labelled cells behind the value. A run that failed, and a section without labels,
        has NaN and says why in `status`; but a run that failed has the coverage 0.

    Raises
    ------
    UserError
        If the section lacks a level, or a labelling is not of its cells.
    """
    name = str(section.obs["section"].iloc[0])
    runs = [labelling for labellings in by_method.values() for labelling in labellings]
    for labelling in runs:
        if len(labelling.labels) != section.n_obs:
            raise UserError(
                f"{labelling.method} labels {len(labelling.labels)} cells, but section {name!r} has {section.n_obs}: "
                "score the labels against the section they were made of."
            )
    records = []
    for level in levels:
        if level not in section.obs:
            raise UserError(
                f"section {name!r} has no labels {level!r} in obs, which has {', '.join(section.obs)}; name a column "
                "of it in the config's labels."
            )
        truth = section.obs[level].astype(object).to_numpy()
        labelled = section.obs[level].notna().to_numpy()
        at_level = [labelling for labelling in runs if labelling.level == level]
        shared = np.logical_and.reduce([labelled, *(run.covered for run in at_level if run.covered.any())])
        for labelling in at_level:
            about = {key: getattr(labelling, key) for key in ("method", "variant", "level", "model_seed", "seed")}
            records += [about | row for row in _rows(truth, labelled, shared, labelling, *METRICS[task])]
    table = pd.DataFrame(records, columns=list(COLUMNS))
    return table.assign(run=run, task=task, dataset=dataset, section=name, gene_set="").astype(
        {"value": float} | dict.fromkeys(INTEGERS, "Int64")
    )


def _rows(
    truth: np.ndarray,
    labelled: np.ndarray,
    shared: np.ndarray,
    labelling: Labelling,
    metric: str,
    score: Callable[[np.ndarray, np.ndarray], float],
) -> Iterator[dict[str, object]]:
    """Crop, metric, value, n and status of one labelling."""
    covered = labelled & labelling.covered
    for crop, cells in ((ALL, covered), (SHARED, shared)):
        why = _why_not(labelling, labelled, cells)
        value = np.nan if why else score(truth[cells].astype(str), labelling.labels[cells].astype(str))
        yield {"crop": crop, "metric": metric, "value": value, "n": cells.sum(), "status": why or "ok"}
    about = {"crop": ALL, "n": covered.sum()}
    why = _why_not(labelling, labelled, covered)
    values = {
        "n_clusters": len(np.unique(labelling.labels[labelling.covered].astype(str))),
        "seconds": labelling.seconds,
        "peak_mb": labelling.peak_mb,
    }
    for name, value in values.items():
        yield about | {"metric": name, "value": np.nan if why else value, "status": why or "ok"}
    # A failed run covered nothing of what there was to cover: were it missing, the mean would be over the other runs.
    share = covered.sum() / labelled.sum() if labelled.any() else np.nan
    yield about | {"metric": "coverage", "value": share, "status": "ok" if labelled.any() else why}


def _why_not(labelling: Labelling, labelled: np.ndarray, cells: np.ndarray) -> str:
    """Say why a labelling has no score on these cells; empty where it has."""
    if not labelling.covered.any():
        return labelling.status
    if not labelled.any():
        return "no cell of the section has a label"
    return "" if cells.any() else "no labelled cell is covered"
