"""Read real sections of four technologies from the folder GEST_REAL_DATA, as a user's files."""

import os
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from gest.data.sources.anndata import read
from gest.errors import UserError
from gest.sections import read_section, write_section

FOLDER = os.environ.get("GEST_REAL_DATA")
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(FOLDER is None, reason="GEST_REAL_DATA is not set to a folder of real sections"),
]


def path(name):
    return Path(FOLDER) / f"{name}.h5ad"


def check_against_file(section, name, cells):
    """Check that counts and coordinates equal those of the file."""
    whole = ad.read_h5ad(path(name))[section.obs_names]
    assert section.n_obs == cells
    assert np.array_equal(section.X.toarray(), np.asarray(whole.X.todense()))
    assert np.array_equal(section.obsm["spatial"], whole.obsm["spatial"])
    assert list(section.var_names) == list(whole.var_names)


# Numbers of cells of each section: (with a cell type, Ambiguous, Ambiguous without counts).
MERFISH = {
    "A1_bregma_+0.26": (4832, 752, 0),
    "A1_bregma_+0.21": (4787, 791, 2),
    "A1_bregma_-0.29": (5517, 992, 1),
    "A18_bregma_+0.11": (4975, 0, 0),
}


@pytest.mark.parametrize("name", MERFISH)
@pytest.mark.filterwarnings("ignore:.*no counts")
def test_merfish_without_ambiguous_cells(name):
    keys = {"section_key": "section", "donor_key": "donor", "labels": {"cell_type": "cell_type"}}
    typed, ambiguous, empty = MERFISH[name]
    section = read(path("merfish_moffitt_poa"), name=name, drop={"cell_type": ["Ambiguous"]}, **keys)
    check_against_file(section, "merfish_moffitt_poa", typed)
    assert "Ambiguous" not in set(section.obs["cell_type"])
    assert set(section.obs["donor"]) == {"animal_18" if name.startswith("A18") else "animal_1"}
    everything = read(path("merfish_moffitt_poa"), name=name, **keys)
    assert everything.n_obs == typed + ambiguous - empty
    assert (everything.obs["cell_type"] == "Ambiguous").sum() == ambiguous - empty


def test_an_unknown_section_is_answered_with_the_known_ones():
    with pytest.raises(UserError) as error:
        read(path("merfish_moffitt_poa"), name="A2", section_key="section")
    assert all(name in str(error.value) for name in MERFISH)


def test_starmap_is_refused_in_pixels_and_read_in_microns():
    keys = {"name": "BZ5", "section_key": "section", "donor_key": "donor", "labels": {"region": "region"}}
    with pytest.raises(UserError, match=r"pixels.*`microns_per_unit`"):
        read(path("starmap_mpfc"), **keys)
    section = read(path("starmap_mpfc"), microns_per_unit=0.1, **keys)
    assert section.shape == (1049, 166)
    whole = ad.read_h5ad(path("starmap_mpfc"))[section.obs_names]
    np.testing.assert_allclose(section.obsm["spatial"], whole.obsm["spatial"] * 0.1, rtol=1e-12)
    assert set(section.obs["region"]) == {"L1", "L2/3", "L5", "L6"}


@pytest.mark.parametrize(("name", "spots"), [("151673", 3639), ("151674", 3673)])
def test_visium_of_the_cortex(name, spots):
    section = read(
        path("visium_dlpfc_2slices"),
        name=name,
        section_key="section",
        donor_key="donor",
        labels={"region": "region"},
        drop={"region": ["unlabelled"]},
    )
    whole = ad.read_h5ad(path("visium_dlpfc_2slices"))
    unlabelled = ((whole.obs["section"] == name) & (whole.obs["region"] == "unlabelled")).sum()
    check_against_file(section, "visium_dlpfc_2slices", spots - unlabelled)
    assert set(section.obs["region"]) == {"L1", "L2", "L3", "L4", "L5", "L6", "WM"}


def test_visium_of_a_liver_tumour_is_one_section():
    section = read(path("visium_hcc1_2000g"), name="HCC1", donor_key="donor")
    check_against_file(section, "visium_hcc1_2000g", 2983)


def test_empty_cells_of_xenium_are_dropped_and_counted():
    crops = {"crop_pikachu": 9430, "crop_bulbasaur": 8572, "crop_charmander": 8486, "crop_squirtle": 7963}
    empty = 0
    for name, cells in crops.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            section = read(path("xenium_breast_4crops"), name=name, section_key="section", donor_key="donor")
        dropped = cells - section.n_obs
        check_against_file(section, "xenium_breast_4crops", cells - dropped)
        assert section.X.sum(axis=1).min() > 0
        counted = [f"dropped {dropped} of {cells} cells" in str(warning.message) for warning in caught]
        assert sum(counted) == (dropped > 0)
        empty += dropped
    assert empty == 369


def test_a_real_section_is_the_same_after_writing_and_reading(tmp_path):
    section = read(path("merfish_moffitt_poa"), name="A18_bregma_+0.11", section_key="section", donor_key="donor")
    write_section(section, tmp_path / "s.h5ad")
    back = read_section(tmp_path / "s.h5ad")
    assert np.array_equal(back.X.toarray(), section.X.toarray())
    assert np.array_equal(back.obsm["spatial"], section.obsm["spatial"])
