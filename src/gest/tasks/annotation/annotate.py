"""Label the cells of a section by their niches, with an annotator (section 4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from gest.data.read_for_model import to_model_input
from gest.tasks.annotation.annotator import Annotator, check_kind
from gest.tasks.checks import check_batch_size
from gest.tasks.niches import Niches, run_over_niches
from gest.windows import Tokens

if TYPE_CHECKING:
    from anndata import AnnData

_BATCH = 64  # niches per batch; results do not depend on it


def annotate(test: AnnData, annotator: Annotator, *, batch_size: int | None = None, seed: int = 0) -> AnnData:
    """Predict the label of every cell of a section from its niche (section 4.3).

    Parameters
    ----------
    test
        One section: counts in `X`, `obsm["spatial"]` (n, 2) in µm.
    annotator
        The annotator of a label L, from `fit_annotator`. Classes that it was not trained on are never predicted.
    batch_size
        Niches per batch; changes speed, not results.
    seed
        Seed of the random orders of cells (Eq. 5).

    Returns
    -------
    `test` itself, with

    - `obs["gest_L"]`: the most probable class of each cell;
    - `obsm["gest_L_prob"]`: (n, C) probabilities of the classes;
    - `uns["gest_L"]`: the C classes in the order of these columns, and the settings.

    Raises
    ------
    UserError
        `annotator` is not an annotator, the batch size is out of range, or too few genes are shared.

    Examples
    --------
    >>> import gest
    >>> from gest.testing.example import example
    >>> section, model = example()
    >>> annotator = gest.fit_annotator(section, model, label="region", steps=2, batch_size=4)
    >>> result = gest.annotate(section, annotator)
    >>> result.obsm["gest_region_prob"].shape == (200, len(annotator.classes))
    True
    >>> set(result.obs["gest_region"]) <= set(annotator.classes)
    True
    """
    import pandas as pd

    check_kind(annotator, Annotator, "annotate")
    check_batch_size(batch_size, "annotate")
    section = to_model_input(test, annotator.model)
    probabilities = annotate_tokens(annotator, section, batch_size=batch_size, seed=seed)
    name = f"gest_{annotator.label}"
    test.obs[name] = pd.Categorical.from_codes(probabilities.argmax(1), categories=annotator.classes)
    test.obsm[f"{name}_prob"] = probabilities
    test.uns[name] = {"classes": annotator.classes, "pool": annotator.pool, "seed": seed}
    return test


def annotate_tokens(
    annotator: Annotator, section: Tokens, *, batch_size: int | None = None, seed: int = 0
) -> np.ndarray:
    """Predict the probabilities of the classes for every cell: (n, C) float32."""

    def probabilities(tokens: Tensor, bins: Tensor, lengths: Tensor) -> Tensor:
        return annotator(tokens, bins, lengths).float().softmax(-1)

    niches = Niches(section, annotator.model.config, seed=seed)
    width = len(annotator.classes)
    return run_over_niches(
        annotator, niches, probabilities, width=width, batch_size=batch_size or _BATCH, activity="annotating"
    )
