"""Niche embeddings (section 3.5): what the model makes of a cell and of all cells around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor

from gest.config import Config
from gest.errors import UserError
from gest.model import GeST
from gest.training.batches import padded
from gest.utils.progress import progress
from gest.windows import CORNERS, Grid, Tokens, position_bins, serialize

if TYPE_CHECKING:
    from anndata import AnnData

_BATCH = 16  # niches run together; results do not depend on it


class Niches:
    """The niches of a section's cells: each cell first, then the cells of the window around it, serialised (Eq. 5).

    A niche is a pure function of (seed, cell).

    Parameters
    ----------
    config
        Of the model; its window sets the scale of positions, also where a smaller one is looked at.
    window
        Side of the square around a cell, µm; that of training by default.
    """

    def __init__(self, section: Tokens, config: Config, *, window: float | None = None, seed: int = 0) -> None:
        self.section, self.config, self.seed = section, config, seed
        self.window = config.window if window is None else float(window)
        self.grid = Grid(section.xy, self.window)

    def draw(self, cell: int) -> tuple[np.ndarray, np.ndarray]:
        """Tokens (N,), or expression (N, T), and bins (N, 2) of one niche."""
        xy, order = self.section.xy, self.config.serialisation
        near = self.grid.window(xy[cell], self.window)
        near = near[near != cell]
        rng = np.random.default_rng((self.seed, cell))
        corner = xy[cell] + (CORNERS[rng.integers(4)] - 0.5) * self.window
        serial = serialize(xy[near], corner=corner, order=order.order, sharpness=order.sharpness, rng=rng)
        cells = np.concatenate(([cell], near[serial]))
        scale = {"window": self.config.window, "n_bins": self.config.model.position_bins}
        bins = position_bins(xy[cells], xy[cell], **scale)
        if self.config.model.quantised:
            return self.section.tokens[cells], bins
        return self.section.expression[cells].toarray(), bins

    def batch(self, cells: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens (B, N), or expression (B, N, T), and bins (B, N, 2), padded at the end, and lengths (B,)."""
        return padded([self.draw(int(cell)) for cell in cells], device)

    def by_size(self, cells: np.ndarray, size: int) -> list[np.ndarray]:
        """Split cells (m,) into batches whose niches hold about as many cells, so that little is padded."""
        xy = self.section.xy
        sizes = KDTree(xy).query_ball_point(xy[cells], self.window / 2, p=np.inf, return_length=True)
        ordered = cells[np.argsort(sizes, kind="stable")]
        return [ordered[start : start + size] for start in range(0, len(ordered), size)]


@torch.no_grad()
def embed_tokens(
    model: GeST, section: Tokens, *, window: float | None = None, batch_size: int | None = None, seed: int = 0
) -> np.ndarray:
    """Embed every cell's niche: the output at its position token that sees all N cells (section 3.5).

    Only this token is computed beside the cells' own: no other position token is seen by it.

    Returns
    -------
    (n, D) float32, after the decoder's last norm.
    """
    was_training = model.training
    model.eval()
    niches = Niches(section, model.config, window=window, seed=seed)
    embedding = np.empty((len(section.xy), model.config.model.width), dtype=np.float32)
    bar = progress(len(embedding), "cell", "embedding", leave=False)
    for cells in niches.by_size(np.arange(len(embedding)), batch_size or _BATCH):
        tokens, bins, lengths = niches.batch(cells, model.device)
        hidden = model.context(tokens, bins, lengths, bins[:, :1])  # (B, 1, D)
        embedding[cells] = model.norm(hidden)[:, 0].float().cpu().numpy()
        bar.update(len(cells))
    bar.close()
    model.train(was_training)
    return embedding


def check_window(window: float | None, trained: float) -> None:
    """Raise UserError if niches of this side, µm, are not seen by a model that was trained with windows of that one."""
    if window is not None and not 0 < window <= trained:
        raise UserError(f"embed: the window is {window:g} µm, and must be above 0 and at most the model's {trained:g}.")


def embed(
    adata: AnnData, model: GeST, *, window: float | None = None, batch_size: int | None = None, seed: int = 0
) -> AnnData:
    """Embed the niche of every cell of a section, without any training on it (section 3.5).

    Parameters
    ----------
    adata
        One section: counts in `X`, `obsm["spatial"]` (n, 2) in µm.
    window
        Side of the square around a cell whose cells are looked at, µm: at most that of training, the default.
    batch_size
        Niches run together; changes speed, not results.
    seed
        Of the orders of the cells (Eq. 5).

    Returns
    -------
    `adata` itself, with `obsm["X_gest"]` (n, D); `uns["X_gest"]`: how it was made.

    Raises
    ------
    UserError
        A window or batch size that cannot be, or too few shared genes.
    """
    from gest.data.read_for_model import to_model_input

    trained = model.config.window
    check_window(window, trained)
    if batch_size is not None and batch_size < 1:
        raise UserError(f"embed: the batch size is {batch_size}, and must be at least 1.")
    section = to_model_input(adata, model, empty_cells="their embedding reflects an empty profile")
    adata.obsm["X_gest"] = embed_tokens(model, section, window=window, batch_size=batch_size, seed=seed)
    adata.uns["X_gest"] = {"window": trained if window is None else float(window), "seed": seed}
    return adata
