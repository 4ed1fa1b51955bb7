"""Read Stereo-seq sections: square bins, alternative names of columns, and what is refused."""

import gzip

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from helpers import refused
from scipy.spatial import KDTree

from gest.data.sources import stereo_seq
from gest.data.sources.simulate import simulate
from gest.data.sources.stereo_seq import read
from gest.testing.stereo_seq import write

SUFFIXES = (".gem.gz", ".gem", ".tsv.gz", ".tsv", ".h5ad")


@pytest.fixture(scope="module")
def truth():
    return simulate("sagittal", donor="m", n_genes=12, n_cells=800, width_um=800, height_um=600, seed=4)


@pytest.fixture
def file(truth, tmp_path):
    write(tmp_path / "sagittal.gem.gz", truth)
    return tmp_path / "sagittal.gem.gz"


def table_of(section):
    """Return the counts by centre of the bin and by gene."""
    index = pd.MultiIndex.from_arrays(section.obsm["spatial"].T)
    return pd.DataFrame(section.X.toarray(), index=index, columns=section.var_names).sort_index().sort_index(axis=1)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("chunk", [1_000_000, 700])
def test_bins_sum_the_cells_within_them(truth, suffix, chunk, tmp_path, monkeypatch):
    monkeypatch.setattr(stereo_seq, "CHUNK", chunk)
    write(tmp_path / f"sagittal{suffix}", truth)
    section = read(tmp_path, name="sagittal", donor="m")
    cells = pd.DataFrame(truth.X.toarray(), columns=truth.var_names)
    x, y = (truth.obsm["spatial"] // 25).T * 25 + 12.5
    expected = cells.groupby([x, y]).sum().sort_index(axis=1)
    assert len(expected) < truth.n_obs
    pd.testing.assert_frame_equal(table_of(section), expected, check_names=False, check_dtype=False)
    assert set(section.obs["section"]) == {"sagittal"}
    assert set(section.obs["donor"]) == {"m"}
    assert section.obs_names.is_unique


def test_cells_on_the_grid_come_back_as_they_are(truth, tmp_path):
    bin_number = np.random.default_rng(0).choice(40 * 40, truth.n_obs, replace=False)
    on_grid = truth.copy()
    on_grid.obsm["spatial"] = np.column_stack([bin_number // 40, bin_number % 40]) * 25.0 + 12.5
    write(tmp_path / "sagittal.gem.gz", on_grid)
    pd.testing.assert_frame_equal(table_of(read(tmp_path, name="sagittal")), table_of(on_grid))


@pytest.mark.parametrize(("bin_size", "pitch_um", "chunk"), [(50, 0.5, 1000), (20, 0.715, 999), (1, 0.5, 10**6)])
def test_any_bin_and_any_order_of_rows(bin_size, pitch_um, chunk, tmp_path, monkeypatch):
    monkeypatch.setattr(stereo_seq, "CHUNK", chunk)
    rng = np.random.default_rng(bin_size)
    n, genes = 20_000, np.array(["Zic1", "Actb", "NA", "Gad1", "mt-Nd1"])
    gene, x, y, count = rng.integers(0, 5, n), *rng.integers(0, 150, (2, n)), rng.integers(1, 4, n)
    rows = pd.DataFrame({"geneID": genes[gene], "x": x, "y": y, "MIDCount": count})
    rows.to_csv(tmp_path / "s.tsv", sep="\t", index=False)
    size = -(-150 // bin_size)
    expected = np.zeros((size, size, 5))
    np.add.at(expected, (x // bin_size, y // bin_size, gene), count)
    section = read(tmp_path, name="s", bin_size=bin_size, pitch_um=pitch_um)
    i, j = (section.obsm["spatial"] / (bin_size * pitch_um) - 0.5).round().astype(int).T
    assert list(section.obs_names) == [f"s_{a}_{b}" for a, b in zip(i, j, strict=True)]
    np.testing.assert_allclose(section.obsm["spatial"], (np.column_stack([i, j]) + 0.5) * bin_size * pitch_um)
    assert list(section.var_names) == sorted(genes)
    assert np.array_equal(section.X.toarray(), expected[i, j][:, genes.argsort()])
    assert section.X.sum() == count.sum()


ROWS = [("Actb", 3, 60, 2), ("Actb", 49, 99, 1), ("Gad1", 50, 60, 4)]


def gem(path, header, rows=ROWS, order=(0, 1, 2, 3), lines="#FileFormat=GEMv0.1\n#OffsetX=0\n", end="\n"):
    body = "".join("\t".join(str(row[k]) for k in order) + end for row in rows)
    path.write_text(lines + "\t".join(header) + end + body, newline="")
    return path


@pytest.mark.parametrize(
    ("header", "order"),
    [
        (("geneID", "x", "y", "MIDCount"), (0, 1, 2, 3)),
        (("geneID", "x", "y", "MIDCounts"), (0, 1, 2, 3)),
        (("geneID", "x", "y", "UMICount"), (0, 1, 2, 3)),
        (("GeneID", "x", "y", "count"), (0, 1, 2, 3)),
        (("X", "Y", "gene", "MIDCOUNT"), (1, 2, 0, 3)),
        (("ExonCount", "geneID", "x", "y", "MIDCount", "label"), (1, 0, 1, 2, 3, 1)),
        (("geneID", "geneName", "x", "y", "MIDCount"), (3, 0, 1, 2, 3)),
    ],
)
@pytest.mark.parametrize("lines", ["", "#FileFormat=GEMv0.1\n#BinSize=1\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_columns_have_many_names(header, order, lines, end, tmp_path):
    section = read(gem(tmp_path / "s.gem", header, order=order, lines=lines, end=end), name="s")
    assert list(section.var_names) == ["Actb", "Gad1"]
    assert section.X.toarray().tolist() == [[3, 0], [0, 4]]
    assert section.obsm["spatial"].tolist() == [[12.5, 37.5], [37.5, 37.5]]
    assert set(section.obs["donor"]) == {"s"}


def binned(path, xy):
    rng = np.random.default_rng(0)
    adata = ad.AnnData(rng.poisson(3, (len(xy), 4)).astype(np.float32) + 1, obsm={"spatial": xy})
    adata.write_h5ad(path)


@pytest.mark.parametrize(("unit", "bin_size", "pitch_um"), [(50, 50, 0.5), (1, 1, 25), (25, 25, 1)])
def test_an_h5ad_may_be_in_dnbs_bins_or_microns(unit, bin_size, pitch_um, tmp_path):
    grid = np.stack(np.meshgrid(np.arange(5), np.arange(4)), axis=-1).reshape(-1, 2)[:-3]
    binned(tmp_path / "s.h5ad", grid * unit)
    section = read(tmp_path, name="s", bin_size=bin_size, pitch_um=pitch_um)
    np.testing.assert_allclose(section.obsm["spatial"], grid * 25.0)


def test_an_h5ad_of_another_unit_or_of_cells_is_refused(tmp_path):
    grid = np.stack(np.meshgrid(np.arange(5), np.arange(4)), axis=-1).reshape(-1, 2)
    for xy, apart in (
        (grid, "1"),
        (grid * 100, "100"),
        (cells := np.random.default_rng(0).random((20, 2)) * 900, None),
    ):
        apart = apart or f"{KDTree(cells).query(cells, k=2)[0][:, 1].min():.4g}"
        binned(tmp_path / "s.h5ad", xy)
        refused_read(
            tmp_path, f"the nearest bins are {apart} of the file's units apart (expected `bin_size`, 50)", "pitch_um"
        )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_fixture_is_the_same_to_the_byte(truth, suffix, tmp_path):
    for folder in ("a", "b"):
        write(tmp_path / folder / f"s{suffix}", truth)
    assert (tmp_path / "a" / f"s{suffix}").read_bytes() == (tmp_path / "b" / f"s{suffix}").read_bytes()


def test_the_fixture_has_the_schema_of_a_gem(file):
    lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    assert lines[0].startswith("#FileFormat=GEM")
    header = next(line for line in lines if not line.startswith("#"))
    assert header.split("\t")[:4] == ["geneID", "x", "y", "MIDCount"]
    rows = pd.read_csv(file, sep="\t", comment="#")
    assert rows["geneID"].ne(rows["geneID"].shift()).sum() == rows["geneID"].nunique()
    assert rows.duplicated(["geneID", "x", "y"]).mean() < 0.01
    assert len(np.unique(rows["x"] % 50)) == 50


def refused_read(path, *parts, **settings):
    refused(lambda: read(path, name="s", **settings), *parts)


def test_no_file_and_two_files(tmp_path):
    refused_read(tmp_path, "has none of s.gem.gz, s.gem, s.tsv.gz, s.tsv, s.h5ad", "exactly one")
    header = ("geneID", "x", "y", "MIDCount")
    gem(tmp_path / "s.gem", header)
    gem(tmp_path / "s.tsv", header)
    refused_read(tmp_path, "s.gem, s.tsv of ", "exactly one", "remove the others")


@pytest.mark.parametrize("role", ["geneID", "x", "y", "MIDCount"])
def test_a_missing_column(role, tmp_path):
    header = ["other" if name == role else name for name in ("geneID", "x", "y", "MIDCount")]
    column = {"geneID": "gene", "MIDCount": "count"}.get(role, role)
    refused_read(gem(tmp_path / "s.gem", header), f"no column for {column} among {', '.join(header)}", "rename")


@pytest.mark.parametrize("suffix", ["gem", "gem.gz"])
@pytest.mark.parametrize("text", ["", "#FileFormat=GEMv0.1\n"])
def test_an_empty_file(suffix, text, tmp_path):
    data = text.encode()
    (tmp_path / f"s.{suffix}").write_bytes(gzip.compress(data) if suffix == "gem.gz" else data)
    refused_read(tmp_path, "no column for gene among none")


def test_a_header_without_rows(tmp_path):
    refused_read(gem(tmp_path / "s.gem", ("geneID", "x", "y", "count"), rows=[]), "no rows below the header")


@pytest.mark.parametrize("column", [1, 2, 3])
@pytest.mark.parametrize("value", ["left", "", "nan"])
def test_text_for_a_number(column, value, tmp_path):
    rows = [list(row) for row in ROWS]
    rows[1][column] = value
    refused_read(gem(tmp_path / "s.gem", ("geneID", "x", "y", "count"), rows=rows), "cannot be read to its end")


@pytest.mark.parametrize("column", [1, 2, 3])
@pytest.mark.parametrize("value", [-1, "inf"])
def test_a_number_out_of_range(column, value, tmp_path, monkeypatch):
    monkeypatch.setattr(stereo_seq, "CHUNK", 1)
    rows = [list(row) for row in ROWS]
    rows[1][column] = value
    path = gem(tmp_path / "s.gem", ("geneID", "x", "y", "count"), rows=rows)
    refused_read(path, "1 rows, the first of them row 2 below the header", "a number ≥ 0 for x, y or count")


def test_a_row_cut_short(tmp_path):
    path = gem(tmp_path / "s.gem", ("geneID", "x", "y", "count"))
    path.write_text(path.read_text() + "Gad1\t60")
    refused_read(path, "cannot be read to its end", "fetch the file again")
    path = gem(tmp_path / "s.gem", ("x", "y", "count", "geneID"), order=(1, 2, 3, 0))
    path.write_text(path.read_text() + "60\t60\t1")
    refused_read(path, "1 rows, the first of them row 4 below the header, lack a gene")


def test_coordinates_beyond_any_chip(tmp_path):
    path = gem(tmp_path / "s.gem", ("geneID", "x", "y", "count"), rows=[("Actb", 10**9, 3, 1)])
    refused_read(path, "coordinates go up to 1e+09", "raise `bin_size`")


def test_the_last_bin_that_is_allowed(tmp_path):
    last = 2**21 - 1
    path = gem(tmp_path / "s.gem", ("geneID", "x", "y", "count"), rows=[*ROWS, ("Gad1", last, last, 5)])
    section = read(path, name="s", bin_size=1)
    assert section.obs_names.tolist() == ["s_3_60", "s_49_99", "s_50_60", f"s_{last}_{last}"]
    assert section.X.toarray().tolist() == [[2, 0], [1, 0], [0, 4], [0, 5]]
    refused_read(
        gem(path, ("geneID", "x", "y", "count"), rows=[("Gad1", 3, last + 1, 5)]), "at most 2097152", bin_size=1
    )


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_gzip_cut_short(file, share, tmp_path):
    whole = file.read_bytes()
    (tmp_path / "s.gem.gz").write_bytes(whole[: int(share * len(whole))])
    refused_read(tmp_path, "cannot be read to its end", "fetch the file again")


def test_a_file_that_is_not_gzip_and_a_damaged_one(file, tmp_path):
    (tmp_path / "s.gem.gz").write_text("geneID\tx\ty\tcount\n")
    refused_read(tmp_path, "cannot be read to its end (Not a gzipped file")
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 255
    (tmp_path / "s.gem.gz").write_bytes(whole)
    refused_read(tmp_path, "s.gem.gz: ", "fetch the file again")


def test_a_count_that_is_not_an_integer(tmp_path):
    rows = [("Actb", 3, 60, 0.4), ("Gad1", 3, 60, 1)]
    refused_read(gem(tmp_path / "s.gem", ("geneID", "x", "y", "count"), rows=rows), "not integers", "expected counts")


@pytest.mark.parametrize("settings", [{"bin_size": 0}, {"bin_size": -5}, {"pitch_um": 0.0}, {"pitch_um": np.inf}])
def test_a_bin_without_extent(file, settings):
    (key, value), *_ = settings.items()
    refused_read(file, f"{key} is {value}", "above 0", **settings)
