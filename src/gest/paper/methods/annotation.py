"""Label the cells of test sections by GeST and by the methods it is compared with (section 4.3).

Every method learns from the same cells: the labelled cells of the training sections, or a random sample of them. GeST
stops early on validation sections or, without any, on held-out blocks of the training sections; it also sees unlabelled
cells as context. `fit` writes what a method learnt into a folder; `label` labels a section with it.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from anndata import AnnData

from gest.baselines import registry
from gest.errors import UserError
from gest.model import GeST
from gest.paper.methods.annotation_gest import fit_gest, label_by_gest
from gest.paper.methods.annotation_packaged import fit_packaged, label_by_packaged
from gest.paper.methods.annotation_runs import FittedRun, read_fits, write_fits
from gest.paper.methods.annotation_training import Paths, fit_majority, label_by_majority
from gest.paper.scores.runs import Labelling
from gest.sections import read_section
from gest.tasks.annotation.annotator import POOLS
from gest.tasks.annotation.fine_tuning import Settings
from gest.utils.files import whole_folder
from gest.vocabulary import Vocabulary


def fit(
    method: str,
    sections: Paths,
    levels: Sequence[str],
    *,
    out: str | os.PathLike,
    vocabulary: Vocabulary | None = None,
    models: Sequence[GeST] = (),
    validation: Paths = (),
    seeds: Sequence[int] = (0,),
    pools: Sequence[str] = POOLS,
    training_cells: int | None = None,
    settings: Settings | None = None,
) -> None:
    """Learn the labels of training sections by one method, and write a folder.

    Parameters
    ----------
    method
        Name of an annotation method in the registry.
    sections
        Files of the training sections. One is in memory at a time, besides the cells to learn from.
    levels
        Columns of `obs`, each learnt separately.
    out
        Folder to write.
    vocabulary
        For packaged methods: they learn from those of its genes that all training sections have.
    models
        For `gest`: each model is fine-tuned with every seed and pool.
    validation
        For `gest`: sections for early stopping, instead of a part of the training sections.
    training_cells
        Largest number of cells to learn from; all by default.

    Raises
    ------
    UserError
        The method is unknown, a model or the vocabulary is missing, `levels` is empty, or a section lacks a level. If a
        single run fails, nothing is raised; its status says why.
    """
    entry = registry.method("annotation", method)
    _check_arguments(entry, levels, models=models, vocabulary=vocabulary)
    variants = [replace(settings or Settings(), pool=pool) for pool in pools]
    with whole_folder(out, "fits.json") as folder:
        if entry.environment:
            fits = fit_packaged(
                method, sections, levels, vocabulary, seeds=seeds, training_cells=training_cells, folder=folder
            )
        elif entry.needs_model:
            fits = []
            for model in models:
                fits += fit_gest(
                    method,
                    sections,
                    levels,
                    model,
                    validation=validation,
                    seeds=seeds,
                    variants=variants,
                    training_cells=training_cells,
                    folder=folder,
                )
        else:
            fits = fit_majority(method, sections, levels, training_cells)
        write_fits(method, fits, folder)


def _check_arguments(
    method: registry.Method, levels: Sequence[str], *, models: Sequence[GeST], vocabulary: Vocabulary | None
) -> None:
    """Raise UserError if levels, or the model or vocabulary of a method, are missing."""
    if not levels:
        raise UserError("annotation: no level of labels; list columns of obs under 'labels' in the config.")
    if method.needs_model and not models:
        raise UserError(f"annotation: method '{method.name}' needs a model directory; give one with --model.")
    if method.environment and vocabulary is None:
        raise UserError(f"annotation: method '{method.name}' needs the vocabulary's genes; give it with --vocabulary.")


def label(folder: str | os.PathLike, section: str | os.PathLike, *, device: str = "cpu") -> list[Labelling]:
    """Label the cells of a section by every run that `fit` wrote.

    Returns
    -------
    One labelling per run; its `seconds` include both learning and labelling.

    Raises
    ------
    UserError
        The folder or the section cannot be read.
    """
    folder = Path(folder)
    method, fits = read_fits(folder)
    adata = read_section(section)
    learnt = [fit for fit in fits if fit.status == "ok"]
    labellings = dict(zip(learnt, _label_by_method(method, adata, folder, learnt, device), strict=True))
    return [labellings.get(fit) or fit.fail(fit.status, adata.n_obs) for fit in fits]


def _label_by_method(
    method: str, section: AnnData, folder: Path, fits: Sequence[FittedRun], device: str
) -> Iterator[Labelling]:
    """Label a section by the given runs of one method."""
    entry = registry.method("annotation", method)
    if entry.environment:
        return label_by_packaged(method, section, folder, fits)
    if entry.needs_model:
        return label_by_gest(section, folder, fits, device)
    return label_by_majority(section, fits)
