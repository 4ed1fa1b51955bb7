"""Read the table of a SpatialData object: cells by genes, with the centroids of the cells' shapes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np

from gest.errors import UserError, first_line

if TYPE_CHECKING:
    from spatialdata import SpatialData


def read_table(path: str | Path) -> ad.AnnData:
    """Read the only table of a SpatialData ``.zarr``.

    If the table has no ``obsm["spatial"]``, it gets the centroids of the shapes or labels that its rows annotate, in
    the coordinate system "global". SpatialData does not state the unit of that system.

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
        sdata = spatialdata.read_zarr(path)
    # The reader may raise any exception for a folder in another format.
    except Exception as error:
        raise UserError(
            f"{path}: cannot be read as SpatialData ({first_line(error)}); write it again with SpatialData.write"
        ) from error
    if len(sdata.tables) != 1:
        names = ", ".join(sdata.tables) or "none"
        raise UserError(
            f"{path}: has {len(sdata.tables)} tables ({names}; expected one); "
            "write the one that counts cells as .h5ad: sdata.tables[NAME].write_h5ad(FILE)"
        )
    (table,) = sdata.tables.values()
    if "spatial" not in table.obsm and "spatialdata_attrs" in table.uns:
        table.obsm["spatial"] = _centroids(sdata, table)
    table.uns.pop("spatialdata_attrs", None)  # it refers to shapes, which are not returned
    return table


def _centroids(sdata: SpatialData, table: ad.AnnData) -> np.ndarray:
    """Find the centroids (n, 2) of the rows' shapes, in the system "global"."""
    import spatialdata

    keys = table.uns["spatialdata_attrs"]
    regions, instances = table.obs[keys["region_key"]], table.obs[keys["instance_key"]]
    xy = np.full((table.n_obs, 2), np.nan)
    for region in regions.unique():
        centroids = spatialdata.get_centroids(sdata[region], coordinate_system="global").compute()
        rows = (regions == region).to_numpy()
        xy[rows] = centroids[["x", "y"]].reindex(instances[rows]).to_numpy()
    return xy
