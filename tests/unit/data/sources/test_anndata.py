"""Read one section of a user's file: its cells, columns and units, and what is refused."""

import json
import logging
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from gest.data.sources.anndata import read
from gest.errors import UserError

N, T = 60, 5
RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(2, (N, T)) + 1
XY = RNG.random((N, 2)) * 200
SLIDES = np.array(["s1", "s2", "s3"])[np.arange(N) % 3]


@pytest.fixture
def atlas():
    obs = pd.DataFrame(
        {
            "slide": SLIDES,
            "mouse": np.where(SLIDES == "s3", "m2", "m1"),
            "annotation": np.resize(["L1", "", "L2", None], N),
            "cluster": np.resize([7, 8], N),
            "quality": np.resize(["good", "poor", "good", "Ambiguous", "good"], N),
        },
        index=[f"c{i}" for i in range(N)],
    )
    adata = ad.AnnData(sp.csr_matrix(COUNTS), obs=obs, var=pd.DataFrame(index=[f"g{j}" for j in range(T)]))
    adata.obsm["spatial"] = XY
    adata.obsm["pixels"] = XY * 4
    adata.layers["log"] = sp.csr_matrix(np.log1p(COUNTS))
    return adata


@pytest.fixture
def path(atlas, tmp_path):
    atlas.write_h5ad(tmp_path / "atlas.h5ad")
    return tmp_path / "atlas.h5ad"


def rewrite(atlas, path, **uns):
    atlas.uns.update(uns)
    atlas.write_h5ad(path)


@pytest.mark.parametrize("kind", [sp.csr_matrix, sp.csc_matrix, np.asarray])
@pytest.mark.parametrize("layer", [None, "raw counts"])
def test_one_section_of_a_larger_file(atlas, path, kind, layer):
    atlas.X = kind(COUNTS.astype(np.float32))
    if layer:
        atlas.layers[layer] = kind(COUNTS.astype(np.float32))
        atlas.X = kind(np.log1p(COUNTS))
    rewrite(atlas, path)
    section = read(path, name="s2", section_key="slide", donor_key="mouse", layer=layer)
    in_section = SLIDES == "s2"
    assert np.array_equal(section.X.toarray(), COUNTS[in_section])
    assert np.array_equal(section.obsm["spatial"], XY[in_section])
    assert list(section.obs_names) == list(atlas.obs_names[in_section])
    assert list(section.var_names) == list(atlas.var_names)
    assert section.obs["section"].unique().tolist() == ["s2"]
    assert section.obs["donor"].unique().tolist() == ["m1"]


def test_the_whole_file_is_a_section_where_no_key_tells_them_apart(path):
    section = read(path, name="mine")
    assert section.n_obs == N
    assert set(section.obs["section"]) == set(section.obs["donor"]) == {"mine"}
    assert list(section.obs) == ["section", "donor"]


def test_labels_are_text_with_nan_for_what_is_unassigned(path):
    section = read(path, name="all", labels={"region": "annotation", "type": "cluster"})
    expected = np.resize(["L1", None, "L2", None], N)
    assert section.obs["region"].astype(object).where(section.obs["region"].notna(), None).tolist() == expected.tolist()
    assert section.obs["type"].tolist() == np.resize(["7", "8"], N).tolist()


def test_words_that_stand_for_no_label(atlas, path):
    section = read(path, name="all", labels={"quality": "quality"}, unassigned=["Ambiguous", "poor"])
    is_good = atlas.obs["quality"] == "good"
    assert list(section.obs["quality"].cat.categories) == ["good"]
    assert np.array_equal(section.obs["quality"].notna(), is_good)


def test_a_level_without_any_label_can_be_written(atlas, path, tmp_path):
    atlas.obs["annotation"] = ""
    rewrite(atlas, path)
    section = read(path, name="all", labels={"region": "annotation"})
    section.write_h5ad(tmp_path / "out.h5ad")
    assert ad.read_h5ad(tmp_path / "out.h5ad").obs["region"].isna().all()


def test_dropped_cells_are_gone_and_counted(path, caplog):
    with caplog.at_level(logging.INFO, logger="gest"):
        section = read(path, name="s1", section_key="slide", drop={"quality": ["Ambiguous", "poor"], "cluster": ["8"]})
    i = np.arange(N)
    bad = np.isin(i % 5, (1, 3))
    expected = (SLIDES == "s1") & ~bad & (i % 2 == 0)
    assert list(section.obs_names) == [f"c{k}" for k in np.flatnonzero(expected)]
    assert f"dropped {((SLIDES == 's1') & bad).sum()} cells" in caplog.text


def test_dropping_comes_before_the_checks(atlas, path):
    atlas.X = atlas.X.astype(np.float64)
    atlas.X[3] = np.nan
    rewrite(atlas, path)
    with pytest.raises(UserError, match="X holds 5 values that are NaN"):
        read(path, name="all")
    assert read(path, name="all", drop={"quality": ["Ambiguous"]}).n_obs == N * 4 // 5


