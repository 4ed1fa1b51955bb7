"""Labels that a method gave to the cells of one section, by all its runs: clusters, or annotated labels."""

import os
import resource
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from gest.errors import UserError
from gest.utils.files import whole_file

# What is known of each run, besides its labels.
RUN = ["column", "method", "variant", "level", "model_seed", "seed", "seconds", "peak_mb", "version", "status"]


class Labelling(NamedTuple):
    """One run of a method on one section, at one level of labels."""

    method: str
    variant: str
    level: str
    #: of the model, where the method has one
    model_seed: int | None
    seed: int
    #: (n,) text, empty where the method did not cover the cell; of a run that failed, everywhere
    labels: np.ndarray
    seconds: float
    #: peak resident memory
    peak_mb: float
    #: of the package, such as "GraphST 1.1.1"
    version: str
    #: "ok", "sub-sampled to N of M cells", or why it failed
    status: str

    @property
    def column(self) -> str:
        """Its name in the table of labels."""
        return f"{self.variant}/{self.level}/{'' if self.model_seed is None else self.model_seed}/{self.seed}"

    @property
    def covered(self) -> np.ndarray:
        """(n,) booleans: the cells that it labels."""
        return self.labels != ""


def write_labellings(labellings: Sequence[Labelling], cells: ArrayLike, path: str | os.PathLike[str]) -> None:
    """Write one method's labels of one section as two tables, both whole or neither begun.

    Parameters
    ----------
    labellings
        Of one section; no two of the same variant, level and seeds.
    cells
        (n,) names of the section's cells.
    path
        The csv of labels: `cell`, then one column per run. What is known of the runs lies beside it, see `runs_path`.

    Raises
    ------
    ValueError
        If two labellings claim one column, or one is not of these cells.
    """
    path = Path(path)
    columns = [labelling.column for labelling in labellings]
    if len(set(columns)) < len(columns):
        raise ValueError(f"{path}: two labellings are of the same variant, level and seeds: {columns}")
    labels = pd.DataFrame({"cell": cells} | {run.column: run.labels for run in labellings})
    runs = pd.DataFrame([{"column": run.column} | run._asdict() for run in labellings], columns=RUN)
    runs["model_seed"] = runs["model_seed"].astype("Int64")
    with whole_file(runs_path(path)) as partial_runs, whole_file(path) as partial_labels:
        labels.to_csv(partial_labels, index=False, lineterminator="\n")
        runs.to_csv(partial_runs, index=False, lineterminator="\n")


def read_labellings(path: str | os.PathLike[str], cells: ArrayLike | None = None) -> tuple[list[Labelling], np.ndarray]:
    """Read what `write_labellings` wrote.

    Parameters
    ----------
    path
        The csv of labels; the table of runs is expected beside it.
    cells
        (n,) names that its cells must have, in this order; not looked at by default.

    Returns
    -------
    list of Labelling
        In the order written.
    numpy.ndarray
        (n,) names of the cells.

    Raises
    ------
    UserError
        If the two tables are not of the same runs, or not of these cells.
    """
    labels, runs = (pd.read_csv(file, dtype=str, keep_default_na=False) for file in (Path(path), runs_path(path)))
    if list(labels.columns) != ["cell", *runs["column"]]:
        raise UserError(
            f"{path} has {labels.shape[1] - 1} columns of labels, which are not the {len(runs)} runs of "
            f"{runs_path(path).name}: remake both by running the method again."
        )
    if cells is not None and not np.array_equal(labels["cell"], np.asarray(cells, dtype=str)):
        raise UserError(
            f"{path} labels {len(labels)} cells, which are not the {len(cells)} of the section: make it anew from this "
            "section."
        )
    labellings = [
        Labelling(
            *(run.method, run.variant, run.level, int(run.model_seed) if run.model_seed else None, int(run.seed)),
            labels[run.column].to_numpy(dtype=object),
            *(float(run.seconds or "nan"), float(run.peak_mb or "nan"), run.version, run.status),
        )
        for run in runs.itertuples()
    ]
    return labellings, labels["cell"].to_numpy(dtype=object)


def read_runs(paths: Iterable[str | os.PathLike[str]]) -> pd.DataFrame:
    """Read what is known of the runs of many methods and sections: `RUN` as text, one row per run."""
    tables = [pd.read_csv(path, dtype=str, keep_default_na=False) for path in paths]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=RUN)


def peak_mb() -> float:
    """Return the peak resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def runs_path(path: str | os.PathLike[str]) -> Path:
    """Return where the table of runs lies: `{method}.runs.csv` beside `{method}.csv`."""
    return Path(path).with_suffix(".runs.csv")
