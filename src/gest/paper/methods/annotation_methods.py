"""The methods of annotation, each in two halves: learning labels from sections, and labelling another section."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from functools import partial
from importlib.metadata import version
from itertools import groupby, product
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata import AnnData

from gest.baselines import registry
from gest.baselines.packaged import run_isolated
from gest.data.read_for_model import to_model_input
from gest.data.tokenize import match_genes
from gest.errors import UserError, naming
from gest.model import GeST
from gest.paper.scores.runs import peak_mb
from gest.sections import read_section, values
from gest.tasks.annotation.annotate import annotate_tokens
from gest.tasks.annotation.annotator import read_annotator
from gest.tasks.annotation.fine_tuning import Settings
from gest.tasks.annotation.fit_annotator import train_annotator
from gest.tasks.annotation.labels import draw_labelled, draw_labels, read_labelled, read_labels
from gest.vocabulary import Vocabulary

PACKAGED = registry.packaged_names("annotation")

log = logging.getLogger(__name__)

_VERSION = f"gest {version('gest')}"
_DRAW = 0  # seed of the cells learnt from: the same for all runs of all methods

Paths = Sequence[str | os.PathLike]


class Fit(NamedTuple):
    """One run of a method, learnt at one level of labels."""

    variant: str
    level: str
    model_seed: int | None
    seed: int
    learnt: str
    """Its name within the folder; or the commonest label itself."""
    seconds: float
    peak_mb: float
    version: str
    status: str


class Outcome(NamedTuple):
    """What a run made of a section's n cells."""

    labels: np.ndarray
    seconds: float
    peak_mb: float
    status: str = "ok"

    @classmethod
    def failed(cls, why: str, section: AnnData) -> Self:
        """No labels at all, and why."""
        return cls(np.full(section.n_obs, ""), np.nan, np.nan, why)


def fit_gest(
    sections: Paths,
    validation: Paths,
    levels: Sequence[str],
    model: GeST,
    seeds: Sequence[int],
    variants: Sequence[Settings],
    training_cells: int | None,
    folder: Path,
) -> list[Fit]:
    """Fine-tune a model with every seed and variant, at every level; each annotator is a directory in `folder`."""
    started = time.perf_counter()
    # Sections by levels, turned into levels by sections.
    train, held_out = (
        list(zip(*(read_labelled(path, model, levels) for path in group), strict=True))
        for group in (sections, validation)
    )
    prepared = time.perf_counter() - started
    model_seed, fits = model.metrics.get("seed", 0), []
    for i, level in enumerate(levels):
        targets = draw_labelled(train[i], training_cells, seed=_DRAW)
        for settings, seed in product(variants, seeds):
            place, status, started = f"{settings.pool}-{i}-{model_seed}-{seed}", "ok", time.perf_counter()
            try:
                tuned = train_annotator(
                    targets,
                    model,
                    label=level,
                    validation=held_out[i] if held_out else (),
                    settings=settings,
                    seed=seed,
                )
                tuned.save(folder / place)
            except (UserError, FloatingPointError) as error:  # one run's failure must not take the others' rows away
                status = str(error)
            cost = (prepared + time.perf_counter() - started, peak_mb(), _VERSION, status)
            fits.append(Fit(settings.pool, level, model_seed, seed, place, *cost))
    return fits


def _label_gest(section: AnnData, folder: Path, fits: Sequence[Fit], device: str) -> Iterator[Outcome]:
    for one in fits:
        started = time.perf_counter()
        annotator = read_annotator(folder / one.learnt).to(device)
        codes = annotate_tokens(annotator, to_model_input(section, annotator.model), seed=one.seed).argmax(1)
        yield Outcome(np.array(annotator.classes)[codes], time.perf_counter() - started, peak_mb())


