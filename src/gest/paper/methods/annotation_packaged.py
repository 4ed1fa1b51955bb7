"""Annotate by a packaged method in two steps, fitting and labelling, each in its isolated environment."""

import logging
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from anndata import AnnData

from gest.baselines.packaged import run_packaged
from gest.data.tokenize import match_genes
from gest.errors import UserError
from gest.paper.methods.annotation_runs import FittedRun
from gest.paper.methods.annotation_training import Paths, draw_training_labels, join_labels
from gest.paper.scores.runs import Labelling
from gest.sections import read_matrix, read_section
from gest.vocabulary import Vocabulary

log = logging.getLogger(__name__)


def fit_packaged(
    method: str,
    sections: Paths,
    levels: Sequence[str],
    vocabulary: Vocabulary,
    *,
    seeds: Sequence[int],
    training_cells: int | None,
    folder: Path,
) -> list[FittedRun]:
    """Fit a packaged method to the counts and labels of the training cells.

    All seeds of a level run in one process. The method learns from the genes that all training sections have. If the
    section to label lacks some of them, their counts are set to zero.
    """
    vocabulary.save(folder / "vocabulary.npz")
    drawn = draw_training_labels(sections, levels, training_cells)
    counts: list[list[sp.csr_matrix]] = [[] for _ in levels]
    section_names: list[list[str]] = [[] for _ in levels]
    shared = np.ones(len(vocabulary.genes), dtype=bool)
    for path, labels in zip(sections, drawn, strict=True):
        section = read_section(path)
        panel_counts, present = _panel_counts(section, vocabulary, method)
        shared &= present
        for i in range(len(levels)):
            counts[i].append(panel_counts[labels[i] != ""])
            section_names[i] += [section.obs["section"].iloc[0]] * counts[i][-1].shape[0]
    if not shared.any():
        raise UserError(
            f"{method}: the training sections share none of the {len(shared)} genes; give sections of one panel."
        )
    np.save(folder / "held.npy", shared)
    fits = []
    for i, level in enumerate(levels):
        stacked = sp.vstack(counts[i], format="csr")[:, shared]
        inputs = {
            "data": stacked.data,
            "indices": stacked.indices,
            "indptr": stacked.indptr,
            "labels": join_labels(drawn, i),
            "sections": np.array(section_names[i]),
            "genes": vocabulary.genes[shared].astype(str),
        }
        fits += _fit_level(method, level, folder, str(i), seeds=seeds, inputs=inputs)
    return fits


def _fit_level(
    method: str, level: str, folder: Path, learnt: str, *, seeds: Sequence[int], inputs: dict[str, np.ndarray]
) -> list[FittedRun]:
    """Learn one level of labels with every seed.

    If the method fails, the status of each run says why.
    """
    try:
        output = run_packaged(method, folder=str(folder / learnt), seeds=np.array(seeds), **inputs)
    except UserError as error:
        failure = f"{str(error).removesuffix('.')}; it was given {len(inputs['labels'])} cells."
        return [FittedRun(method=method, level=level, seed=seed, learnt=learnt, status=failure) for seed in seeds]
    return [
        FittedRun(
            method=method,
            level=level,
            seed=seed,
            learnt=learnt,
            seconds=float(seconds),
            peak_mb=float(output["peak_mb"]),
            version=str(output["version"]),
        )
        for seed, seconds in zip(seeds, output["seconds"], strict=True)
    ]


def label_by_packaged(method: str, section: AnnData, folder: Path, fits: Sequence[FittedRun]) -> Iterator[Labelling]:
    """Label a section by every run of a packaged method.

    All runs of a level share one process.
    """
    vocabulary = Vocabulary.load(folder / "vocabulary.npz")
    learnt_genes = np.load(folder / "held.npy")
    counts, present = _panel_counts(section, vocabulary, method)
    if n_missing := int((learnt_genes & ~present).sum()):
        log.warning(
            "%s: %d of the %d genes learnt from are missing in section %s and count as zero there.",
            method,
            n_missing,
            learnt_genes.sum(),
            section.obs["section"].iloc[0],
        )
    counts = counts[:, learnt_genes]
    inputs = {
        "test_data": counts.data,
        "test_indices": counts.indices,
        "test_indptr": counts.indptr,
        "genes": vocabulary.genes[learnt_genes].astype(str),
    }
    for learnt, group in groupby(fits, key=lambda fit: fit.learnt):
        runs = list(group)
        seeds = np.array([run.seed for run in runs])
        try:
            output = run_packaged(method, folder=str(folder / learnt), seeds=seeds, **inputs)
        except UserError as error:
            yield from [run.fail(str(error), section.n_obs) for run in runs]
            continue
        for run, labels, seconds in zip(runs, output["predicted"], output["seconds"], strict=True):
            yield run.label(labels, seconds=float(seconds), peak_mb=float(output["peak_mb"]))


def _panel_counts(section: AnnData, vocabulary: Vocabulary, method: str) -> tuple[sp.csr_matrix, np.ndarray]:
    """Return counts (n, T) of the vocabulary's genes, and which are present (T,).

    The counts of a missing gene are zero.
    """
    if section.uns["gest"]["x"] != "counts":
        raise UserError(f"{method}: needs counts, but X of a section is normalised; leave the method out.")
    counts = read_matrix(section, method)
    zeros = sp.csr_matrix((section.n_obs, 1), dtype=counts.dtype)
    columns = match_genes(section, vocabulary)  # −1 for a missing gene, which selects the column of zeros
    return sp.hstack((counts, zeros), format="csc")[:, columns].tocsr(), columns >= 0
