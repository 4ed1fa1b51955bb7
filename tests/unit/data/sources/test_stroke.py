"""Read a section of the stroke study: scaling to µm, splitting the PIA by distance, and what is refused."""

import logging
import re

import h5py
import numpy as np
import pytest
from helpers import refused
from scipy.spatial.distance import cdist

from gest.data.sources.simulate import simulate
from gest.data.sources.stroke import read
from gest.errors import UserError
from gest.testing.stroke import planted, write

NAMES = ("Sham1-1", "PT1-1", "Sham1-2", "PT1-2")


@pytest.fixture(scope="module")
def sections():
    # With a fifth gene, which would be a neighbour gene, injuries would change counts.
    extent = {"width_um": 1600, "height_um": 1500, "n_cells": 4000, "n_genes": 4}
    return {name: simulate(name, donor=name, platform="spots", seed=5, **extent) for name in NAMES}


@pytest.fixture
def path(sections, tmp_path):
    write(tmp_path / "stroke.h5", list(sections.values()))
    return tmp_path / "stroke.h5"


def replace(path, key, change):
    with h5py.File(path, "a") as file:
        value = change(file[key][:])
        del file[key]
        if value is not None:
            file[key] = value


def batches_of(path):
    with h5py.File(path) as file:
        return file["Batch"].asstr()[:]


@pytest.mark.parametrize("name", NAMES)
def test_a_section_comes_back_in_microns(sections, path, name):
    section, truth = read(path, name=name, donor="mouse", proximal_um=150), sections[name]
    assert np.array_equal(section.X.toarray(), truth.X.toarray())
    np.testing.assert_allclose(section.obsm["spatial"], truth.obsm["spatial"], rtol=1e-12)
    assert list(section.var_names) == list(truth.var_names)
    for column, value in (("section", name), ("donor", "mouse"), ("batch", name)):
        assert set(section.obs[column]) == {value}
    other = read(path, name=NAMES[0], proximal_um=150)
    assert set(other.obs["donor"]) == {NAMES[0]}
    assert set(section.obs_names) & set(other.obs_names)


def test_the_factor_is_logged(sections, path, caplog):
    with h5py.File(path) as file:
        unit = file["Pos"][:, batches_of(path) == "PT1-2"][0, 0] / sections["PT1-2"].obsm["spatial"][0, 0]
    with caplog.at_level(logging.INFO):
        read(path, name="PT1-2", proximal_um=150)
    factor = re.search(r"positions times (\S+) are µm", caplog.text)[1]
    assert float(factor) == pytest.approx(1 / unit, rel=1e-5)


@pytest.mark.parametrize("proximal_um", [110, 250, 1e6])
def test_the_peri_infarct_area_is_split_by_distance(sections, path, proximal_um):
    with h5py.File(path) as file:
        labels = file["Celltype_coarse"].asstr()[:][batches_of(path) == "PT1-1"]
    xy = sections["PT1-1"].obsm["spatial"]
    near = cdist(xy, xy[labels == "ICA"]).min(axis=1) <= proximal_um
    expected = [
        ("PIA_P" if close else "PIA_D") if label == "PIA" else label for label, close in zip(labels, near, strict=True)
    ]
    region = read(path, name="PT1-1", proximal_um=proximal_um).obs["region"]
    assert region.tolist() == expected
    assert {"ICA", "PIA_P", "CTX"} <= set(region)
    assert ("PIA_D" in set(region)) == (proximal_um < 1e6)


def test_labels_may_have_other_names_and_be_missing(path):
    other = {b"ICA": b"core", b"PIA": b"rim", b"CTX": b""}
    replace(path, "Celltype_coarse", lambda labels: np.array([other.get(label, label) for label in labels]))
    region = read(path, name="PT1-1", proximal_um=150, infarct="core", periinfarct="rim").obs["region"]
    assert {"core", "rim_P", "rim_D"} <= set(region.cat.categories)
    assert "" not in region.cat.categories
    assert region.isna().any()


