"""Cut a part out of a section, inside or outside a polygon."""

from collections.abc import Sequence

import numpy as np
from anndata import AnnData

from gest.errors import UserError
from gest.roi import in_polygon


def inside(xy: np.ndarray, polygon: Sequence[Sequence[float]]) -> np.ndarray:
    """Mark the cells at xy (n, 2), µm, that lie in a polygon (v, 2): (n,) booleans.

    The vertices of the polygon are fractions of the extent of the cells.
    """
    fractions = (xy - xy.min(0)) / np.ptp(xy, axis=0)
    return in_polygon(fractions, polygon, border=1e-9)  # the outermost cells lie on the border of the extent


def cut(section: AnnData, *, name: str, polygon: Sequence[Sequence[float]], keep: str, margin_um: float = 0) -> AnnData:
    """Cut a part out of a section and return it as a new section.

    This allows training on one part and testing on another.

    Parameters
    ----------
    section
        The whole section, with `obsm["spatial"]` in µm.
    name
        Name of the new section.
    polygon
        (v, 2) vertices as fractions of the section's extent.
    keep
        Keep the cells "inside" or "outside" the polygon.
    margin_um
        Cells within this distance of a cell of the other part, µm, are left out too.

    Raises
    ------
    UserError
        No cell is left.
    """
    from scipy.spatial import KDTree

    xy = np.asarray(section.obsm["spatial"])
    kept = inside(xy, polygon) == (keep == "inside")
    if margin_um > 0 and kept.any() and not kept.all():
        kept[kept] = KDTree(xy[~kept]).query(xy[kept])[0] > margin_um
    if not kept.any():
        raise UserError(
            f"section '{name}': no cell is left {keep} of its polygon with a margin of {margin_um:g} µm; change "
            "`cut` in the dataset's config"
        )
    part = section[kept].copy()
    part.obs["section"] = name
    return part
