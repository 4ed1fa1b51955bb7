"""Cut parts out of a section, outlined by polygons in fractions of its extent."""

from collections.abc import Sequence

import numpy as np
from anndata import AnnData

from gest.errors import UserError
from gest.roi import in_polygon


def inside(xy: np.ndarray, polygon: Sequence[Sequence[float]]) -> np.ndarray:
    """Mark the cells at xy (n, 2), µm, that lie in a polygon (v, 2): (n,) booleans.

    The polygon is given in fractions of the cells' extent.
    """
    fractions = (xy - xy.min(0)) / np.ptp(xy, axis=0)
    return in_polygon(fractions, polygon, border=1e-9)  # the outermost cells lie on the border of the extent


def cut(section: AnnData, *, name: str, polygon: Sequence[Sequence[float]], keep: str, margin_um: float = 0) -> AnnData:
    """Cut a section out of another one.

    This allows training on one part and testing on another.

    Parameters
    ----------
    section
        The whole, `obsm["spatial"]` in µm.
    name
        What the part is called.
    polygon
        (v, 2) in fractions of the section's extent.
    keep
        "inside" or "outside" of the polygon.
    margin_um
        Cells this near to a cell of the other part, µm, are left out too.

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
