"""Fine-tune a model to label cells by their niches (section 3.5).

`fit_annotator` reads sections; `train_annotator` starts from their tokens and labels. The loop is in `fine_tuning`.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gest.errors import UserError
from gest.model import GeST
from gest.tasks.annotation.annotator import Annotator
from gest.tasks.annotation.fine_tuning import Settings, Targets, fine_tune
from gest.tasks.annotation.labels import LabelledSection, draw_labelled, hold_out_blocks, read_labelled
from gest.utils.settings import read_settings

if TYPE_CHECKING:
    from anndata import AnnData


def fit_annotator(
    train: Sequence[Any] | AnnData | str | os.PathLike,
    model: GeST,
    *,
    label: str,
    pool: str = "mean",
    validation: Sequence[Any] | AnnData | str | os.PathLike = (),
    training_cells: int | None = None,
    seed: int = 0,
    **settings: Any,
) -> Annotator:
    """Fine-tune a model to predict a label of every cell from its niche (section 3.5).

    The outputs of a niche are pooled into one vector, from which a linear layer computes logits; all weights are
    trained. The weights with the lowest loss on held-out cells are kept.

    Held-out cells are those of `validation`. By default, the training sections are divided into square blocks, half a
    window wide, and the cells of a tenth of the blocks are held out. The blocks are drawn at random, but so that no
    class is held out entirely. Held-out cells are no targets, but remain context for cells near them.

    Parameters
    ----------
    train
        One section or several: AnnData with `obsm["spatial"]` in µm, or paths of section files. Cells without a label
        serve only as context.
    model
        The model to start from; it is left unchanged.
    label
        The column of `obs` to predict.
    pool
        How the outputs of a niche are pooled: `mean` or `max`.
    validation
        One held-out section or several, instead of blocks of the training sections.
    training_cells
        Train on at most this many labelled cells, drawn at random; on all by default.
    **settings
        See `gest.tasks.annotation.fine_tuning.Settings`.

    Returns
    -------
    An annotator of the classes in the training sections, on the model's device.

    Raises
    ------
    UserError
        The column is missing or has fewer than two classes, no block can be held out, or a setting is out of range.
    FloatingPointError
        The loss is not finite.

    Examples
    --------
    >>> import gest
    >>> from gest.testing.example import example
    >>> section, model = example()
    >>> annotator = gest.fit_annotator(section, model, label="region", steps=2, batch_size=4)
    >>> annotator.label
    'region'
    """
    checked = read_settings(Settings, {"pool": pool} | settings, "annotation")
    training = [read_labelled(section, model, [label])[0] for section in _as_sequence(train)]
    held_out = [read_labelled(section, model, [label])[0] for section in _as_sequence(validation)]
    training = draw_labelled(training, training_cells, seed=seed)
    return train_annotator(training, model, label=label, validation=held_out, settings=checked, seed=seed)


def train_annotator(
    train: Sequence[LabelledSection],
    model: GeST,
    *,
    label: str,
    validation: Sequence[LabelledSection] = (),
    settings: Settings,
    seed: int = 0,
) -> Annotator:
    """Fine-tune on all labelled cells; see `fit_annotator`."""
    training, held_out = (train, validation) if validation else hold_out_blocks(train, model.config.window / 2, seed)
    classes = np.unique(np.concatenate([section.labels[section.labels != ""] for section in train]))
    if len(classes) < 2:
        actual = f"the single class '{classes[0]}'" if len(classes) else "no labelled cell"
        raise UserError(f"annotation: '{label}' has {actual} (expected at least two classes); give more of the tissue.")
    held_out = [_keep_classes(section, classes) for section in held_out]
    held_out = draw_labelled(held_out, settings.held_out_cells, seed=seed)
    training_targets = Targets(training, classes, model, seed=seed)
    held_out_targets = Targets(held_out, classes, model, seed=seed)
    if not len(held_out_targets.codes):
        raise UserError(
            f"annotation: no held-out cell has one of the {len(classes)} classes of '{label}'; give other sections as "
            "`validation`."
        )
    torch.manual_seed(seed)
    annotator = Annotator(copy.deepcopy(model), classes.tolist(), label=label, pool=settings.pool).to(model.device)
    outcome = fine_tune(annotator, training_targets, held_out_targets, settings, seed=seed)
    annotator.metrics = {
        "seed": seed,
        "training_cells": len(training_targets.codes),
        "held_out_cells": len(held_out_targets.codes),
    } | outcome
    return annotator.eval()


def _as_sequence(sections: Sequence[Any] | AnnData | str | os.PathLike) -> Sequence[Any]:
    """Wrap a single section into a list."""
    from anndata import AnnData

    return [sections] if isinstance(sections, AnnData | str | os.PathLike) else sections


def _keep_classes(section: LabelledSection, classes: np.ndarray) -> LabelledSection:
    """Remove the labels that are not among the classes."""
    return replace(section, labels=np.where(np.isin(section.labels, classes), section.labels, ""))
