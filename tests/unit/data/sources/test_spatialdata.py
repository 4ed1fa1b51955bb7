"""Read SpatialData objects; skipped if the package `spatialdata` is not installed."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from gest.data.sources.anndata import read
from gest.data.sources.open_file import open_file


def test_spatialdata_is_read_as_the_table_with_its_cells_centroids(sections, tmp_path):
    """The shapes are at twice the scale and in another order; a transformation halves them."""
    spatialdata = pytest.importorskip("spatialdata")
    geopandas = pytest.importorskip("geopandas")
    from shapely import Point
    from spatialdata.models import ShapesModel, TableModel
    from spatialdata.transformations import Scale

    section = sections[0]
    table = ad.AnnData(section.X.copy(), obs=section.obs[["cell_type"]].copy(), var=section.var[[]].copy())
    n = section.n_obs
    table.obs["cell"] = np.arange(n)[::-1]
    table.obs["shapes"] = pd.Categorical(["cells"] * n)
    table = TableModel.parse(table, region="cells", region_key="shapes", instance_key="cell")
    points = [Point(*xy) for xy in section.obsm["spatial"][::-1] * 2]
    frame = geopandas.GeoDataFrame({"radius": np.full(n, 5.0)}, geometry=points)
    shapes = ShapesModel.parse(frame, transformations={"global": Scale([0.5, 0.5], axes=("x", "y"))})
    spatialdata.SpatialData(shapes={"cells": shapes}, tables={"table": table}).write(tmp_path / "mine.zarr")

    read_table = open_file(tmp_path / "mine.zarr")
    np.testing.assert_allclose(read_table.obsm["spatial"], section.obsm["spatial"])
    assert np.array_equal(read_table.X.toarray(), section.X.toarray())
    prepared = read(tmp_path / "mine.zarr", name="mine", labels={"type": "cell_type"})
    assert prepared.obs["type"].astype(str).tolist() == section.obs["cell_type"].astype(str).tolist()