def test_duplicate_cell_names_matter_within_the_section_alone(atlas, path):
    atlas.obs_names = [f"c{i // 3}" for i in range(N)]
    rewrite(atlas, path)
    with pytest.warns(UserWarning, match="names are not unique"):
        section = read(path, name="s2", section_key="slide")
    assert section.n_obs == N // 3
    with (
        pytest.warns(UserWarning, match="names are not unique"),
        pytest.raises(UserError, match="cell names occur more than once"),
    ):
        read(path, name="all")


def test_coordinates_are_scaled_to_microns(path):
    section = read(path, name="all", spatial_key="pixels", microns_per_unit=0.25)
    np.testing.assert_allclose(section.obsm["spatial"], XY, rtol=1e-15)


VISIUM = {"library": {"scalefactors": {"spot_diameter_fullres": 89.0}, "images": {}}}


@pytest.mark.parametrize(
    "uns", [{"spatial_units": "pixel (scale not given)"}, {"spatial_units": "Pixels"}, {"spatial": VISIUM}]
)
def test_pixels_need_their_size(atlas, path, uns):
    rewrite(atlas, path, **uns)
    with pytest.raises(UserError, match=r"pixels.*set `microns_per_unit`"):
        read(path, name="all")
    assert np.allclose(read(path, name="all", microns_per_unit=0.5).obsm["spatial"], XY / 2)


@pytest.mark.parametrize("uns", [{"spatial_units": "micrometre"}, {"spatial": {"library": {"images": {}}}}])
def test_microns_need_nothing(atlas, path, uns):
    rewrite(atlas, path, **uns)
    assert np.array_equal(read(path, name="all").obsm["spatial"], XY)


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_an_implausible_unit_is_warned_of(path, factor):
    with pytest.warns(UserWarning, match=r"nearest neighbour is .* µm.*`microns_per_unit`"):
        read(path, name="all", microns_per_unit=factor)


def test_a_plausible_unit_is_not_warned_of(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(path, name="all")


def test_log_normalised_values_are_declared(path):
    with pytest.raises(UserError, match="declare `x: normalised`"):
        read(path, name="all", layer="log")
    section = read(path, name="all", layer="log", x="normalised")
    assert section.uns["gest"]["x"] == "normalised"
    np.testing.assert_allclose(section.X.toarray(), np.log1p(COUNTS), rtol=1e-6)


BAD = {
    "section": ({"name": "s9", "section_key": "slide"}, "no section 's9' in obs['slide'] (it has s1, s2, s3"),
    "section_key": ({"section_key": "sample"}, "obs has no 'sample' (it has slide, mouse"),
    "donor_key": ({"donor_key": "animal"}, "obs has no 'animal' (it has slide, mouse"),
    "labels": ({"labels": {"region": "layer"}}, "obs has no 'layer' (it has slide, mouse"),
    "drop": ({"drop": {"flag": [1]}}, "obs has no 'flag' (it has slide, mouse"),
    "drop everything": ({"drop": {"slide": ["s1", "s2", "s3"]}}, "has 0 cells"),
    "layer": ({"layer": "raw"}, "layers has no 'raw' (it has log"),
    "spatial_key": ({"spatial_key": "xy"}, "obsm has no 'xy' (it has "),
    "x": ({"x": "log"}, "x is 'log' (expected counts or normalised)"),
    "microns_per_unit": ({"microns_per_unit": 0}, "microns_per_unit is 0"),
    "not finite": ({"microns_per_unit": float("nan")}, "microns_per_unit is nan"),
    "path": ({"path": "absent.h5ad"}, "absent.h5ad: file not found"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_key_is_refused_with_what_there_is(path, case):
    changes, problem = BAD[case]
    # The workflow passes a dataset's configuration as JSON.
    config = json.loads(json.dumps({"path": str(path), "name": "all"} | changes))
    with pytest.raises(UserError) as error:
        read(**config)
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_without_x_needs_a_layer(atlas, path):
    atlas.layers["counts"] = atlas.X
    atlas.X = None
    rewrite(atlas, path)
    with pytest.raises(UserError, match="X is missing"):
        read(path, name="all")
    assert np.array_equal(read(path, name="all", layer="counts").X.toarray(), COUNTS)


def test_duplicate_genes_are_refused(atlas, path):
    atlas.var_names = ["g0", "g0", "g2", "g3", "g4"]
    rewrite(atlas, path)
    with (
        pytest.warns(UserWarning, match="names are not unique"),
        pytest.raises(UserError, match=r"1 gene names occur more than once \(e\.g\. 'g0'\)"),
    ):
        read(path, name="all")


def test_what_is_no_h5ad_is_refused(tmp_path):
    foreign = tmp_path / "cells.h5ad"
    foreign.write_text("x,y\n")
    with pytest.raises(UserError, match=r"cells\.h5ad: not a readable \.h5ad"):
        read(foreign, name="all")
