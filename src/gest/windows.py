"""Windows of a section: finding their cells, ordering them (Eq. 5), binning their positions (A.3).

All coordinates are in µm; a window is a closed square: cells on its border are in it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gest.errors import UserError

if TYPE_CHECKING:  # this file runs where only numpy is
    from scipy.sparse import csr_matrix

_DRAWS = 1000  # of a window, before giving up
CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float64)
"""The four vertices of the unit square."""


class Tokens(NamedTuple):
    """A section as the model sees it."""

    xy: np.ndarray
    """(n, 2) µm."""
    tokens: np.ndarray
    """(n,) the meta cell standing at each place."""
    expression: "csr_matrix | None" = None
    """(n, T) what a model without quantisation sees in the meta cells' place; it may be memory-mapped."""


class Grid:
    """An index of points by square tiles, to find the cells of a window without looking at all.

    Parameters
    ----------
    xy
        (n, 2) µm.
    tile
        Side of a tile, µm; a window's side is a good choice.
    """

    def __init__(self, xy: np.ndarray, tile: float) -> None:
        self.xy = np.asarray(xy, dtype=np.float64)
        self.tile = float(tile)
        self.origin = self.xy.min(0)
        index = self._tile_of(self.xy)
        self.shape = index.max(0) + 1
        flat = index[:, 0] * self.shape[1] + index[:, 1]
        self.order = np.argsort(flat, kind="stable")
        self.starts = np.searchsorted(flat[self.order], np.arange(self.shape.prod() + 1))

    def _tile_of(self, xy: np.ndarray) -> np.ndarray:
        return np.floor((xy - self.origin) / self.tile).astype(np.int64)

    def window(self, centre: np.ndarray, side: float) -> np.ndarray:
        """Return the sorted indices of the cells in the square of this side around `centre` (2,), µm."""
        low, high = np.asarray(centre) - side / 2, np.asarray(centre) + side / 2
        (i0, j0), (i1, j1) = np.maximum(self._tile_of(low), 0), np.minimum(self._tile_of(high), self.shape - 1)
        if i0 > i1 or j0 > j1:
            return np.empty(0, dtype=np.int64)
        # Tiles of one row are neighbours in the order, so a row is one slice.
        rows = [self.order[self.starts[i * self.shape[1] + j0] : self.starts[i * self.shape[1] + j1 + 1]]
                for i in range(i0, i1 + 1)]  # fmt: skip
        near = np.concatenate(rows)
        xy = self.xy[near]
        inside = (xy >= low) & (xy <= high)
        return np.sort(near[inside[:, 0] & inside[:, 1]])  # `all` over two columns takes twice as long


def serialize(
    xy: np.ndarray, *, corner: np.ndarray, order: str = "ordinal", sharpness: float = 1.0, rng: np.random.Generator
) -> np.ndarray:
    """Order the cells of a window by sampling without replacement, weighted by distance from a corner (Eq. 5).

    The Gumbel trick draws the whole order at once, from the same law as Eq. 5's one-by-one draws: sort
    log w + Gumbel noise.

    Parameters
    ----------
    xy
        (n, 2) µm.
    corner
        (2,) µm, the vertex p of the window.
    order
        `ordinal` (Eq. 5) or `random` (every order alike: the ablation of Table 4).
    sharpness
        Exponent on the weights; 1 is Eq. 5, more comes closer to a path from the far corner to the near one.
    rng
        Where the randomness comes from.

    Returns
    -------
    (n,) a permutation: `xy[result]` is the sequence. Cells that stand on the corner (weight zero) come last.
    """
    n = len(xy)
    if order == "random":
        return rng.permutation(n)
    if order != "ordinal":
        raise ValueError(f"order is '{order}', and must be ordinal or random")
    distance = np.linalg.norm(np.asarray(xy, dtype=np.float64) - np.asarray(corner, dtype=np.float64), axis=1)
    noise = rng.gumbel(size=n)
    with np.errstate(divide="ignore"):
        keys = sharpness * np.log(distance) + noise  # Eq. 5
    keys[distance == 0] = -np.inf
    return np.lexsort((-noise, -keys))


