"""Read Space Ranger's folders: both formats of the matrix and of the positions, and what is refused."""

import gzip

import h5py
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from helpers import refused
from scipy.spatial.distance import pdist

from gest.data.sources.simulate import simulate
from gest.data.sources.visium import read
from gest.errors import UserError
from gest.testing.visium import write

LIST, TABLE = "tissue_positions_list.csv", "tissue_positions.csv"


@pytest.fixture(scope="module")
def truth():
    return simulate("HCC-1L", donor="HCC-1", platform="spots", n_genes=8, n_cells=3000, width_um=1500, seed=2)


@pytest.fixture
def folder(truth, tmp_path):
    write(tmp_path / "HCC-1L", truth)
    return tmp_path


def by_position(section):
    """Return the order of the spots by row of the grid, then within the row."""
    x, y = section.obsm["spatial"].T
    return np.lexsort([x.round(3), y.round(3)])


@pytest.mark.parametrize("matrix", ["h5", "mtx"])
@pytest.mark.parametrize("positions", [LIST, TABLE])
def test_every_layout_gives_the_simulated_section(truth, matrix, positions, tmp_path):
    write(tmp_path / "HCC-1L", truth, matrix=matrix, positions=positions)
    section = read(tmp_path, name="HCC-1L", donor="HCC-1")
    order, expected = by_position(section), by_position(truth)
    counts = truth.X.toarray()[expected]
    assert np.array_equal(section.X.toarray()[order], np.column_stack([counts, counts[:, -1]]))
    np.testing.assert_allclose(pdist(section.obsm["spatial"][order]), pdist(truth.obsm["spatial"][expected]))
    assert list(section.var_names) == [*truth.var_names, "gene_1-1"]
    assert section.var["ensembl"].is_unique
    assert section.var["ensembl"].str.fullmatch(r"ENSG\d{11}").all()
    assert section.obs_names.str.fullmatch("[ACGT]{16}-1").all()
    assert set(section.obs["section"]) == {"HCC-1L"}
    assert set(section.obs["donor"]) == {"HCC-1"}


@pytest.fixture
def tiny(tmp_path):
    """Write four spots, the second not in tissue, and three features: two genes of one symbol and an antibody."""
    matrix = tmp_path / "s" / "filtered_feature_bc_matrix"
    matrix.mkdir(parents=True)
    (tmp_path / "s" / "spatial").mkdir()
    texts = {
        "barcodes.tsv": "T-1\nA-1\nG-1\nC-1\n",
        "features.tsv": "ENSG1\tTBCE\tGene Expression\nENSG2\tTBCE\tGene Expression\nCD3\tCD3\tAntibody Capture\n",
        "matrix.mtx": "%%MatrixMarket matrix coordinate integer general\n3 4 6\n"
        "1 1 5\n2 1 6\n3 1 90\n1 2 9\n2 3 7\n1 4 8\n",
    }
    for name, text in texts.items():
        (matrix / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "s" / "spatial" / LIST).write_text("A-1,0,4,4,1,1\nC-1,1,1,3,1,1\nG-1,1,0,2,1,1\nT-1,1,0,0,1,1\n")
    return tmp_path


def test_spots_by_hand(tiny):
    section = read(tiny, name="s")
    assert list(section.obs_names) == ["T-1", "G-1", "C-1"]
    assert section.X.toarray().tolist() == [[5, 6], [0, 7], [8, 0]]
    np.testing.assert_allclose(section.obsm["spatial"], [[0, 0], [100, 0], [150, 50 * 3**0.5]])
    assert list(section.var_names) == ["TBCE", "TBCE-1"]
    assert list(section.var["ensembl"]) == ["ENSG1", "ENSG2"]
    assert section.obs[["array_row", "array_col"]].to_numpy().tolist() == [[0, 0], [0, 2], [1, 3]]
    assert set(section.obs["donor"]) == {"s"}


def test_other_features_are_left_out_of_an_h5_too(folder, truth):
    with h5py.File(folder / "HCC-1L" / "filtered_feature_bc_matrix.h5", "a") as file:
        kinds = file["matrix/features/feature_type"]
        types = kinds[:].astype("S20")
        types[3] = b"Antibody Capture"
        del file["matrix/features/feature_type"]
        file["matrix/features/feature_type"] = types
    assert list(read(folder, name="HCC-1L").var_names) == [*truth.var_names.delete(3), "gene_1-1"]


def test_the_path_may_be_the_folder_of_the_sample(folder):
    inner, outer = read(folder / "HCC-1L", name="HCC-1L"), read(folder, name="HCC-1L")
    assert np.array_equal(inner.X.toarray(), outer.X.toarray())


def test_the_fixture_has_space_rangers_schema(folder, truth, tmp_path):
    plain = sc.read_10x_h5(folder / "HCC-1L" / "filtered_feature_bc_matrix.h5")
    assert plain.shape == (truth.n_obs, truth.n_vars + 1)
    assert plain.var_names.duplicated().sum() == 1
    assert list(plain.obs_names) == sorted(plain.obs_names)
    with h5py.File(folder / "HCC-1L" / "filtered_feature_bc_matrix.h5") as file:
        assert set(file["matrix"]) == {"barcodes", "data", "indices", "indptr", "shape", "features"}
        assert {"id", "name", "feature_type", "genome"} <= set(file["matrix/features"])
        assert file["matrix/shape"][:].tolist() == [truth.n_vars + 1, truth.n_obs]
    table = pd.read_csv(folder / "HCC-1L" / "spatial" / LIST, header=None)
    assert table.shape[1] == 6
    assert set(table[0][table[1] == 1]) == set(plain.obs_names)
    assert (table[1] == 0).sum() > 10
    assert ((table[2] + table[3]) % 2 == 0).all()
    assert not table[[2, 3]].duplicated().any()
    other = simulate("HCC-1N", donor="HCC-1", platform="spots", n_genes=8)
    write(tmp_path / "HCC-1N", other)
    assert set(read(tmp_path, name="HCC-1N").obs_names) & set(plain.obs_names)


