"""Niche embeddings (section 3.5): the model's summary of a cell and the cells around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from gest.errors import UserError
from gest.model import GeST
from gest.tasks.checks import check_batch_size
from gest.tasks.niches import Niches, run_over_niches
from gest.windows import Tokens

if TYPE_CHECKING:
    from anndata import AnnData

_BATCH = 16  # niches per batch; results do not depend on it


def embed(
    adata: AnnData, model: GeST, *, window: float | None = None, batch_size: int | None = None, seed: int = 0
) -> AnnData:
    """Embed the niche of every cell of a section, without training (section 3.5).

    Parameters
    ----------
    adata
        One section: counts in `X`, `obsm["spatial"]` (n, 2) in µm.
    window
        Side of the square niche of a cell, µm; at most the window of training, which is the default.
    batch_size
        Niches per batch; changes speed, not results.
    seed
        Seed of the random orders of cells (Eq. 5).

    Returns
    -------
    `adata` itself, with `obsm["X_gest"]` (n, D) and the settings in `uns["X_gest"]`.

    Raises
    ------
    UserError
        The window or the batch size is out of range, or too few genes are shared.

    Examples
    --------
    >>> import gest
    >>> from gest.testing.example import example
    >>> section, model = example()
    >>> gest.embed(section, model).obsm["X_gest"].shape
    (200, 8)
    """
    from gest.data.read_for_model import to_model_input

    trained = model.config.window
    check_window(window, trained)
    check_batch_size(batch_size, "embed")
    section = to_model_input(adata, model, empty_cells="their embedding reflects an empty profile")
    adata.obsm["X_gest"] = embed_tokens(model, section, window=window, batch_size=batch_size, seed=seed)
    adata.uns["X_gest"] = {"window": trained if window is None else float(window), "seed": seed}
    return adata


def check_window(window: float | None, trained: float) -> None:
    """Raise UserError unless a window is above 0 and at most that of training, in µm."""
    if window is not None and not 0 < window <= trained:
        raise UserError(
            f"embed: the window is {window:g} µm (expected above 0 and at most {trained:g} µm, the model's)."
        )


def embed_tokens(
    model: GeST, section: Tokens, *, window: float | None = None, batch_size: int | None = None, seed: int = 0
) -> np.ndarray:
    """Embed the niche of every cell (section 3.5).

    The embedding is the output of the position token that sees all N cells of the niche. Since it sees no other
    position token, only the cell tokens are computed in addition.

    Returns
    -------
    (n, D) float32, after the decoder's last norm.
    """

    def last_output(tokens: Tensor, bins: Tensor, lengths: Tensor) -> Tensor:
        return model.norm(model.context(tokens, bins, lengths, bins[:, :1]))[:, 0]

    niches = Niches(section, model.config, window=window, seed=seed)
    width = model.config.model.width
    return run_over_niches(
        model, niches, last_output, width=width, batch_size=batch_size or _BATCH, activity="embedding"
    )
