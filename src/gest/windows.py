"""Windows of a section: their cells, order (Eq. 5) and position bins (A.3).

`Grid` finds the cells of a window, `serialize` draws their order, and `position_bins` maps their coordinates to
integers. All coordinates are in µm. A window is a closed square: cells on its border belong to it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:  # this module must work with NumPy alone
    from scipy.sparse import csr_matrix

CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float64)
"""The four vertices of the unit square."""
_LENGTH_MULTIPLE = 32  # padded lengths are multiples of this, since CPU kernels keep a plan for every new shape


class Tokens(NamedTuple):
    """The input of the model from one section of n cells."""

    xy: np.ndarray
    """(n, 2) µm."""
    tokens: np.ndarray
    """(n,) the meta cell of every cell."""
    expression: "csr_matrix | None" = None
    """(n, T) expression, the input of a model without quantisation; it may be memory-mapped."""


class Grid:
    """An index of cells by square tiles, which finds the cells of a window quickly.

    Parameters
    ----------
    xy
        (n, 2) µm.
    tile
        Side of a tile, µm; the side of a window is a good choice.

    Examples
    --------
    >>> grid = Grid(np.array([[0, 0], [30, 40], [90, 0]]), tile=100)
    >>> grid.window(np.array([50, 50]), side=100)
    array([0, 1, 2])
    >>> grid.window(np.array([30, 40]), side=10)
    array([1])
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
        """Return the sorted indices of the cells in a square around `centre` (2,), µm."""
        low, high = np.asarray(centre) - side / 2, np.asarray(centre) + side / 2
        (i0, j0), (i1, j1) = np.maximum(self._tile_of(low), 0), np.minimum(self._tile_of(high), self.shape - 1)
        if i0 > i1 or j0 > j1:
            return np.empty(0, dtype=np.int64)
        # The tiles of one row are contiguous in `order`, so a row is one slice.
        rows = []
        for i in range(i0, i1 + 1):
            first, last = i * self.shape[1] + j0, i * self.shape[1] + j1
            rows.append(self.order[self.starts[first] : self.starts[last + 1]])
        near = np.concatenate(rows)
        xy = self.xy[near]
        inside = (xy >= low) & (xy <= high)
        return np.sort(near[inside[:, 0] & inside[:, 1]])  # twice as fast as `all` over two columns


def serialize(
    xy: np.ndarray, *, corner: np.ndarray, order: str = "ordinal", sharpness: float = 1.0, rng: np.random.Generator
) -> np.ndarray:
    """Draw an order of a window's cells, weighted by distance from a corner (Eq. 5).

    Eq. 5 draws cell by cell without replacement. Here the Gumbel trick draws the whole order at once, from the same
    distribution: cells are sorted by log weight + Gumbel noise.

    Parameters
    ----------
    xy
        (n, 2) µm.
    corner
        (2,) µm, the vertex p of the window.
    order
        `ordinal` (Eq. 5) or `random` (all orders equally likely: the ablation of Table 4).
    sharpness
        Exponent on the weights; 1 is Eq. 5. The larger it is, the closer the order is to farthest cell first.
    rng
        Source of the randomness.

    Returns
    -------
    (n,) a permutation: `xy[result]` is the sequence. Cells exactly on the corner have weight zero and come last.

    Examples
    --------
    >>> xy = np.array([[0, 0], [300, 300], [600, 600]])
    >>> serialize(xy, corner=np.array([0, 0]), sharpness=50, rng=np.random.default_rng(0))
    array([2, 1, 0])
    """
    n = len(xy)
    if order == "random":
        return rng.permutation(n)
    if order != "ordinal":
        raise ValueError(f"order: unknown value '{order}' (choose ordinal or random)")
    distance = np.linalg.norm(np.asarray(xy, dtype=np.float64) - np.asarray(corner, dtype=np.float64), axis=1)
    noise = rng.gumbel(size=n)
    with np.errstate(divide="ignore"):
        keys = sharpness * np.log(distance) + noise  # Eq. 5
    keys[distance == 0] = -np.inf
    return np.lexsort((-noise, -keys))


def position_bins(xy: np.ndarray, origin: np.ndarray, *, window: float, n_bins: int = 200) -> np.ndarray:
    """Map coordinates to integer bins (A.3).

    The side of the training window around `origin` is mapped linearly to 0..n_bins.

    Parameters
    ----------
    xy
        (..., 2) µm.
    origin
        (2,) µm, the centre of the window; its bin is n_bins / 2.
    window
        Side of the *training* window, µm. It sets the model's scale, also where a smaller window is used.

    Returns
    -------
    (..., 2) integers in [0, n_bins]; points outside are clipped.

    Examples
    --------
    >>> position_bins(np.array([[-300, -300], [0, 0], [300, 150]]), np.array([0, 0]), window=600)
    array([[  0,   0],
           [100, 100],
           [200, 150]])
    """
    scaled = (np.asarray(xy, dtype=np.float64) - origin) * (n_bins / window) + n_bins / 2
    return np.clip(np.floor(scaled + 0.5), 0, n_bins).astype(np.int64)


def stack(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Stack B arrays (n_i, ...) into one (B, n, ...), padded with zeros.

    n is the longest n_i, rounded up to a multiple of 32.
    """
    longest = max(len(row) for row in rows)
    n = -(-longest // _LENGTH_MULTIPLE) * _LENGTH_MULTIPLE
    dtype = np.float32 if rows[0].dtype.kind == "f" else np.int64
    stacked = np.zeros((len(rows), n, *rows[0].shape[1:]), dtype=dtype)
    for padded, row in zip(stacked, rows, strict=True):
        padded[: len(row)] = row
    return stacked