def fit_packaged(
    method: str,
    sections: Paths,
    levels: Sequence[str],
    vocabulary: Vocabulary,
    seeds: Sequence[int],
    training_cells: int | None,
    folder: Path,
) -> list[Fit]:
    """Give a packaged method the counts and labels of the cells to learn from; all seeds of a level in one process.

    It learns from the genes that all training sections hold; of these, one that a section to label lacks is zero there.
    """
    drawn = _drawn(sections, levels, training_cells)
    counts, names = [[] for _ in levels], [[] for _ in levels]
    held = np.ones(len(vocabulary.genes), dtype=bool)
    for path, labels in zip(sections, drawn, strict=True):
        section = read_section(path)
        of_panel, found = _panel_counts(section, vocabulary, method)
        held &= found
        for i in range(len(levels)):
            counts[i].append(of_panel[labels[i] != ""])
            names[i] += [section.obs["section"].iloc[0]] * counts[i][-1].shape[0]
    if not held.any():
        raise UserError(
            f"{method}: the training sections have none of the {len(held)} genes in common; give sections of one panel."
        )
    np.save(folder / "held.npy", held)
    fits = []
    for i, level in enumerate(levels):
        stacked = sp.vstack(counts[i], format="csr")[:, held]
        labels = np.concatenate([of[i][of[i] != ""] for of in drawn])
        arrays = {"data": stacked.data, "indices": stacked.indices, "indptr": stacked.indptr, "labels": labels}
        about = {"sections": np.array(names[i]), "genes": vocabulary.genes[held].astype(str), "seeds": np.array(seeds)}
        try:
            made = run_isolated(method, folder=str(folder / str(i)), **arrays, **about)
            costs = [
                (float(seconds), float(made["peak_mb"]), str(made["version"]), "ok") for seconds in made["seconds"]
            ]
        except UserError as error:
            costs = [(np.nan, np.nan, "", f"{error} It was given {len(labels)} cells.")] * len(seeds)
        fits += [Fit("default", level, None, seed, str(i), *cost) for seed, cost in zip(seeds, costs, strict=True)]
    return fits


def _label_packaged(method: str, section: AnnData, folder: Path, fits: Sequence[Fit], _: str) -> Iterator[Outcome]:
    vocabulary = Vocabulary.load(folder / "vocabulary.npz")
    held = np.load(folder / "held.npy")
    counts, found = _panel_counts(section, vocabulary, method)
    if lacking := int((held & ~found).sum()):
        log.warning(
            "%s: %d of the %d genes learnt from are not in section %s, and count as zero there.",
            *(method, lacking, held.sum(), section.obs["section"].iloc[0]),
        )
    counts = counts[:, held]
    arrays = {"test_data": counts.data, "test_indices": counts.indices, "test_indptr": counts.indptr}
    for place, group in groupby(fits, key=lambda one: one.learnt):  # the runs of a level share a process
        seeds = np.array([one.seed for one in group])
        try:
            made = run_isolated(
                method, folder=str(folder / place), genes=vocabulary.genes[held].astype(str), seeds=seeds, **arrays
            )
        except UserError as error:
            yield from [Outcome.failed(str(error), section)] * len(seeds)
            continue
        for predicted, seconds in zip(made["predicted"], made["seconds"], strict=True):
            yield Outcome(predicted, float(seconds), float(made["peak_mb"]))


def fit_majority(sections: Paths, levels: Sequence[str], training_cells: int | None) -> list[Fit]:
    """Find the commonest label of the cells to learn from."""
    fits, started = [], time.perf_counter()
    drawn = _drawn(sections, levels, training_cells)
    for i, level in enumerate(levels):
        labels = pd.Series(np.concatenate([of[i][of[i] != ""] for of in drawn]))
        status = "ok" if len(labels) else f"no cell has a label of '{level}'"
        commonest = labels.mode().iloc[0] if len(labels) else ""
        fits.append(
            Fit("default", level, None, 0, commonest, time.perf_counter() - started, peak_mb(), _VERSION, status)
        )
    return fits


def _label_majority(section: AnnData, _: Path, fits: Sequence[Fit], __: str) -> Iterator[Outcome]:
    for one in fits:
        yield Outcome(np.full(section.n_obs, one.learnt), 0.0, peak_mb())


LABEL = {
    "gest": _label_gest,
    "majority": _label_majority,
    **{method: partial(_label_packaged, method) for method in PACKAGED},
}


def _drawn(sections: Paths, levels: Sequence[str], training_cells: int | None) -> list[list[np.ndarray]]:
    """Labels (n,) to learn from, of each section at each level; empty where a cell is not learnt from."""
    labels = []
    for path in sections:
        section = read_section(path)
        with naming(path):
            labels.append([read_labels(section, level) for level in levels])
    by_level = [draw_labels(of, training_cells, seed=_DRAW) for of in zip(*labels, strict=True)]
    return list(zip(*by_level, strict=True))


def _panel_counts(section: AnnData, vocabulary: Vocabulary, method: str) -> tuple[sp.csr_matrix, np.ndarray]:
    """Give counts (n, T) of the vocabulary's genes, zeros of those that the section lacks, and which it has (T,)."""
    if section.uns["gest"]["x"] != "counts":
        raise UserError(f"{method}: it needs counts, and X of a section is normalised; leave the method out.")
    counts = values(section, method)
    nothing = sp.csr_matrix((section.n_obs, 1), dtype=counts.dtype)
    columns = match_genes(section, vocabulary)  # −1, the last column, where the gene is missing
    return sp.hstack((counts, nothing), format="csc")[:, columns].tocsr(), columns >= 0
