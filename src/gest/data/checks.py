"""Check that an AnnData is one section with coordinates in µm, before a model reads it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
from scipy.spatial import KDTree

from gest.errors import UserError
from gest.sections import read_coordinates

# Plausible distances between neighbouring cells, spots or bins, in µm, for all platforms.
PLAUSIBLE_SPACING = (1.0, 500.0)


def check_coordinates(adata: ad.AnnData) -> np.ndarray:
    """Check that an AnnData is one section in µm; return coordinates float64 (n, 2).

    Raises
    ------
    UserError
        There are no cells; ``obs`` names several sections; or coordinates are missing, not finite, in pixels, or too
        close together or too far apart to be µm.
    """
    if not adata.n_obs:
        raise UserError("section: there are no cells; check how they were selected")
    if "section" in adata.obs and len(names := adata.obs["section"].dropna().unique()) > 1:
        raise UserError(
            f"section: obs['section'] names {len(names)} sections ({names[0]}, {names[1]}, …; expected one); take one "
            f"at a time, adata[adata.obs['section'] == '{names[0]}'].copy(), or split the file with `gest prepare`"
        )
    check_unit(adata.uns, "section")
    xy = read_coordinates(adata, "section")
    if problem := implausible(xy):
        raise UserError(
            f"section: {problem}; multiply obsm['spatial'] by the µm in its unit (1000 if it is mm), or use "
            "`gest prepare --microns-per-unit`"
        )
    return xy


def check_unit(uns: Mapping[str, Any], path: str | Path) -> None:
    """Raise UserError if a file declares pixels.

    A file does so by ``uns["spatial_units"]`` or, without that key, by Visium's scalefactors in ``uns["spatial"]``.
    """
    unit = str(uns.get("spatial_units", ""))
    images = uns.get("spatial")
    visium = isinstance(images, Mapping) and any(
        isinstance(image, Mapping) and "scalefactors" in image for image in images.values()
    )
    if unit.lower().startswith("pixel") or (visium and not unit):
        reason = f"uns['spatial_units'] is '{unit}'" if unit else "uns['spatial'] has Visium's scalefactors"
        raise UserError(
            f"{path}: coordinates are in pixels ({reason}; expected µm); set `microns_per_unit` in the "
            "dataset's config, or `gest prepare --microns-per-unit` (Visium: 100 divided by the pixels between "
            "neighbouring spots), or multiply them by it and set uns['spatial_units'] to 'um'"
        )


def implausible(xy: np.ndarray) -> str:
    """Describe why coordinates (n, 2) cannot be µm; return "" if they can be.

    The median distance to the nearest neighbour decides.
    """
    if len(xy) < 2:
        return ""
    spacing = float(np.median(KDTree(xy).query(xy, k=2)[0][:, 1]))
    low, high = PLAUSIBLE_SPACING
    if low <= spacing <= high:
        return ""
    return f"the median distance to the nearest neighbour is {spacing:.3g} µm ({low:g} to {high:g} µm is plausible)"
