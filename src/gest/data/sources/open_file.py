"""Open a user's file: an ``.h5ad``, or the table of a SpatialData ``.zarr``."""

from pathlib import Path

import anndata as ad

from gest.sections import open_h5ad


def open_file(path: str | Path, *, backed: bool = False) -> ad.AnnData:
    """Open an ``.h5ad``, or the table of a SpatialData ``.zarr``.

    With `backed`, the X of an ``.h5ad`` stays on disk.

    Raises
    ------
    UserError
        The file is missing or has neither format, or it is SpatialData and the package `spatialdata` is not installed.
    """
    if Path(path).suffix == ".zarr":
        from gest.data.sources.spatialdata import read_table

        return read_table(path)
    return open_h5ad(path, backed=backed)