def stack(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Stack rows (n_i, ...) of integers or floats into one array (B, n, ...), padded with zeros at the end.

    n is rounded up to a multiple of 32: the CPU's kernels keep a plan in memory for every new shape they meet.
    """
    n = -(-max(len(row) for row in rows) // 32) * 32
    kind = np.float32 if rows[0].dtype.kind == "f" else np.int64
    stacked = np.zeros((len(rows), n, *rows[0].shape[1:]), dtype=kind)
    for target, row in zip(stacked, rows, strict=True):
        target[: len(row)] = row
    return stacked


def position_bins(xy: np.ndarray, origin: np.ndarray, *, window: float, n_bins: int = 200) -> np.ndarray:
    """Anchor coordinates to integers: the training window around `origin` is stretched over 0..n_bins (A.3).

    Parameters
    ----------
    xy
        (..., 2) µm.
    origin
        (2,) µm, the centre of the window; it falls on n_bins / 2.
    window
        Side of the *training* window, µm, also where a smaller one is looked at: the scale is the model's.

    Returns
    -------
    (..., 2) integers in [0, n_bins]; places outside are moved to the edge.
    """
    scaled = (np.asarray(xy, dtype=np.float64) - origin) * (n_bins / window) + n_bins / 2
    return np.clip(np.floor(scaled + 0.5), 0, n_bins).astype(np.int64)


def thin(xy: np.ndarray, states: np.ndarray, *, window: float, rng: np.random.Generator) -> np.ndarray:
    """Choose cells to keep, so that what kinds of cells there are varies over the window in a way of its own.

    A smooth random field over the window says which states are favoured where; cells are kept with odds exp(3 s), where
    s is the field's product with the cell's state. What stands in one window then tells nothing of another: a model
    has to read it off the cells it sees, instead of learning the training tissue by heart. Not in the paper.

    Parameters
    ----------
    xy
        (n, 2) µm.
    states
        (n, P) the cells' states, about standard normal over all cells.
    window
        Side of the window, µm; the field's correlation length is an eighth of it to once its length.
    rng
        Where the randomness comes from.

    Returns
    -------
    (n,) booleans; all true where fewer than 8 cells would be left.
    """
    P = states.shape[1]
    length = window * np.exp(rng.uniform(np.log(1 / 8), 0))
    waves, phases, heights = rng.normal(0, 1 / length, (2, P)), rng.uniform(0, 2 * np.pi, P), rng.normal(size=P)
    field = heights * np.sqrt(2 / P) * np.cos(xy @ waves + phases)  # (n, P)
    keep = rng.random(len(xy)) < 1 / (1 + np.exp(-3 * (states * field).sum(1)))
    return keep if keep.sum() >= 8 else np.ones(len(xy), dtype=bool)


def crop(
    section: Tokens,
    grid: Grid,
    *,
    window: float,
    n_bins: int,
    order: str,
    sharpness: float,
    rotate: bool,
    states: np.ndarray | None = None,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one training window: a square with at least two cells, serialised (section 3.1).

    With `states` (K, P) of the meta cells the window is thinned (`thin`); with `rotate` it is turned and reflected.

    Returns
    -------
    Indices of cells (N,) and their bins (N, 2), in the order of the sequence.

    Raises
    ------
    UserError
        No window holds two cells: the cells lie too far apart for its size.
    """
    for _ in range(_DRAWS):
        inside = rng.uniform(-0.5, 0.5, 2) * window  # a random cell stands anywhere in the square
        centre = section.xy[rng.integers(len(section.xy))] + inside
        cells = grid.window(centre, window)
        if len(cells) >= 2:
            break
    else:
        raise UserError(
            f"windows: none of {_DRAWS} windows of {window:g} µm held two cells; widen 'window', or check that the "
            "coordinates are in µm."
        )
    xy = section.xy[cells] - centre
    if states is not None:
        kept = thin(xy, states[section.tokens[cells]], window=window, rng=rng)
        cells, xy = cells[kept], xy[kept]
    if rotate:  # one of the eight symmetries of the square: tissue has no up
        xy = xy[:, ::-1] if rng.integers(2) else xy
        xy = xy * (2 * rng.integers(2, size=2) - 1)
    corner = (CORNERS[rng.integers(4)] - 0.5) * window
    sequence = serialize(xy, corner=corner, order=order, sharpness=sharpness, rng=rng)
    bins = position_bins(xy, np.zeros(2), window=window, n_bins=n_bins)
    return cells[sequence], bins[sequence]
