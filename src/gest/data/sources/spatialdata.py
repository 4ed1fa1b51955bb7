"""Read the table of a SpatialData object: cells by genes, with the centroids of the shapes that its rows annotate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np

from gest.errors import UserError, first_line

if TYPE_CHECKING:
    from spatialdata import SpatialData


def read_table(path: str | Path) -> ad.AnnData:
    """Read the one table of a SpatialData ``.zarr``.

    Where the table has no ``obsm["spatial"]``, it gets the centroids of the shapes or labels that its rows annotate,
    in the coordinate system "global", whose unit SpatialData does not state.

    Raises
    ------
    UserError
        The package `spatialdata` is not installed, the folder is not SpatialData, or it does not hold one table.
    """
    try:
        import spatialdata
    except ImportError as error:
        raise UserError(
            f"{path}: reading SpatialData needs the package spatialdata; install it with "
            "`pip install 'gest[spatialdata]'`, or write the table as .h5ad: sdata.tables[NAME].write_h5ad(FILE)"
        ) from error
    if not Path(path).is_dir():
        raise UserError(f"{path}: folder not found (expected the .zarr of a SpatialData object)")
    try:
        whole = spatialdata.read_zarr(path)
    # A foreign folder can make the reader raise anything.
    except Exception as error:
        raise UserError(
            f"{path}: cannot be read as SpatialData ({first_line(error)}); write it again with SpatialData.write"
        ) from error
    if len(whole.tables) != 1:
        names = ", ".join(whole.tables) or "none"
        raise UserError(
            f"{path}: has {len(whole.tables)} tables ({names}; expected one); "
            "write the one that counts cells as .h5ad: sdata.tables[NAME].write_h5ad(FILE)"
        )
    (table,) = whole.tables.values()
    if "spatial" not in table.obsm and "spatialdata_attrs" in table.uns:
        table.obsm["spatial"] = _centroids(whole, table)
    table.uns.pop("spatialdata_attrs", None)  # it refers to shapes that the table alone lacks
    return table


def _centroids(whole: SpatialData, table: ad.AnnData) -> np.ndarray:
    """Find the centroids (n, 2) of the rows' shapes, in the system "global"."""
    import spatialdata

    keys = table.uns["spatialdata_attrs"]
    regions, instances = table.obs[keys["region_key"]], table.obs[keys["instance_key"]]
    xy = np.full((table.n_obs, 2), np.nan)
    for region in regions.unique():
        centroids = spatialdata.get_centroids(whole[region], coordinate_system="global").compute()
        rows = (regions == region).to_numpy()
        xy[rows] = centroids[["x", "y"]].reindex(instances[rows]).to_numpy()
    return xy
