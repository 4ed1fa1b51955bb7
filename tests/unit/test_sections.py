"""Sections: cleaning, warnings that report numbers, and what is refused."""

import re
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from gest.errors import UserError
from gest.sections import read_section, validate, write_section


def section(n=6, T=4):
    counts = np.arange(n * T).reshape(n, T) % 5
    obs = pd.DataFrame(
        {"section": "s1", "donor": "m1", "region": ["a", "b", np.nan] * (n // 3)}, index=[f"cell{i}" for i in range(n)]
    )
    xy = np.stack([np.arange(n) * 10.0, np.zeros(n)], axis=1)
    var = pd.DataFrame(index=[f"g{j}" for j in range(T)])
    return ad.AnnData(counts, obs=obs, var=var, obsm={"spatial": xy})


def set_x(adata, value):
    adata.X = adata.X.astype(np.float64)
    adata.X[1, 2] = value


def set_xy(adata, value):
    adata.obsm["spatial"][3, 1] = value


def drop_x(adata):
    adata.X = None


def name_cells_alike(adata):
    adata.obs_names = ["cell0", *adata.obs_names[1:-1], "cell0"]


def name_genes_alike(adata):
    adata.var_names = ["g0", "g0", "g2", "g3"]


def name_no_donor(adata):
    adata.obs["donor"] = None


def name_two_sections(adata):
    adata.obs["section"] = ["s1", "s2"] * 3


def empty_all(adata):
    adata.X[:] = 0


BAD = {
    "no X": (drop_x, "X is missing", "`layer`"),
    "NaN in X": (lambda a: set_x(a, np.nan), "1 values that are NaN or infinite", "`layer`"),
    "infinite X": (lambda a: set_x(a, np.inf), "1 values that are NaN or infinite", "`layer`"),
    "negative X": (lambda a: set_x(a, -2), "goes down to -2", "`layer`"),
    "fractional X": (lambda a: set_x(a, 0.69), "0.69", "declare `x: normalised` in the dataset's config"),
    "unknown x": (lambda a: a.uns.update(gest={"x": "log"}), "x is 'log'", "counts or normalised"),
    "no coordinates": (lambda a: a.obsm.pop("spatial"), "obsm has no 'spatial'", "`spatial_key`"),
    "NaN coordinate": (lambda a: set_xy(a, np.nan), "NaN or infinity for 1 cells", "remove"),
    "infinite coordinate": (lambda a: set_xy(a, -np.inf), "NaN or infinity for 1 cells", "remove"),
    "3D coordinates": (lambda a: a.obsm.update(spatial=np.zeros((6, 3))), "shape (6, 3)", "expected (6, 2)"),
    "cell names": (name_cells_alike, "1 cell names occur more than once (e.g. 'cell0')", "obs_names_make_unique"),
    "gene names": (name_genes_alike, "1 gene names occur more than once (e.g. 'g0')", "var_names_make_unique"),
    "no section": (lambda a: a.obs.pop("section"), "obs has no 'section'", "`section_key`"),
    "no donor": (lambda a: a.obs.pop("donor"), "obs has no 'donor'", "`donor_key`"),
    "no name of a donor": (name_no_donor, "obs['donor'] is missing for 6 cells", "fill it in"),
    "two sections": (name_two_sections, "2 values (e.g. 's1', 's2'; expected one)", "`section_key`"),
    "all empty": (empty_all, "no cell has counts", "`layer`"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.filterwarnings("ignore:.*names are not unique")
def test_bad_input_is_refused_in_one_line(case, tmp_path):
    spoil, problem, remedy = BAD[case]
    adata = section()
    spoil(adata)
    with pytest.raises(UserError) as error:
        validate(adata, name="lab/brain.h5ad")
    message = str(error.value)
    assert message.startswith("lab/brain.h5ad: ")
    assert problem in message
    assert remedy in message
    assert "\n" not in message
    assert not re.search(r"\. [A-Z]", message)
    with pytest.raises(UserError):
        write_section(adata, tmp_path / "s.h5ad")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("rows", "columns"), [(0, 4), (6, 0)])
def test_a_section_without_cells_or_genes_is_refused(rows, columns):
    with pytest.raises(UserError, match=f"{rows} cells and {columns} genes"):
        validate(section()[:rows, :columns], name="s")


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix, sp.csc_matrix, sp.csr_array])
@pytest.mark.parametrize("dtype", [np.int64, np.float64, np.uint8])
def test_any_matrix_becomes_clean_csr_float32_and_the_input_stays(kind, dtype):
    adata = section()
    dense = adata.X.copy()
    adata.X = kind(dense.astype(dtype))
    adata.obsm["spatial"] = adata.obsm["spatial"].astype(np.float32)
    clean = validate(adata, name="s")
    assert isinstance(clean.X, sp.csr_matrix)
    assert clean.X.dtype == np.float32
    assert clean.X.has_canonical_format
    assert clean.X.nnz == np.count_nonzero(dense)
    assert np.array_equal(clean.X.toarray(), dense)
    assert clean.obsm["spatial"].dtype == np.float64
    assert clean.uns["gest"] == {"x": "counts"}
    assert "gest" not in adata.uns
    assert adata.X.dtype == dtype
    assert adata.obsm["spatial"].dtype == np.float32


def test_fractions_are_allowed_where_declared():
    adata = section()
    set_x(adata, 0.69)
    adata.uns["gest"] = {"x": "normalised"}
    assert validate(adata, name="s").X[1, 2] == np.float32(0.69)


def test_empty_cells_are_dropped_and_counted():
    adata = section()
    # The first value is a stored zero, which is not a count.
    adata.X = sp.csr_matrix((np.array([0, 1, 2, 3, 4]), ([0, 1, 2, 3, 5], [0, 1, 2, 3, 0])), shape=(6, 4))
    with pytest.warns(UserWarning, match="dropped 2 of 6 cells"):
        clean = validate(adata, name="s")
    assert list(clean.obs_names) == ["cell1", "cell2", "cell3", "cell5"]
    assert clean.obsm["spatial"][:, 0].tolist() == [10, 20, 30, 50]


def test_cells_at_the_same_position_are_kept_and_counted():
    adata = section()
    adata.obsm["spatial"][[1, 4]] = adata.obsm["spatial"][0]
    with pytest.warns(UserWarning, match="2 of 6 cells lie exactly on another"):
        assert validate(adata, name="s").n_obs == 6


def test_a_valid_section_raises_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        validate(section(), name="s")


def test_write_and_read_give_the_section_back(tmp_path):
    adata = section()
    adata.obs["region"] = pd.Categorical(adata.obs["region"])
    path = tmp_path / "new" / "s.h5ad"
    write_section(adata, path)
    back, clean = read_section(path), validate(adata, name="s")
    assert [file.name for file in path.parent.iterdir()] == ["s.h5ad"]
    assert np.array_equal(back.X.toarray(), clean.X.toarray())
    assert np.array_equal(back.obsm["spatial"], clean.obsm["spatial"])
    assert back.uns["gest"] == clean.uns["gest"]
    assert list(back.obs_names) == list(clean.obs_names)
    assert list(back.var_names) == list(clean.var_names)
    assert back.obs["region"].isna().tolist() == [False, False, True] * 2
    assert back.obs["region"].dropna().tolist() == ["a", "b"] * 2


def test_the_same_section_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_section(section(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "s.h5ad"
    write_section(section(), path)
    before = path.read_bytes()
    unwritable = section()
    unwritable.uns["object"] = object()
    with pytest.raises(Exception, match="object"):
        write_section(unwritable, path)
    assert [file.name for file in tmp_path.iterdir()] == ["s.h5ad"]
    assert path.read_bytes() == before


def test_missing_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"absent\.h5ad: file not found"):
        read_section(tmp_path / "absent.h5ad")
    foreign = tmp_path / "table.h5ad"
    foreign.write_text("gene,count\n")
    with pytest.raises(UserError, match=r"table\.h5ad: not a readable \.h5ad"):
        read_section(foreign)
    whole = tmp_path / "s.h5ad"
    write_section(section(), whole)
    whole.write_bytes(whole.read_bytes()[:3000])
    with pytest.raises(UserError, match=r"s\.h5ad: not a readable \.h5ad"):
        read_section(whole)
