"""Write real Visium sections of GEST_REAL_DATA as Space Ranger folders, and read them back."""

import os
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from scipy.spatial import KDTree

from gest.data.sources.visium import read
from gest.testing.visium import write

FOLDER = os.environ.get("GEST_REAL_DATA")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(FOLDER is None, reason="GEST_REAL_DATA is not set to a folder of real sections"),
]
LAYOUTS = [("h5", "tissue_positions_list.csv"), ("mtx", "tissue_positions.csv")]


def round_trip(whole, name, tmp_path, layout):
    """Write and read a section; return its coordinates before and after.

    Both have the same order of spots.
    """
    matrix, positions = layout
    truth = whole[whole.obs["section"] == name].copy()
    write(tmp_path / name, truth, matrix=matrix, positions=positions)
    section = read(tmp_path, name=name, donor=truth.obs["donor"].iloc[0])
    spots = section.obs.reset_index().set_index(["array_row", "array_col"])["index"]
    section = section[spots.loc[list(zip(truth.obs["array_row"], truth.obs["array_col"], strict=True))]]
    assert section.n_obs == truth.n_obs
    assert np.array_equal(section.X.toarray()[:, : truth.n_vars], truth.X.toarray())
    assert list(section.var_names[: truth.n_vars]) == list(truth.var_names)
    # Some ids in the files are the text "<NA>".
    ensembl = truth.var["ensembl"][truth.var["ensembl"].str.startswith("ENSG")]
    assert len(ensembl) > 0.9 * truth.n_vars
    assert section.var["ensembl"][ensembl.index].tolist() == ensembl.tolist()
    assert set(section.obs["donor"]) == set(truth.obs["donor"])
    return truth.obsm["spatial"], section.obsm["spatial"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_liver_tumour_has_the_coordinates_of_its_file(tmp_path, layout):
    whole = ad.read_h5ad(Path(FOLDER) / "visium_hcc1_2000g.h5ad")
    expected, actual = round_trip(whole, "HCC1", tmp_path, layout)
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["151673", "151674"])
def test_the_cortex_has_the_distances_of_its_pixels(tmp_path, layout, name):
    """Distances on the grid equal those in the image, converted from pixels to µm."""
    whole = ad.read_h5ad(Path(FOLDER) / "visium_dlpfc_2slices.h5ad")
    expected, actual = round_trip(whole, name, tmp_path, layout)
    a, b = KDTree(actual).query_pairs(101, output_type="ndarray").T
    assert len(a) > 2.5 * len(actual)
    near = np.linalg.norm(expected[a] - expected[b], axis=1)
    np.testing.assert_allclose(np.linalg.norm(actual[a] - actual[b], axis=1), 100, rtol=1e-12)
    assert np.abs(near / 100 - 1).max() < 0.02
    far = np.random.default_rng(0).integers(0, len(actual), (2, 5000))
    far = far[:, far[0] != far[1]]
    lengths = [np.linalg.norm(xy[far[0]] - xy[far[1]], axis=1) for xy in (actual, expected)]
    assert np.abs(lengths[0] / lengths[1] - 1).max() < 0.02
