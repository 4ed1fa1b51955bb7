"""Regions of interest: the cells of a section whose genes are perturbed (section 4.4).

Each is a shape or a rule that says which cells of a section it holds; lengths and places are in µm.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.path import Path

from gest.errors import UserError
from gest.sections import coordinates

_ON_BORDER = 1e-6  # µm; cells on a polygon's border are in it


@dataclass(frozen=True)
class Circle:
    """Cells at most `radius` µm from (x, y)."""

    x: float
    y: float
    radius: float

    def __str__(self) -> str:
        return f"the circle of {self.radius:g} µm around ({self.x:g}, {self.y:g})"

    def holds(self, adata: AnnData) -> np.ndarray:
        """(n,) booleans."""
        if not self.radius > 0:
            raise UserError(f"ROI: the radius is {self.radius:g} µm, and must be above 0.")
        return np.linalg.norm(coordinates(adata, "section") - (self.x, self.y), axis=1) <= self.radius


@dataclass(frozen=True)
class Polygon:
    """Cells in a polygon, or on its border; vertices (k, 2) in µm."""

    vertices: Sequence[Sequence[float]]

    def __str__(self) -> str:
        return f"the polygon of {len(self.vertices)} vertices"

    def holds(self, adata: AnnData) -> np.ndarray:
        """(n,) booleans."""
        try:
            vertices = np.asarray(self.vertices, dtype=np.float64)
        except (TypeError, ValueError):
            vertices = np.empty(0)
        if vertices.ndim != 2 or vertices.shape[1] != 2 or len(vertices) < 3 or not np.isfinite(vertices).all():
            raise UserError(
                "ROI: a polygon is three or more vertices [x, y] in µm, such as [[0, 0], [90, 0], [0, 90]]."
            )
        outline = Path(vertices)
        # The sign of the radius that widens a polygon depends on which way its vertices turn.
        xy = coordinates(adata, "section")
        return outline.contains_points(xy, radius=_ON_BORDER) | outline.contains_points(xy, radius=-_ON_BORDER)


@dataclass(frozen=True)
class Label:
    """Cells whose column of `obs` has a value; numbers are compared as text too."""

    column: str
    value: str

    def __str__(self) -> str:
        return f"obs['{self.column}'] = '{self.value}'"

    def holds(self, adata: AnnData) -> np.ndarray:
        """(n,) booleans."""
        column = _column(adata, self.column)
        mask = (column.notna() & (column.astype(str) == str(self.value))).to_numpy()
        if not mask.any():
            known = sorted(map(str, column.dropna().unique()))
            shown = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
            raise UserError(f"ROI: no cell has {self}; the column holds {shown or 'nothing'}.")
        return mask


@dataclass(frozen=True, eq=False)
class Mask:
    """Cells marked by (n,) booleans, or by the name of a boolean column of `obs`."""

    mask: np.ndarray | str

    def __str__(self) -> str:
        return f"the mask obs['{self.mask}']" if isinstance(self.mask, str) else "the mask"

    def holds(self, adata: AnnData) -> np.ndarray:
        """(n,) booleans."""
        mask = np.asarray(_column(adata, self.mask) if isinstance(self.mask, str) else self.mask)
        if mask.dtype != bool or mask.shape != (adata.n_obs,):
            raise UserError(
                f"ROI: {self} has type {mask.dtype} and shape {mask.shape}, and must hold {adata.n_obs} booleans."
            )
        return mask


ROI = Circle | Polygon | Label | Mask


def cells_of(adata: AnnData, roi: ROI) -> np.ndarray:
    """Say which cells of a section lie in a region of interest: (n,) booleans.

    Raises
    ------
    UserError
        No cell does, or the region is described wrongly.
    """
    mask = roi.holds(adata)
    if not mask.any():
        xy = coordinates(adata, "section")
        (x0, y0), (x1, y1) = xy.min(0), xy.max(0)
        raise UserError(
            f"ROI: {roi} holds no cell of the section, whose cells lie at x {x0:.0f} to {x1:.0f} and y {y0:.0f} to "
            f"{y1:.0f} µm; move or widen it."
        )
    return mask


def _column(adata: AnnData, name: str) -> pd.Series:
    if name not in adata.obs:
        raise UserError(f"section: obs has no column '{name}'; it has {', '.join(adata.obs) or 'none'}.")
    return adata.obs[name]
