"""Regions of interest: the cells whose genes are perturbed (section 4.4).

A region is a `Circle`, a `Polygon`, a `Label` or a `Mask`; `cells_of` marks the cells of a section that lie in it.
Lengths and coordinates are in µm. `in_polygon` is the package's only point-in-polygon test.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.path import Path

from gest.errors import UserError
from gest.sections import read_coordinates

_BORDER_UM = 1e-6  # a cell at most this far outside an edge counts as on the border
_MAX_SHOWN = 20  # an error lists at most this many values of a column


@dataclass(frozen=True)
class Circle:
    """The cells at most `radius` µm from (x, y).

    Examples
    --------
    >>> print(Circle(1850, 3300, 100))
    the circle of 100 µm around (1850, 3300)
    """

    x: float
    y: float
    radius: float

    def __str__(self) -> str:
        return f"the circle of {self.radius:g} µm around ({self.x:g}, {self.y:g})"

    def holds(self, adata: AnnData) -> np.ndarray:
        """Mark the cells in the circle: (n,) booleans."""
        if not self.radius > 0:
            raise UserError(f"ROI: the radius is {self.radius:g} µm (expected a value above 0).")
        return np.linalg.norm(read_coordinates(adata, "section") - (self.x, self.y), axis=1) <= self.radius


@dataclass(frozen=True)
class Polygon:
    """The cells in a polygon or on its border; vertices (k, 2) in µm.

    Examples
    --------
    >>> print(Polygon([[0, 0], [90, 0], [0, 90]]))
    the polygon of 3 vertices
    """

    vertices: Sequence[Sequence[float]]

    def __str__(self) -> str:
        return f"the polygon of {len(self.vertices)} vertices"

    def holds(self, adata: AnnData) -> np.ndarray:
        """Mark the cells in the polygon: (n,) booleans."""
        try:
            vertices = np.asarray(self.vertices, dtype=np.float64)
        except (TypeError, ValueError):
            vertices = np.empty(0)
        if vertices.ndim != 2 or vertices.shape[1] != 2 or len(vertices) < 3 or not np.isfinite(vertices).all():
            raise UserError(
                "ROI: a polygon needs three or more vertices [x, y] in µm, such as [[0, 0], [90, 0], [0, 90]]."
            )
        return in_polygon(read_coordinates(adata, "section"), vertices, border=_BORDER_UM)


@dataclass(frozen=True)
class Label:
    """The cells with a certain value in an `obs` column; numbers are compared as text.

    Examples
    --------
    >>> print(Label("layer", "L2/3"))
    obs['layer'] = 'L2/3'
    """

    column: str
    value: str

    def __str__(self) -> str:
        return f"obs['{self.column}'] = '{self.value}'"

    def holds(self, adata: AnnData) -> np.ndarray:
        """Mark the cells with the value: (n,) booleans."""
        column = _column(adata, self.column)
        mask = (column.notna() & (column.astype(str) == str(self.value))).to_numpy()
        if not mask.any():
            values = sorted(map(str, column.dropna().unique()))
            shown = ", ".join(values[:_MAX_SHOWN]) or "no values"
            if len(values) > _MAX_SHOWN:
                shown += f" and {len(values) - _MAX_SHOWN} more"
            raise UserError(f"ROI: no cell has {self}; the column holds {shown}.")
        return mask


@dataclass(frozen=True, eq=False)
class Mask:
    """The cells marked by (n,) booleans, or by the name of a boolean `obs` column.

    Examples
    --------
    >>> print(Mask("lesion"))
    the mask obs['lesion']
    """

    mask: np.ndarray | str

    def __str__(self) -> str:
        return f"the mask obs['{self.mask}']" if isinstance(self.mask, str) else "the mask"

    def holds(self, adata: AnnData) -> np.ndarray:
        """Return the mask, checked: (n,) booleans."""
        mask = np.asarray(_column(adata, self.mask) if isinstance(self.mask, str) else self.mask)
        if mask.dtype != bool or mask.shape != (adata.n_obs,):
            raise UserError(
                f"ROI: {self} has type {mask.dtype} and shape {mask.shape} (expected {adata.n_obs} booleans)."
            )
        return mask


ROI = Circle | Polygon | Label | Mask


def cells_of(adata: AnnData, roi: ROI) -> np.ndarray:
    """Mark the cells of a section that lie in a region of interest: (n,) booleans.

    Raises
    ------
    UserError
        The region contains no cell or is not valid.

    Examples
    --------
    >>> import numpy as np
    >>> from anndata import AnnData
    >>> section = AnnData(np.ones((3, 1)), obsm={"spatial": np.array([[0, 0], [30, 40], [90, 0]])})
    >>> cells_of(section, Circle(0, 0, 50))
    array([ True,  True, False])
    >>> cells_of(section, Polygon([[0, 0], [90, 0], [0, 90]]))
    array([ True,  True,  True])
    """
    mask = roi.holds(adata)
    if not mask.any():
        xy = read_coordinates(adata, "section")
        (x0, y0), (x1, y1) = xy.min(0), xy.max(0)
        raise UserError(
            f"ROI: {roi} holds no cell; the section's cells lie at x {x0:.0f} to {x1:.0f} and y {y0:.0f} to "
            f"{y1:.0f} µm. Move or widen the region."
        )
    return mask


def in_polygon(points: np.ndarray, vertices: np.ndarray | Sequence[Sequence[float]], *, border: float) -> np.ndarray:
    """Mark the points in a polygon or on its border.

    Parameters
    ----------
    points
        (n, 2).
    vertices
        (v, 2) in the units of the points, in either direction around the polygon.
    border
        Points at most this far outside an edge are also marked, to allow for rounding.

    Returns
    -------
    (n,) booleans.

    Examples
    --------
    >>> in_polygon(np.array([[0.5, 0.5], [1.0, 0.5], [1.1, 0.5]]), [[0, 0], [1, 0], [1, 1], [0, 1]], border=1e-9)
    array([ True,  True, False])
    """
    path = Path(vertices)
    # Whether a positive radius widens or narrows a path depends on the direction of its vertices.
    return path.contains_points(points, radius=border) | path.contains_points(points, radius=-border)


def _column(adata: AnnData, name: str) -> pd.Series:
    if name not in adata.obs:
        columns = ", ".join(adata.obs) or "none"
        raise UserError(f"section: obs has no column '{name}' (columns: {columns}).")
    return adata.obs[name]
