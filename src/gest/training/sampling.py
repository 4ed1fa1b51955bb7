"""Draw training windows at random: position, thinning, rotation, order (section 3.1)."""

import numpy as np

from gest.config import Config
from gest.errors import UserError
from gest.windows import CORNERS, Grid, Tokens, position_bins, serialize

_MAX_DRAWS = 1000  # attempts to find a window with two cells
_FEWEST_KEPT = 8  # cells that a thinned window must have


def draw_window(
    section: Tokens,
    grid: Grid,
    config: Config,
    *,
    rotate: bool,
    states: np.ndarray | None = None,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one training window: a square with at least two cells, serialised.

    Parameters
    ----------
    grid
        Index of the section's cells.
    rotate
        Whether to rotate the window by a random multiple of 90° and to reflect it at random.
    states
        (K, P) states of the meta cells, by which the window is thinned (`thin`); None: all its cells are kept.

    Returns
    -------
    Indices (N,) and bins (N, 2) of the window's cells, in the order of the sequence.

    Raises
    ------
    UserError
        No window holds two cells: the cells lie too far apart for its size.
    """
    window, order = config.window, config.serialisation
    centre, cells = _draw_place(section, grid, window, rng)
    xy = section.xy[cells] - centre
    if states is not None:
        kept = thin(xy, states[section.tokens[cells]], window=window, rng=rng)
        cells, xy = cells[kept], xy[kept]
    if rotate:  # one of the eight symmetries of the square: tissue has no preferred direction
        xy = xy[:, ::-1] if rng.integers(2) else xy
        xy = xy * (2 * rng.integers(2, size=2) - 1)
    corner = (CORNERS[rng.integers(4)] - 0.5) * window
    sequence = serialize(xy, corner=corner, order=order.order, sharpness=order.sharpness, rng=rng)
    bins = position_bins(xy, np.zeros(2), window=window, n_bins=config.model.position_bins)
    return cells[sequence], bins[sequence]


def _draw_place(section: Tokens, grid: Grid, window: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw the centre (2,) of a window, µm, and find its cells (N,), at least two."""
    for _ in range(_MAX_DRAWS):
        offset = rng.uniform(-0.5, 0.5, 2) * window  # the window holds a random cell, anywhere in its square
        centre = section.xy[rng.integers(len(section.xy))] + offset
        cells = grid.window(centre, window)
        if len(cells) >= 2:
            return centre, cells
    raise UserError(
        f"windows: none of {_MAX_DRAWS} windows of {window:g} µm held two cells. Increase 'window', or check that the "
        "coordinates are in µm."
    )


def thin(xy: np.ndarray, states: np.ndarray, *, window: float, rng: np.random.Generator) -> np.ndarray:
    """Choose cells to keep, so that composition varies independently of the tissue.

    A smooth random field (P values at each position) favours different states in different parts of the window. A cell
    is kept with odds exp(3 s), where s is the scalar product of the field at the cell and the cell's state. The
    composition of one window then says little about that of another: a model has to infer it from the cells it sees,
    and cannot memorise the training tissue. The paper does not do this.

    Parameters
    ----------
    xy
        (n, 2) µm.
    states
        (n, P) the cells' states, with mean 0 and variance 1 over all cells, approximately.
    window
        Side of the window, µm; the correlation length of the field is drawn between an eighth of it and all of it.

    Returns
    -------
    (n,) booleans; all true if fewer than 8 cells would be left.
    """
    P = states.shape[1]
    length = window * np.exp(rng.uniform(np.log(1 / 8), 0))
    waves, phases, heights = rng.normal(0, 1 / length, (2, P)), rng.uniform(0, 2 * np.pi, P), rng.normal(size=P)
    field = heights * np.sqrt(2 / P) * np.cos(xy @ waves + phases)  # (n, P)
    kept = rng.random(len(xy)) < 1 / (1 + np.exp(-3 * (states * field).sum(1)))
    return kept if kept.sum() >= _FEWEST_KEPT else np.ones(len(xy), dtype=bool)