def test_without_a_core_the_area_stays_whole(path):
    def change(labels):
        labels[(batches_of(path) == "PT1-1") & (labels == b"ICA")] = b"CTX"
        return labels

    with h5py.File(path) as file:
        labels = change(file["Celltype_coarse"][:]).astype(str)[file["Batch"].asstr()[:] == "PT1-1"]
    replace(path, "Celltype_coarse", change)
    assert read(path, name="PT1-1", proximal_um=150).obs["region"].tolist() == labels.tolist()
    assert "PIA" in labels


def test_batches_may_have_other_names_than_sections(sections, path):
    replace(path, "Batch", lambda batches: np.where(batches == b"PT1-2", b"PT2", batches))
    section = read(path, name="PT1-2", proximal_um=150, batches={"PT1-2": "PT2"})
    assert np.array_equal(section.X.toarray(), sections["PT1-2"].X.toarray())
    assert set(section.obs["section"]) == {"PT1-2"}
    assert set(section.obs["batch"]) == {"PT2"}


def test_rows_of_a_section_need_not_be_contiguous(sections, path):
    shuffled = np.random.default_rng(0).permutation(len(batches_of(path)))
    for key in ("X", "Batch", "Barcode", "Celltype_coarse"):
        replace(path, key, lambda values: values[shuffled])
    replace(path, "Pos", lambda values: values[:, shuffled])
    section = read(path, name="PT1-1", proximal_um=150)
    truth = sections["PT1-1"]
    order, expected = (np.lexsort(adata.obsm["spatial"].round(6).T) for adata in (section, truth))
    np.testing.assert_allclose(section.obsm["spatial"][order], truth.obsm["spatial"][expected], rtol=1e-9)
    assert np.array_equal(section.X.toarray()[order], truth.X.toarray()[expected])


def test_other_sections_are_not_read(sections, path):
    others = batches_of(path) != "PT1-1"
    replace(path, "X", lambda counts: np.where(others[:, None], -1, counts))
    replace(path, "Pos", lambda positions: np.where(others, np.nan, positions))
    assert read(path, name="PT1-1", proximal_um=150).shape == sections["PT1-1"].shape
    with pytest.raises(UserError, match="finite positions"):
        read(path, name="PT1-2", proximal_um=150)


def test_a_repeated_symbol_is_made_unique(path):
    replace(path, "Gene", lambda genes: np.where(genes == b"gene_2", b"gene_1", genes))
    assert list(read(path, name="PT1-1", proximal_um=150).var_names[:2]) == ["gene_1", "gene_1-1"]


def test_the_fixture_has_the_schema_of_the_public_file(sections, path):
    n = {name: section.n_obs for name, section in sections.items()}
    with h5py.File(path) as file:
        shapes = {key: file[key].shape for key in file}
        kinds = {key: file[key].dtype.kind for key in file}
        batches = file["Batch"].asstr()[:]
        flat = file["Pos"][:]
        deep = np.concatenate([file["3D_pos_PT"][:], file["3D_pos_sham"][:]], axis=1)
    total, injured = sum(n.values()), n["PT1-1"] + n["PT1-2"]
    assert shapes == {
        "X": (total, 4),
        "Gene": (4,),
        "Pos": (2, total),
        "3D_pos_PT": (3, injured),
        "3D_pos_sham": (3, total - injured),
        **dict.fromkeys(("Barcode", "Batch", "Celltype_coarse"), (total,)),
    }
    assert {kinds[key] for key in ("Barcode", "Batch", "Celltype_coarse", "Gene")} == {"S"}
    assert kinds["X"] in "iu"
    assert all(batch.startswith("PT") for batch in batches[:injured])
    assert not any(batch.startswith("PT") for batch in batches[injured:])
    assert np.array_equal(deep[:2], flat)


