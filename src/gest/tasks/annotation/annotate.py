"""Supervised niche annotation: fine-tuning on labelled sections, and labelling others (sections 3.5 and 4.3)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gest.data.read_for_model import to_model_input
from gest.errors import UserError
from gest.model import GeST
from gest.tasks.annotation.annotator import Annotator
from gest.tasks.annotation.fit import Settings, train_annotator
from gest.tasks.annotation.labels import draw_labels, read_labelled
from gest.tasks.embed import Niches
from gest.utils.progress import progress
from gest.windows import Tokens

if TYPE_CHECKING:
    from anndata import AnnData

_BATCH = 64  # niches run together; results do not depend on it


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

    A niche's outputs are pooled into one vector, and a linear layer makes logits of it; the whole model learns. The
    weights kept are those with the lowest loss on held-out cells: those of the sections of `validation`, else those in
    a tenth of square blocks of half a window's side, drawn at random from the training sections such that no class is
    held out wholly. Held-out cells are no targets, but cells near them still see them as context.

    Parameters
    ----------
    train
        One section or several: AnnData with `obsm["spatial"]` in µm, or paths of section files. Cells whose label is
        missing are context alone.
    model
        Where to start from; it is left as it is.
    label
        A column of `obs`.
    pool
        `mean` or `max`.
    validation
        One section or several to hold out in the place of blocks.
    training_cells
        Learn from at most so many cells, drawn at random; from all by default.
    **settings
        See `Settings`.

    Returns
    -------
    An annotator of the labels learnt from, on the model's device.

    Raises
    ------
    UserError
        No column of that name, fewer than two labels, no room for blocks, or a setting that cannot be.
    FloatingPointError
        The loss is not finite.
    """
    from anndata import AnnData

    checked = Settings.of({"pool": pool} | settings)
    groups = ([one] if isinstance(one, AnnData | str | os.PathLike) else one for one in (train, validation))
    training, held_out = ([read_labelled(one, model, [label])[0] for one in group] for group in groups)
    drawn = draw_labels([labels for _, labels in training], training_cells, seed=seed)
    training = [one._replace(labels=labels) for one, labels in zip(training, drawn, strict=True)]
    return train_annotator(training, model, label=label, validation=held_out, settings=checked, seed=seed)


def annotate(test: AnnData, annotator: Annotator, *, batch_size: int | None = None, seed: int = 0) -> AnnData:
    """Predict the label of every cell of a section from its niche (section 4.3).

    Parameters
    ----------
    test
        One section: counts in `X`, `obsm["spatial"]` (n, 2) in µm.
    annotator
        As `fit_annotator` made it, of the label L. Labels that it has not learnt are never predicted.
    batch_size
        Niches run together; changes speed, not results.
    seed
        Of the orders of the cells (Eq. 5).

    Returns
    -------
    `test` itself, with `obs["gest_L"]`: the likeliest label; `obsm["gest_L_prob"]` (n, C): probabilities;
    `uns["gest_L"]`: their C classes, in order, and how it was made.

    Raises
    ------
    UserError
        No annotator, a batch size that cannot be, or too few shared genes.
    """
    import pandas as pd

    if not isinstance(annotator, Annotator):
        raise UserError("annotate: what was given is no annotator; make one of a model with `gest fit-annotator`.")
    if batch_size is not None and batch_size < 1:
        raise UserError(f"annotate: the batch size is {batch_size}, and must be at least 1.")
    section = to_model_input(test, annotator.model)
    probabilities = annotate_tokens(annotator, section, batch_size=batch_size, seed=seed)
    name = f"gest_{annotator.label}"
    test.obs[name] = pd.Categorical.from_codes(probabilities.argmax(1), categories=annotator.classes)
    test.obsm[f"{name}_prob"] = probabilities
    test.uns[name] = {"classes": annotator.classes, "pool": annotator.pool, "seed": seed}
    return test


@torch.no_grad()
def annotate_tokens(
    annotator: Annotator, section: Tokens, *, batch_size: int | None = None, seed: int = 0
) -> np.ndarray:
    """Probabilities (n, C) float32 of every cell's label."""
    was_training = annotator.training
    annotator.eval()
    niches = Niches(section, annotator.model.config, seed=seed)
    probabilities = np.empty((len(section.xy), len(annotator.classes)), dtype=np.float32)
    bar = progress(len(probabilities), "cell", "annotating", leave=False)
    for cells in niches.by_size(np.arange(len(probabilities)), batch_size or _BATCH):
        logits = annotator(*niches.batch(cells, annotator.device))
        probabilities[cells] = logits.float().softmax(-1).cpu().numpy()
        bar.update(len(cells))
    bar.close()
    annotator.train(was_training)
    return probabilities
