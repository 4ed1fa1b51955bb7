"""Records of runs of methods: the cost and outcome of each, and the labels it gave to the cells of a section.

`MethodRun` is the record that every kind of run extends. `Labelling` adds labels: clusters, or annotated classes. The
labellings of one method and section are stored as two csv tables, one of labels and one of runs.
"""

import os
import resource
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from gest.errors import UserError
from gest.utils.files import whole_file


@dataclass(frozen=True, kw_only=True)
class MethodRun:
    """One run of a method on one section or set of sections, at one level of labels."""

    method: str
    variant: str = "default"
    level: str = ""
    model_seed: int | None = None
    """Seed of the pre-trained model, if the method has one."""
    seed: int
    seconds: float = np.nan
    peak_mb: float = np.nan
    """Peak resident memory."""
    version: str = ""
    """Version of the package, such as "GraphST 1.1.1"."""
    status: str = "ok"
    """"ok", "sub-sampled to N of M cells", or why the run failed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelling(MethodRun):
    """One run and its labels of a section's n cells."""

    labels: np.ndarray
    """(n,) text; empty for cells that the method did not cover, and for all cells if it failed."""

    @property
    def column(self) -> str:
        """Return the name of the run's column in the table of labels."""
        model_seed = "" if self.model_seed is None else self.model_seed
        return f"{self.variant}/{self.level}/{model_seed}/{self.seed}"

    @property
    def covered(self) -> np.ndarray:
        """Return which cells have a label, (n,) booleans."""
        return self.labels != ""


RUN_FIELDS = [field.name for field in fields(MethodRun)]
# Columns of the table of runs.
RUN = ["column", *RUN_FIELDS]


def run_fields(run: MethodRun) -> dict[str, Any]:
    """Return the fields that all kinds of runs share."""
    return {name: getattr(run, name) for name in RUN_FIELDS}


def write_labellings(labellings: Sequence[Labelling], cells: ArrayLike, path: str | os.PathLike[str]) -> None:
    """Write one method's labels of one section as two tables, or neither.

    Parameters
    ----------
    labellings
        Labellings of one section; no two may have the same variant, level and seeds.
    cells
        (n,) names of the section's cells.
    path
        The csv of labels: `cell`, then one column per run. The table of runs lies beside it (`runs_path`).

    Raises
    ------
    ValueError
        If two labellings have the same column, or a labelling does not have n labels.
    """
    path = Path(path)
    columns = [labelling.column for labelling in labellings]
    if len(set(columns)) < len(columns):
        raise ValueError(f"{path}: two labellings have the same variant, level and seeds: {columns}")
    labels = pd.DataFrame({"cell": cells} | {labelling.column: labelling.labels for labelling in labellings})
    rows = [{"column": labelling.column} | run_fields(labelling) for labelling in labellings]
    runs = pd.DataFrame(rows, columns=RUN)
    runs["model_seed"] = runs["model_seed"].astype("Int64")
    with whole_file(runs_path(path)) as partial_runs, whole_file(path) as partial_labels:
        labels.to_csv(partial_labels, index=False, lineterminator="\n")
        runs.to_csv(partial_runs, index=False, lineterminator="\n")


def read_labellings(path: str | os.PathLike[str], cells: ArrayLike | None = None) -> tuple[list[Labelling], np.ndarray]:
    """Read the tables of `write_labellings`.

    Parameters
    ----------
    path
        The csv of labels; the table of runs is expected beside it.
    cells
        (n,) expected names of the cells, in order; not checked by default.

    Returns
    -------
    list of Labelling
        The labellings, in the order written.
    numpy.ndarray
        (n,) names of the cells.

    Raises
    ------
    UserError
        If the two tables list different runs, or the cells differ.
    """
    labels, runs = (pd.read_csv(file, dtype=str, keep_default_na=False) for file in (Path(path), runs_path(path)))
    if list(labels.columns) != ["cell", *runs["column"]]:
        raise UserError(
            f"{path}: its {labels.shape[1] - 1} columns of labels are not the {len(runs)} runs of "
            f"{runs_path(path).name}; run the method again to write both."
        )
    if cells is not None and not np.array_equal(labels["cell"], np.asarray(cells, dtype=str)):
        raise UserError(
            f"{path}: its {len(labels)} cells are not the {len(cells)} cells of the section; run the method again on "
            "this section."
        )
    labellings = [
        Labelling(
            method=run.method,
            variant=run.variant,
            level=run.level,
            model_seed=int(run.model_seed) if run.model_seed else None,
            seed=int(run.seed),
            seconds=float(run.seconds or "nan"),
            peak_mb=float(run.peak_mb or "nan"),
            version=run.version,
            status=run.status,
            labels=labels[run.column].to_numpy(dtype=object),
        )
        for run in runs.itertuples()
    ]
    return labellings, labels["cell"].to_numpy(dtype=object)


def read_runs(paths: Iterable[str | os.PathLike[str]]) -> pd.DataFrame:
    """Read the tables of runs of many methods and sections.

    The result has one row per run, and the columns `RUN` as text.
    """
    tables = [pd.read_csv(path, dtype=str, keep_default_na=False) for path in paths]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=RUN)


def runs_path(path: str | os.PathLike[str]) -> Path:
    """Return the path of the table of runs: `{method}.runs.csv` beside `{method}.csv`."""
    return Path(path).with_suffix(".runs.csv")


def peak_memory_mb() -> float:
    """Return the peak resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def gest_version() -> str:
    """Return the version to record for runs that use no other package."""
    return f"gest {version('gest')}"