def test_the_fixture_plants_an_injury_and_changes_nothing_else(tmp_path):
    tissue = {"width_um": 1600, "height_um": 1500, "n_cells": 4000, "n_genes": 40, "seed": 5}
    simulated = [simulate(name, donor=name, platform="spots", **tissue) for name in NAMES]
    write(tmp_path / "stroke.h5", simulated)
    change, kind = planted(simulated), simulated[0].var["kind"]
    assert set(kind[change["core"].isin(["High", "Low"])]) == {"marker"}
    assert set(kind[change["around"].isin(["High", "Low"])]) == {"neighbour"}
    assert set(kind[change["around"] == "n.s."]) == {"null", "gradient"}
    types = simulated[0].var["cell_type"]
    for call in ("High", "Low"):  # marker genes in the core and neighbour genes around it are those of the same types
        assert set(types[change["core"] == call]) == set(types[change["around"] == call]) != set()
    for truth in simulated:
        section = read(tmp_path / "stroke.h5", name=truth.obs["section"].iloc[0], proximal_um=1e6)
        before, after, region = truth.X.toarray(), section.X.toarray(), section.obs["region"].to_numpy()
        expected = np.zeros(before.shape, dtype=bool)
        for label, column in (("ICA", "core"), ("PIA_P", "around")):
            raised, lowered = (np.ix_(region == label, change[column] == call) for call in ("High", "Low"))
            assert np.array_equal(after[raised], 4 * before[raised])
            assert (after[lowered] <= before[lowered]).all()
            if (region == label).any():
                assert after[lowered].sum() / before[lowered].sum() == pytest.approx(1 / 4, abs=0.05)
            expected[raised] = expected[lowered] = True
        assert np.array_equal(after[~expected], before[~expected])


def test_the_fixture_is_the_same_to_the_byte_for_one_seed(sections, tmp_path):
    content = []
    for number, seed in enumerate((0, 0, 1)):
        write(tmp_path / f"{number}.h5", list(sections.values()), seed=seed)
        content.append((tmp_path / f"{number}.h5").read_bytes())
    assert content[0] == content[1] != content[2]


def test_the_fixture_needs_one_panel_of_genes(sections, tmp_path):
    with pytest.raises(UserError, match="genes differ"):
        write(tmp_path / "s.h5", [sections["PT1-1"], sections["PT1-2"][:, :3]])


def refused_read(path, *parts, name="PT1-1", proximal_um=150):
    refused(lambda: read(path, name=name, proximal_um=proximal_um), *parts)


def test_a_missing_file(tmp_path):
    refused_read(tmp_path / "none.h5", "none.h5: file not found")


@pytest.mark.parametrize("keep", [0, 100, 0.5])
def test_a_file_cut_short(path, keep):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep if keep >= 1 else keep * len(whole))])
    refused_read(path, "cannot be read", "fetch the file again")


@pytest.mark.parametrize("key", ["X", "Gene", "Barcode", "Batch", "Celltype_coarse", "Pos"])
def test_a_missing_key(path, key):
    replace(path, key, lambda values: None)
    refused_read(path, f"no {key} (it has 3D_pos_PT", "expected X, Gene")


@pytest.mark.parametrize("key", ["X", "Pos"])
def test_a_table_that_is_transposed(path, key):
    replace(path, key, np.transpose)
    refused_read(path, f"{key} has shape", "expected")


@pytest.mark.parametrize("key", ["Barcode", "Celltype_coarse"])
def test_a_column_of_another_length(path, key):
    replace(path, key, lambda values: values[:-1])
    refused_read(path, f"{key} has shape", "expected")


def test_labels_that_are_numbers(path):
    replace(path, "Celltype_coarse", lambda labels: np.arange(len(labels)))
    refused_read(path, "cannot be read", "byte strings")


def test_an_unknown_batch_is_refused_with_the_known_ones(path):
    refused_read(path, "no batch 'PT9' for section 'PT9'", "PT1-1, PT1-2, Sham1-1, Sham1-2", name="PT9")


def test_a_batch_of_two_sections(path, sections):
    replace(path, "Batch", lambda batches: np.where(batches == b"PT1-2", b"PT1-1", batches))
    repeated = min(sections["PT1-1"].n_obs, sections["PT1-2"].n_obs)
    refused_read(path, f"{repeated} barcodes of batch 'PT1-1' occur again", "one section")


def test_spots_at_one_position(path):
    replace(path, "Pos", np.zeros_like)
    refused_read(path, "the distance between neighbours", "is undefined")


@pytest.mark.parametrize("proximal_um", [0, -1, float("nan")])
def test_a_distance_out_of_range(path, proximal_um):
    refused_read(path, f"proximal_um is {proximal_um}", "above 0", proximal_um=proximal_um)
