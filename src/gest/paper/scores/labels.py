"""Score labels: clusters by adjusted mutual information, annotated labels by macro F1 (paper, 4.2 and 4.3)."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from anndata import AnnData

from gest.errors import UserError
from gest.metrics import ami, macro_f1
from gest.paper.scores.runs import Labelling
from gest.paper.scores.table import COLUMNS, INTEGERS

# Values of `crop`: for rows scored on all cells that a run covers, and on the cells that all runs cover.
ALL, SHARED = "", "shared"
_RUN = ("method", "variant", "level", "model_seed", "seed")

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
        n cells; `obs` has a column per level. Cells without a label are not scored.
    by_method
        The runs of each method, with labels in the order of the section's cells.
    task
        "clustering", scored by `ami`; "annotation", by `f1`.
    run, dataset
        Values of these columns in every row.
    levels
        Levels to score; labellings of other levels are ignored.

    Returns
    -------
    pandas.DataFrame
        `gest.paper.scores.table.COLUMNS`. Rows with `crop` "" are about the cells that a run covers: the task's metric,
        `coverage` (share of the labelled cells), `n_clusters` (distinct labels given), `seconds` and `peak_mb`. Rows
        with `crop` "shared" hold the metric on the cells that every run at this level covers, failed runs aside. `n` is
        the number of labelled cells scored. If a run failed, or the section has no labels, the value is NaN and
        `status` gives the reason; the coverage of a failed run is 0.

    Raises
    ------
    UserError
        If the section lacks a level, or a labelling has another number of cells.
    """
    name = str(section.obs["section"].iloc[0])
    runs = [labelling for labellings in by_method.values() for labelling in labellings]
    for labelling in runs:
        if len(labelling.labels) != section.n_obs:
            raise UserError(
                f"{labelling.method} labels {len(labelling.labels)} cells, but section {name!r} has {section.n_obs}. "
                "Score the labels against the section they were made from."
            )
    records = []
    for level in levels:
        if level not in section.obs:
            raise UserError(
                f"section {name!r}: no labels {level!r} in obs (it has {', '.join(section.obs)}). Correct the labels "
                "in the configuration."
            )
        records += _score_level(section.obs[level], [labelling for labelling in runs if labelling.level == level], task)
    table = pd.DataFrame(records, columns=list(COLUMNS))
    return table.assign(run=run, task=task, dataset=dataset, section=name, gene_set="").astype(
        {"value": float} | dict.fromkeys(INTEGERS, "Int64")
    )


def _score_level(labels: pd.Series, runs: Sequence[Labelling], task: str) -> Iterator[dict[str, object]]:
    """Yield the rows of all runs at one level, given its true labels."""
    truth, labelled = labels.astype(object).to_numpy(), labels.notna().to_numpy()
    shared = np.logical_and.reduce([labelled, *(run.covered for run in runs if run.covered.any())])
    for run in runs:
        fields = {key: getattr(run, key) for key in _RUN}
        for row in (*_score_run(truth, labelled, shared, run, task), *_measure_run(labelled, run)):
            yield fields | row


def _score_run(
    truth: np.ndarray, labelled: np.ndarray, shared: np.ndarray, run: Labelling, task: str
) -> Iterator[dict[str, object]]:
    """Yield the task's metric on the cells that a run covers, and on shared cells."""
    metric, score = METRICS[task]
    for crop, cells in ((ALL, labelled & run.covered), (SHARED, shared)):
        why = _explain_failure(run, labelled, cells)
        value = np.nan if why else score(truth[cells].astype(str), run.labels[cells].astype(str))
        yield {"crop": crop, "metric": metric, "value": value, "n": cells.sum(), "status": why or "ok"}


def _measure_run(labelled: np.ndarray, run: Labelling) -> Iterator[dict[str, object]]:
    """Yield the number of labels that a run gave, its cost and its coverage."""
    covered = labelled & run.covered
    fields = {"crop": ALL, "n": covered.sum()}
    why = _explain_failure(run, labelled, covered)
    n_clusters = len(np.unique(run.labels[run.covered].astype(str)))
    for metric, value in (("n_clusters", n_clusters), ("seconds", run.seconds), ("peak_mb", run.peak_mb)):
        yield fields | {"metric": metric, "value": np.nan if why else value, "status": why or "ok"}
    # A failed run has coverage 0; NaN would exclude it from the mean over runs.
    coverage = covered.sum() / labelled.sum() if labelled.any() else np.nan
    yield fields | {"metric": "coverage", "value": coverage, "status": "ok" if labelled.any() else why}


def _explain_failure(run: Labelling, labelled: np.ndarray, cells: np.ndarray) -> str:
    """Return the reason why a run has no score on these cells; empty if it has one."""
    if not run.covered.any():
        return run.status
    if not labelled.any():
        return "no cell of the section has a label"
    return "" if cells.any() else "no labelled cell is covered"
