"""Annotate by GeST in two steps: fine-tune annotators on training sections, then label another section."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from anndata import AnnData

from gest.data.read_for_model import to_model_input
from gest.errors import UserError
from gest.model import GeST
from gest.paper.methods.annotation_runs import FittedRun
from gest.paper.methods.annotation_training import DRAW_SEED, Paths
from gest.paper.scores.runs import Labelling, gest_version, peak_memory_mb
from gest.tasks.annotation.annotate import annotate_tokens
from gest.tasks.annotation.annotator import read_annotator
from gest.tasks.annotation.fine_tuning import Settings
from gest.tasks.annotation.fit_annotator import train_annotator
from gest.tasks.annotation.labels import LabelledSection, draw_labelled, read_labelled


def fit_gest(
    method: str,
    sections: Paths,
    levels: Sequence[str],
    model: GeST,
    *,
    validation: Paths,
    seeds: Sequence[int],
    variants: Sequence[Settings],
    training_cells: int | None,
    folder: Path,
) -> list[FittedRun]:
    """Fine-tune a model with every seed and variant, at every level.

    Each annotator is saved in a directory of `folder`.
    """
    started = time.perf_counter()
    train = _read_by_level(sections, model, levels)
    held_out = _read_by_level(validation, model, levels)
    prepared = time.perf_counter() - started
    model_seed = model.metrics.get("seed", 0)
    fits = []
    for i, level in enumerate(levels):
        targets = draw_labelled(train[i], training_cells, seed=DRAW_SEED)
        for settings, seed in product(variants, seeds):
            started = time.perf_counter()
            run = FittedRun(
                method=method,
                variant=settings.pool,
                level=level,
                model_seed=model_seed,
                seed=seed,
                learnt=f"{settings.pool}-{i}-{model_seed}-{seed}",
                version=gest_version(),
            )
            status = "ok"
            try:
                annotator = train_annotator(
                    targets, model, label=level, validation=held_out[i], settings=settings, seed=seed
                )
                annotator.save(folder / run.learnt)
            except (UserError, FloatingPointError) as error:  # the other runs must still be scored
                status = str(error)
            seconds = prepared + time.perf_counter() - started
            fits.append(replace(run, seconds=seconds, peak_mb=peak_memory_mb(), status=status))
    return fits


def label_by_gest(section: AnnData, folder: Path, fits: Sequence[FittedRun], device: str) -> Iterator[Labelling]:
    """Label a section by the annotator of each run."""
    for fit in fits:
        started = time.perf_counter()
        annotator = read_annotator(folder / fit.learnt).to(device)
        probabilities = annotate_tokens(annotator, to_model_input(section, annotator.model), seed=fit.seed)
        labels = np.array(annotator.classes)[probabilities.argmax(1)]
        yield fit.label(labels, seconds=time.perf_counter() - started, peak_mb=peak_memory_mb())


def _read_by_level(sections: Paths, model: GeST, levels: Sequence[str]) -> list[list[LabelledSection]]:
    """Read sections for a model: one list per level, each section with its labels."""
    by_section = [read_labelled(path, model, levels) for path in sections]
    return [[at_levels[i] for at_levels in by_section] for i in range(len(levels))]