@pytest.mark.parametrize("matrix", ["h5", "mtx"])
def test_the_fixture_is_the_same_to_the_byte(truth, matrix, tmp_path):
    content = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        write(folder, truth, matrix=matrix)
        content.append({p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()})
    assert content[0] == content[1]


def test_the_fixture_needs_spots_on_the_grid(tmp_path):
    with pytest.raises(UserError, match="off the hexagonal grid"):
        write(tmp_path, simulate("s", donor="d", n_cells=50))


def positions_file(folder):
    return folder / "HCC-1L" / "spatial" / LIST


def rewrite(folder, change, **how):
    table = change(pd.read_csv(positions_file(folder), header=None, dtype=str))
    table.to_csv(positions_file(folder), **{"header": False, "index": False} | how)


def in_tissue(table):
    return table.index[table[1] == "1"]


def refused_read(folder, *parts):
    refused(lambda: read(folder, name="HCC-1L"), *parts)


def test_a_missing_sample(tmp_path):
    refused_read(tmp_path, "HCC-1L: neither", "filtered_feature_bc_matrix.h5", "place it there")


def test_missing_positions(folder):
    positions_file(folder).unlink()
    refused_read(folder, "HCC-1L: neither spatial/tissue_positions.csv nor spatial/tissue_positions_list.csv")


def test_an_h5_cut_short(folder):
    file = folder / "HCC-1L" / "filtered_feature_bc_matrix.h5"
    file.write_bytes(file.read_bytes()[:3000])
    refused_read(folder, "matrix.h5: not a readable matrix of Space Ranger", "truncated", "fetch")


def test_an_h5_without_its_features(folder):
    with h5py.File(folder / "HCC-1L" / "filtered_feature_bc_matrix.h5", "a") as file:
        del file["matrix/features/id"]
    refused_read(folder, "matrix.h5: not a readable matrix of Space Ranger", "missing")


@pytest.mark.parametrize("name", ["matrix.mtx.gz", "barcodes.tsv.gz", "features.tsv.gz"])
@pytest.mark.parametrize("keep", [0, 0.6])
def test_an_mtx_folder_cut_short_or_without_a_file(truth, name, keep, tmp_path):
    write(tmp_path / "HCC-1L", truth, matrix="mtx")
    file = tmp_path / "HCC-1L" / "filtered_feature_bc_matrix" / name
    if keep:
        file.write_bytes(file.read_bytes()[: int(keep * file.stat().st_size)])
    else:
        file.unlink()
    refused_read(tmp_path, "filtered_feature_bc_matrix: not a readable matrix of Space Ranger", "fetch")


def test_spots_without_a_position_are_counted(folder, truth):
    rewrite(folder, lambda table: table.drop(in_tissue(table)[:3]))
    refused_read(folder, f"3 of {truth.n_obs} barcodes of the matrix", "have no position")


def test_barcodes_without_any_match(folder, truth):
    rewrite(folder, lambda table: table.assign(**{"0": table[0].str.removesuffix("-1")})[["0", 1, 2, 3, 4, 5]])
    refused_read(folder, f"{truth.n_obs} of {truth.n_obs} barcodes of the matrix", "have no position")


def test_a_barcode_with_two_positions(folder):
    rewrite(folder, lambda table: pd.concat([table, table[:2]]))
    refused_read(folder, "2 barcodes occur again")


def test_a_header_without_a_column(folder):
    names = ["barcode", "in_tissue", "array_row", "col", "pxl_row_in_fullres", "pxl_col_in_fullres"]
    rewrite(folder, lambda table: table.set_axis(names, axis=1), header=True)
    refused_read(folder, "no column array_col", "a header with barcode, in_tissue, array_row, array_col")


def test_too_few_columns_without_a_header(folder):
    rewrite(folder, lambda table: table[[0, 1, 2, 3, 4]])
    refused_read(folder, "no column barcode, in_tissue, array_row, array_col in its 5 columns")


@pytest.mark.parametrize("value", ["left", "1.5", "inf", ""])
def test_a_position_that_is_not_an_integer(folder, value):
    def change(table):
        table.loc[7, 3] = value
        return table

    rewrite(folder, change)
    refused_read(folder, "1 rows", "lack an integer in in_tissue, array_row, array_col")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\x81", b"a,1,0,0,1,1\nb,1,0,2,1,1,9\n"])
def test_positions_that_are_not_a_table(folder, content):
    positions_file(folder).write_bytes(content)
    refused_read(folder, "not a table of positions", "fetch Space Ranger's file again")


def test_no_spot_in_tissue(folder, truth):
    rewrite(folder, lambda table: table.assign(**{"1": "0"})[[0, "1", 2, 3, 4, 5]])
    refused_read(folder, f"none of the {truth.n_obs} spots has in_tissue = 1")
