"""Draw the training labels of annotation, the same for all methods; and run the majority-class control."""

import os
import time
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from anndata import AnnData

from gest.errors import naming
from gest.paper.methods.annotation_runs import FittedRun
from gest.paper.scores.runs import Labelling, gest_version, peak_memory_mb
from gest.sections import read_section
from gest.tasks.annotation.labels import draw_labels, read_labels

Paths = Sequence[str | os.PathLike]

DRAW_SEED = 0
"""Seed of the draw of training cells: the same for all runs of all methods."""


def draw_training_labels(
    sections: Paths, levels: Sequence[str], training_cells: int | None
) -> list[tuple[np.ndarray, ...]]:
    """Draw the cells to learn from.

    Returns
    -------
    Per section, the labels (n,) at each level, empty for cells that are not drawn.
    """
    labels = []
    for path in sections:
        section = read_section(path)
        with naming(path):
            labels.append([read_labels(section, level) for level in levels])
    by_level = [draw_labels(at_level, training_cells, seed=DRAW_SEED) for at_level in zip(*labels, strict=True)]
    return list(zip(*by_level, strict=True))


def join_labels(drawn: Sequence[Sequence[np.ndarray]], i: int) -> np.ndarray:
    """Concatenate the labels at level i of all drawn cells, section by section."""
    return np.concatenate([by_level[i][by_level[i] != ""] for by_level in drawn])


def fit_majority(method: str, sections: Paths, levels: Sequence[str], training_cells: int | None) -> list[FittedRun]:
    """Find the commonest label of the training cells at every level."""
    started = time.perf_counter()
    drawn = draw_training_labels(sections, levels, training_cells)
    fits = []
    for i, level in enumerate(levels):
        labels = pd.Series(join_labels(drawn, i))
        fits.append(
            FittedRun(
                method=method,
                level=level,
                seed=0,
                learnt=labels.mode().iloc[0] if len(labels) else "",
                seconds=time.perf_counter() - started,
                peak_mb=peak_memory_mb(),
                version=gest_version(),
                status="ok" if len(labels) else f"no cell has a label of '{level}'",
            )
        )
    return fits


def label_by_majority(section: AnnData, fits: Sequence[FittedRun]) -> Iterator[Labelling]:
    """Give every cell the commonest label."""
    for fit in fits:
        yield fit.label(np.full(section.n_obs, fit.learnt), seconds=0.0, peak_mb=peak_memory_mb())
