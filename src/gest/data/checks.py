"""Check that a section is one section with coordinates in µm, before a model reads it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
from scipy.spatial import KDTree

from gest.errors import UserError
from gest.sections import coordinates

# Neighbouring cells, spots or bins lie this far apart on any platform, in µm.
PLAUSIBLE_SPACING = (1.0, 500.0)


def check_coordinates(adata: ad.AnnData) -> np.ndarray:
    """Check that an AnnData is one section with coordinates in µm, and return them: float64 (n, 2).

    Raises
    ------
    UserError
        There are no cells, coordinates are missing, not finite, in pixels, or so near or far apart that they cannot be
        µm, or ``obs`` says that there are several sections.
    """
    if not adata.n_obs:
        raise UserError("section: there are no cells, where a section has some; look at how they were chosen")
    if "section" in adata.obs and len(names := adata.obs["section"].dropna().unique()) > 1:
        raise UserError(
            f"section: obs['section'] names {len(names)} sections ({names[0]}, {names[1]}, …), whose coordinates have "
            "nothing to do with each other, where one is expected; take one at a time, adata[adata.obs['section'] == "
            f"'{names[0]}'].copy(), or split the file with `gest prepare`"
        )
    check_unit(adata.uns, "section")
    xy = coordinates(adata, "section")
    if told := implausible(xy):
        raise UserError(
            f"section: {told}; multiply obsm['spatial'] by the µm in its unit (1000 if it is mm), or use "
            "`gest prepare --microns-per-unit`"
        )
    return xy


def check_unit(uns: Mapping[str, Any], path: str | Path) -> None:
    """Raise UserError if the file says that its coordinates are pixels: by a word, or as scanpy reads Visium."""
    unit = str(uns.get("spatial_units", ""))
    images = uns.get("spatial")
    visium = isinstance(images, Mapping) and any(
        isinstance(image, Mapping) and "scalefactors" in image for image in images.values()
    )
    if unit.lower().startswith("pixel") or (visium and not unit):
        says = f"uns['spatial_units'] is '{unit}'" if unit else "uns['spatial'] has Visium's scalefactors"
        raise UserError(
            f"{path}: coordinates are in pixels ({says}), where µm are expected; set `microns_per_unit` in the "
            "dataset's config, or `gest prepare --microns-per-unit` (Visium: 100 over the pixels between neighbouring "
            "spots), or multiply them by it and set uns['spatial_units'] to 'um'"
        )


def implausible(xy: np.ndarray) -> str:
    """Say what is wrong with coordinates (n, 2) that cannot be µm, by how far neighbours lie apart; else nothing."""
    if len(xy) < 2:
        return ""
    spacing = float(np.median(KDTree(xy).query(xy, k=2)[0][:, 1]))
    low, high = PLAUSIBLE_SPACING
    if low <= spacing <= high:
        return ""
    return (
        f"the median distance to the nearest neighbour is {spacing:.3g} µm, where {low:g} to {high:g} µm is plausible"
    )
