"""The reference windows of one round of generation (A.2): windows around seen cells that hold unseen cells."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from gest.model import GeST
from gest.windows import CORNERS, Grid, position_bins, serialize, stack

_BAND = 128  # windows with similar numbers of seen cells, which are sorted by their numbers of targets


@dataclass(frozen=True, kw_only=True)
class ReferenceWindow:
    """The window around a seen cell, the reference; cells are given by index."""

    origin: np.ndarray
    """(2,) µm, the position of the reference."""
    seen: np.ndarray
    """The seen cells in the window, in serial order."""
    targets: np.ndarray
    """The unseen cells in the window."""


def find_reference_windows(
    model: GeST, grid: Grid, seen: np.ndarray, *, seed: int, round_number: int
) -> list[ReferenceWindow]:
    """Find the windows around seen cells that hold unseen cells (X_s of A.2).

    The seen cells of each window are serialised (Eq. 5).

    Parameters
    ----------
    grid
        Spatial index of the n cells.
    seen
        (n,) booleans.
    round_number
        Number of the round, from 1; the orders differ from round to round.
    """
    side, order = model.config.window, model.config.serialisation
    near_unseen = np.zeros(len(seen), dtype=bool)
    for cell in np.flatnonzero(~seen):  # slightly wider, since rounding decides about cells on the border
        near_unseen[grid.window(grid.xy[cell], 1.001 * side)] = True
    windows = []
    for reference in np.flatnonzero(near_unseen & seen):
        origin = grid.xy[reference]
        cells = grid.window(origin, side)
        context, targets = cells[seen[cells]], cells[~seen[cells]]
        if not len(targets):
            continue
        rng = np.random.default_rng((seed, round_number, reference))  # orders do not depend on batches
        corner = origin + (CORNERS[rng.integers(4)] - 0.5) * side
        sequence = serialize(grid.xy[context], corner=corner, order=order.order, sharpness=order.sharpness, rng=rng)
        windows.append(ReferenceWindow(origin=origin, seen=context[sequence], targets=targets))
    return windows


@torch.no_grad()
def estimate_targets(
    model: GeST, xy: np.ndarray, tokens: np.ndarray, windows: Sequence[ReferenceWindow], *, batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Run the model on windows; yield the targets of each and their estimates.

    Parameters
    ----------
    xy
        (n, 2) µm, of all cells.
    tokens
        (n,) meta cells or, without quantisation, (n, T) expression.

    Yields
    ------
    For each window, its targets (U,) and their estimates: (U, K) probabilities or, without quantisation, (U, T)
    expression.
    """
    window, n_bins, device = model.config.window, model.config.model.position_bins, model.device
    ordered = _sort_by_size(windows)
    model.eval()
    for start in range(0, len(ordered), batch_size):
        batch = ordered[start : start + batch_size]
        seen = stack([tokens[w.seen] for w in batch])
        bins = stack([position_bins(xy[w.seen], w.origin, window=window, n_bins=n_bins) for w in batch])
        n_seen = np.array([len(w.seen) for w in batch])
        target_bins = stack([position_bins(xy[w.targets], w.origin, window=window, n_bins=n_bins) for w in batch])
        arrays = (seen, bins, n_seen, target_bins)
        output = model.predict(*(torch.from_numpy(array).to(device) for array in arrays)).float()
        estimates = output.softmax(-1) if model.quantised else output  # Eq. 8
        for w, estimate in zip(batch, estimates.cpu().numpy(), strict=True):
            yield w.targets, estimate[: len(w.targets)]


def _sort_by_size(windows: Sequence[ReferenceWindow]) -> list[ReferenceWindow]:
    """Sort windows by numbers of seen cells and targets, so that batches pad little."""
    by_length = sorted(windows, key=lambda w: len(w.seen))
    bands = (by_length[start : start + _BAND] for start in range(0, len(by_length), _BAND))
    return [w for band in bands for w in sorted(band, key=lambda w: len(w.targets))]
