"""Niches (section 3.5): a cell and all cells of the window around it.

`Niches` draws niches from a section; `run_over_niches` applies a model to the niche of every cell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.spatial import KDTree
from torch import Tensor, nn

from gest.config import Config
from gest.training.batches import pad
from gest.utils.progress import progress
from gest.windows import CORNERS, Grid, Tokens, position_bins, serialize


class Niches:
    """The niches of a section's cells.

    A niche is the cell itself, followed by the other cells of the window around it in a random order (Eq. 5), which is
    a pure function of (seed, cell).

    Parameters
    ----------
    config
        Configuration of the model. Its window sets the scale of positions, also for smaller niches.
    window
        Side of the square around a cell, µm; that of training by default.
    """

    def __init__(self, section: Tokens, config: Config, *, window: float | None = None, seed: int = 0) -> None:
        self.section, self.config, self.seed = section, config, seed
        self.window = config.window if window is None else float(window)
        self.grid = Grid(section.xy, self.window)

    def draw(self, cell: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw one niche: tokens (N,), or expression (N, T), and bins (N, 2)."""
        xy, order = self.section.xy, self.config.serialisation
        neighbours = self.grid.window(xy[cell], self.window)
        neighbours = neighbours[neighbours != cell]
        rng = np.random.default_rng((self.seed, cell))
        corner = xy[cell] + (CORNERS[rng.integers(4)] - 0.5) * self.window
        serial = serialize(xy[neighbours], corner=corner, order=order.order, sharpness=order.sharpness, rng=rng)
        cells = np.concatenate(([cell], neighbours[serial]))
        bins = position_bins(xy[cells], xy[cell], window=self.config.window, n_bins=self.config.model.position_bins)
        if self.config.model.quantised:
            return self.section.tokens[cells], bins
        return self.section.expression[cells].toarray(), bins

    def batch(self, cells: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Draw niches of several cells, padded.

        Returns
        -------
        Tokens (B, N), or expression (B, N, T); bins (B, N, 2); and lengths (B,).
        """
        return pad([self.draw(int(cell)) for cell in cells], device)

    def split_by_size(self, cells: np.ndarray, batch_size: int) -> list[np.ndarray]:
        """Split cells (m,) into batches of niches of similar size, which pad little."""
        xy = self.section.xy
        sizes = KDTree(xy).query_ball_point(xy[cells], self.window / 2, p=np.inf, return_length=True)
        ordered = cells[np.argsort(sizes, kind="stable")]
        return [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]


@torch.no_grad()
def run_over_niches(
    model: nn.Module,
    niches: Niches,
    answer: Callable[[Tensor, Tensor, Tensor], Tensor],
    *,
    width: int,
    batch_size: int,
    activity: str,
) -> np.ndarray:
    """Apply a function to the niches of all cells, in batches of similar size.

    Parameters
    ----------
    model
        The `GeST` or `Annotator` that `answer` uses; it is in evaluation mode while this runs.
    answer
        Maps tokens (B, N), or expression (B, N, T), bins (B, N, 2) and lengths (B,) to (B, width).
    activity
        Label of the progress bar.

    Returns
    -------
    (n, width) float32, in the order of the section's cells.
    """
    was_training = model.training
    model.eval()
    n_cells = len(niches.section.xy)
    answers = np.empty((n_cells, width), dtype=np.float32)
    with progress(n_cells, "cell", activity, leave=False) as bar:
        for cells in niches.split_by_size(np.arange(n_cells), batch_size):
            answers[cells] = answer(*niches.batch(cells, model.device)).float().cpu().numpy()
            bar.update(len(cells))
    model.train(was_training)
    return answers
