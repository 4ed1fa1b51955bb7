"""Labelling the cells of other animals' sections, by the model and by everything it is compared with (section 4.3).

Every method is given the same cells: those of the training sections that have a label, or so many of them, drawn at
random once. The packaged methods learn from them all; where there are no validation sections GeST holds out a tenth of
them to stop early by, and it sees cells without a label as context. `fit` writes what was learnt into a folder, and
`label` labels any section with it.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gest.baselines import registry
from gest.errors import UserError
from gest.model import GeST
from gest.paper.methods.annotation_methods import (
    LABEL,
    PACKAGED,
    Fit,
    Outcome,
    Paths,
    fit_gest,
    fit_majority,
    fit_packaged,
)
from gest.paper.scores.runs import Labelling
from gest.sections import read_section
from gest.tasks.annotation.annotator import POOLS
from gest.tasks.annotation.fine_tuning import Settings
from gest.utils.files import whole_folder
from gest.vocabulary import Vocabulary

METHODS = registry.names("annotation")


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
        One of `METHODS`.
    sections
        Files of the training sections. One is held in memory at a time, but for the cells learnt from.
    levels
        Columns of `obs`, each learnt by itself.
    out
        The folder to write.
    vocabulary
        For the packaged methods, which are given the counts of those of its genes that all training sections hold.
    models
        For `gest`; each is fine-tuned with every seed and pool.
    validation
        For `gest`: sections to stop early by, in the place of a part of the training sections.
    training_cells
        The most cells to learn from; all by default.

    Raises
    ------
    UserError
        An unknown method, one without what it needs, no level, or a section without one. A run that fails is no error:
        why it failed is told in its status.
    """
    registry.method("annotation", method)
    if not levels:
        raise UserError("annotation: no level of labels is named; give a config whose 'labels' name columns of obs.")
    if method == "gest" and not models:
        raise UserError("annotation: the method 'gest' needs a model directory; give one with --model.")
    if method in PACKAGED and vocabulary is None:
        raise UserError(f"annotation: the method '{method}' needs the vocabulary's genes; give it with --vocabulary.")
    variants = [replace(settings or Settings(), pool=pool) for pool in pools]
    with whole_folder(out, "fits.json") as folder:
        if method in PACKAGED:
            vocabulary.save(folder / "vocabulary.npz")
            fits = fit_packaged(method, sections, levels, vocabulary, seeds, training_cells, folder)
        elif method == "majority":
            fits = fit_majority(sections, levels, training_cells)
        else:
            fits = []
            for model in models:
                fits += fit_gest(sections, validation, levels, model, seeds, variants, training_cells, folder)
        about = {"method": method, "fits": [one._asdict() for one in fits]}
        (folder / "fits.json").write_text(json.dumps(about, indent=1) + "\n")


def label(folder: str | os.PathLike, section: str | os.PathLike, *, device: str = "cpu") -> list[Labelling]:
    """Label the cells of a section by every run of what `fit` wrote.

    Returns
    -------
    One labelling per run, whose `seconds` are those to learn and to label together.

    Raises
    ------
    UserError
        The folder or the section cannot be read.
    """
    folder = Path(folder)
    try:
        about = json.loads((folder / "fits.json").read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder}: what was learnt cannot be read ({error}); make it with `gest paper learn-labels`."
        ) from error
    adata, fits = read_section(section), [Fit(**one) for one in about["fits"]]
    done = [one for one in fits if one.status == "ok"]
    outcomes = dict(zip(done, LABEL[about["method"]](adata, folder, done, device), strict=True))
    made = []
    for one in fits:
        found = outcomes.get(one) or Outcome.failed(one.status, adata)
        cost = (one.seconds + found.seconds, max(one.peak_mb, found.peak_mb), one.version, found.status)
        about_run = (one.variant, one.level, one.model_seed, one.seed, found.labels.astype(object), *cost)
        made.append(Labelling(about["method"], *about_run))
    return made
