"""ABC Atlas files are read back as the simulated sections from which they were written."""

import csv
import filecmp
import shutil
import warnings

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.spatial import KDTree

from gest.data.sources import abc_atlas_matrix
from gest.data.sources.abc_atlas import read
from gest.data.sources.abc_atlas_tables import TERMS
from gest.data.sources.simulate import simulate
from gest.errors import UserError
from gest.sections import read_section, write_section
from gest.testing.abc_atlas import write

DATASET = "Zhuang-ABCA-1"
MATRIX = f"{DATASET}-raw.h5ad"
SIZES = {3: 200, 10: 220, 4: 240, 12: 260, 21: 260}  # cells by section number, in arbitrary order
ORDER = [3, 4, 10, 12, 21]
UNREGISTERED = f"{DATASET}.003"
LABELS = {"division": "parcellation_division", "region": "parcellation_structure"}
T = 23


@pytest.fixture(scope="module")
def simulated():
    return {
        f"{DATASET}.{i:03d}": simulate(f"{DATASET}.{i:03d}", donor="m", n_cells=n, n_genes=T, seed=1, slice=i / 21)
        for i, n in SIZES.items()
    }


@pytest.fixture(scope="module")
def upstream(simulated, tmp_path_factory):
    folder = tmp_path_factory.mktemp("upstream")
    write(folder, list(simulated.values()), dataset=DATASET)
    return folder


@pytest.fixture
def folder(upstream, tmp_path):
    """Copy the files, so that a test can damage them."""
    return shutil.copytree(upstream, tmp_path / "mouse")


def sections_of(folder, **settings):
    settings = {"name": "mouse1", "n_sections": len(SIZES), "labels": LABELS} | settings
    return list(read(folder, **settings))


@pytest.fixture(scope="module")
def read_back(upstream):
    return sections_of(upstream)


def match_cells(section, truth):
    """Match each cell with a simulated cell by its position in µm."""
    distance, cell = KDTree(truth.obsm["spatial"]).query(section.obsm["spatial"])
    assert distance.max() < 1e-6
    return cell


def table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_every_simulated_cell_comes_back_with_its_counts_and_position(read_back, simulated, upstream):
    assert [section.obs["section"].iloc[0] for _, section, _ in read_back] == [f"{DATASET}.{i:03d}" for i in ORDER]
    symbols = {row["gene_identifier"]: row["gene_symbol"] for row in table(upstream / "gene.csv")}
    section_of_cell = {row["cell_label"]: row["brain_section_label"] for row in table(upstream / "cell_metadata.csv")}
    for _, section, _ in read_back:
        (name,) = section.obs["section"].unique()
        truth = simulated[name]
        cell = match_cells(section, truth)
        assert sorted(cell) == list(range(truth.n_obs))
        assert list(section.var_names) == list(truth.var_names)
        assert [symbols[gene] for gene in section.var["ensembl"]] == list(section.var_names)
        assert np.array_equal(section.X.toarray(), truth.X.toarray()[cell])
        assert all(section_of_cell[label] == name for label in section.obs_names)
        assert set(section.obs["donor"]) == {DATASET}


def test_labels_and_hemispheres_are_the_simulated_ones_where_a_cell_is_registered(read_back, simulated, upstream):
    parcellation = {row["cell_label"]: row["parcellation_index"] for row in table(upstream / "ccf_coordinates.csv")}
    terms = {row["parcellation_index"]: row for row in table(upstream / TERMS)}
    midline = 0.9 * max(section.obsm["spatial"][:, 0].max() for section in simulated.values())
    n_missing = dict.fromkeys(["hemisphere", *LABELS], 0)
    for _, section, record in read_back:
        truth = simulated[record["section"]]
        cell = match_cells(section, truth)
        right = section.obsm["spatial"][:, 0] > midline
        registered = section.obs_names.isin(list(parcellation))
        hemisphere = np.where(registered, np.where(right, "right", "left"), None)
        assert list(section.obs["hemisphere"].astype(object).replace(np.nan, None)) == list(hemisphere)
        assert np.isclose(record["right"], right[registered].mean() if registered.any() else np.nan, equal_nan=True)
        n_missing["hemisphere"] += (~registered).sum()
        for level, column in {"division": "division", "region": "structure"}.items():
            upstream_label = [terms[parcellation.get(label, "0")][column] for label in section.obs_names]
            missing = np.array([label.endswith("unassigned") for label in upstream_label])
            assert np.array_equal(section.obs[level].isna(), missing)
            assert list(section.obs[level][~missing]) == list(truth.obs[level].iloc[cell][~missing])
            assert set(section.obs[level].cat.categories) == set(section.obs[level].dropna())
            n_missing[level] += missing.sum()
    # One section and a few other cells are unregistered; some parcellations lack a structure, some lack both levels.
    assert SIZES[3] < n_missing["hemisphere"] < n_missing["division"] < n_missing["region"] < 2 * SIZES[3]


def test_a_section_that_was_not_registered_can_be_written_and_read(read_back, tmp_path):
    section = next(section for _, section, record in read_back if record["section"] == UNREGISTERED)
    assert section.obs[["hemisphere", *LABELS]].isna().all(axis=None)
    write_section(section, tmp_path / "section.h5ad")
    again = read_section(tmp_path / "section.h5ad")
    assert np.array_equal(again.X.toarray(), section.X.toarray())
    assert again.obs[["hemisphere", *LABELS]].isna().all(axis=None)


N = int(np.ceil(1.45 * sum(SIZES.values())))
STORED = {
    "csr": sp.csr_matrix,
    "csc": sp.csc_matrix,
    "contiguous": None,
    "one gene to a chunk": (N, 1),
    "one cell to a chunk": (1, T),
    "small chunks": (50, 4),
    "one chunk": (N, T),
}


@pytest.mark.parametrize("tile", [3_000, 2**27], ids=["many tiles", "one tile"])
@pytest.mark.parametrize("stored", STORED.values(), ids=STORED.keys())
def test_sections_do_not_depend_on_how_the_matrix_is_stored(folder, read_back, stored, tile, monkeypatch):
    with h5py.File(folder / MATRIX, "a") as file:
        X = file["X"][:]
        assert X.shape == (N, T)
        del file["X"]
        if callable(stored):
            ad.io.write_elem(file, "X", stored(X))
        else:
            ad.io.write_elem(file, "X", X, dataset_kwargs={"chunks": stored} if stored else {})
    monkeypatch.setattr(abc_atlas_matrix, "_TILE", tile)
    for (_, section, record), (_, expected, _) in zip(sections_of(folder), read_back, strict=True):
        assert np.array_equal(section.X.toarray(), expected.X.toarray()), record
        assert section.X.format == "csr"
        assert section.X.dtype == np.float32
        assert list(section.obs_names) == list(expected.obs_names)


@pytest.mark.parametrize("chunks", [(16281, 5), (4_167_870, 1), (1, 1122), (100, 100), None])
def test_tiles_are_small_and_no_chunk_is_read_twice_at_full_size(chunks):
    # The file stores no values: an HDF5 dataset without stored values reads as zeros.
    with h5py.File("empty", "w", driver="core", backing_store=False) as file:
        X = file.create_dataset("X", (4_167_870, 1122), "f4", chunks=chunks)
        rows, tiles = next(abc_atlas_matrix._slabs(X))
        tile = next(iter(tiles))
        assert tile.nbytes <= 2**27
        assert tile.shape[0] == rows.stop - rows.start
        for whole, read_at_once, chunk in zip(X.shape, tile.shape, chunks or (1, 1122), strict=True):
            assert read_at_once == whole or read_at_once % chunk == 0


def test_names_follow_the_numbers_and_leave_no_gap(upstream):
    names = [f"mouse1_{i:03d}" for i in range(1, 6)]
    assert [name for name, _, _ in sections_of(upstream)] == names
    for held_out, section, why in (
        ({"cells": 240, "otherwise": "none"}, "Zhuang-ABCA-1.004", "the only section of 240 cells"),
        ({"cells": 260, "otherwise": "Zhuang-ABCA-1.010"}, "Zhuang-ABCA-1.010", "2 sections have 260 cells"),
        ({"cells": 9, "otherwise": "Zhuang-ABCA-1.021"}, "Zhuang-ABCA-1.021", "0 sections have 9 cells"),
    ):
        sections = sections_of(upstream, held_out=held_out)
        records = pd.DataFrame([record for _, _, record in sections]).set_index("section")
        assert list(records["name"]) == [name for name, _, _ in sections]
        assert records.loc[section, "name"] == "mouse1_validation"
        assert list(records["held_out"]) == list(records.index == section)
        assert why in records.loc[section, "why"]
        rest = records[~records["held_out"]].sort_index()
        assert list(rest["name"]) == names[:-1]
        assert set(rest["why"]) == {""}
        assert {label: SIZES[int(label[-3:])] for label in records.index} == records["cells"].to_dict()


def test_numbers_without_padding_are_read_as_numbers(folder):
    edit(folder / METADATA, lambda f: f.replace({"brain_section_label": {f"{DATASET}.003": f"{DATASET}.3"}}))
    labels = [record["section"] for _, _, record in sections_of(folder)]
    assert labels == [f"{DATASET}.3", *(f"{DATASET}.{i:03d}" for i in ORDER[1:])]


def test_symbols_are_made_unique_and_otherwise_kept(folder):
    genes = pd.read_csv(folder / "gene.csv").sort_values("gene_identifier")
    genes["gene_symbol"] = ["NaN", "Actb", "Actb", *genes["gene_symbol"][3:]]
    genes.to_csv(folder / "gene.csv", index=False)
    _, section, _ = sections_of(folder)[0]
    symbols = dict(zip(section.var["ensembl"], section.var_names, strict=True))
    assert {symbols[gene] for gene in genes["gene_identifier"][:3]} == {"NaN", "Actb", "Actb-1"}


def test_cells_without_counts_are_dropped_with_a_warning(folder):
    with h5py.File(folder / MATRIX, "a") as file:
        file["X"][:40] = 0
    with pytest.warns(UserWarning, match="which have no counts"):
        sections = sections_of(folder)
    assert sum(section.n_obs for _, section, _ in sections) < sum(record["cells"] for _, _, record in sections)


def edit(path, change):
    frame = pd.read_csv(path, dtype={"cell_label": str})
    change(frame).to_csv(path, index=False)


def without(name, column):
    return lambda folder: edit(folder / name, lambda frame: frame.drop(columns=column))


def as_numbers(name):
    return lambda folder: edit(folder / name, lambda frame: frame.astype({"cell_label": float}))


def repeated(name):
    return lambda folder: edit(folder / name, lambda frame: pd.concat([frame, frame[:1]]))


def other_labels(name):
    return lambda folder: edit(folder / name, lambda frame: frame.assign(cell_label=[str(i) for i in frame.index]))


def first(name, column, value):
    return lambda folder: edit(folder / name, lambda f: f.assign(**{column: [value, *f[column][1:]]}))


def matrix_labels(change):
    def spoil(folder):
        with h5py.File(folder / MATRIX, "a") as file:
            labels = file["obs/cell_label"].asstr()[:]
            del file["obs/cell_label"]
            ad.io.write_elem(file, "obs/cell_label", change(labels))

    return spoil


def truncate(folder):
    content = (folder / MATRIX).read_bytes()
    (folder / MATRIX).write_bytes(content[: int(0.7 * len(content))])


def damage_a_chunk(folder):
    with h5py.File(folder / MATRIX, "a") as file:
        file["X"].id.write_direct_chunk((0, 0), b"no gzip at all")


def drop_the_matrix(folder):
    with h5py.File(folder / MATRIX, "a") as file:
        del file["X"]


METADATA, CCF = "cell_metadata.csv", "ccf_coordinates.csv"
BAD = {
    "no section column": (without(METADATA, "brain_section_label"), f"{METADATA}: no column 'brain_section"),
    "no donor column": (without(METADATA, "donor_label"), f"{METADATA}: no column 'donor_label'"),
    "no parcellation": (without(CCF, "parcellation_index"), f"{CCF}: no column 'parcellation_index'"),
    "no symbols": (without("gene.csv", "gene_symbol"), "gene.csv: no column 'gene_symbol'"),
    "no structures": (without(TERMS, "structure"), f"{TERMS}: no column 'structure' .it has parcellation_index"),
    "numbers in the metadata": (as_numbers(METADATA), f"{METADATA}: 1180 cell labels are not text of digits"),
    "numbers in the ccf": (as_numbers(CCF), f"{CCF}: .* cell labels are not text of digits"),
    "numbers in the matrix": (matrix_labels(lambda labels: labels.astype(float)), f"{MATRIX}: {N} cell labels are not"),
    "repeated in the metadata": (repeated(METADATA), f"{METADATA}: 1 cell labels are repeated"),
    "repeated in the ccf": (repeated(CCF), f"{CCF}: 1 cell labels are repeated"),
    "repeated in the matrix": (matrix_labels(lambda x: np.append(x[:-1], x[0])), f"{MATRIX}: 1 cell labels are repeat"),
    "no cell in the matrix": (other_labels(METADATA), f"{MATRIX}: 1180 of the 1180 cell labels of .* are missing"),
    "a cell not in the matrix": (first(METADATA, "cell_label", "12"), f"{MATRIX}: 1 of the 1180 .* missing .e.g. '12'"),
    "no cell in the ccf": (other_labels(CCF), f"{CCF}: none of its [0-9]+ cell labels is in"),
    "unknown parcellation": (first(CCF, "parcellation_index", 9999), f"{TERMS}: 1 values .* are missing .e.g. 9999"),
    "another section": (
        first(METADATA, "brain_section_label", "x.1"),
        f"{METADATA}: brain_section_label names 6 sections .expected 5",
    ),
    "section without number": (
        lambda folder: edit(folder / METADATA, lambda f: f.replace(UNREGISTERED, "third")),
        f"{METADATA}: brain_section_label 'third' does not end in a number",
    ),
    "text for a place": (first(METADATA, "x", "left"), f"{METADATA}: cannot be read"),
    "empty csv": (lambda folder: (folder / CCF).write_text(""), f"{CCF}: cannot be read"),
    "no csv": (lambda folder: (folder / "gene.csv").unlink(), "gene.csv: cannot be read"),
    "genes missing": (lambda folder: edit(folder / "gene.csv", lambda f: f[2:]), f"gene.csv: 2 of the {T} genes"),
    "truncated": (truncate, f"{MATRIX}: not a complete .h5ad"),
    "damaged": (damage_a_chunk, f"{MATRIX}: not a complete .h5ad"),
    "no matrix": (drop_the_matrix, f"{MATRIX}: not a complete .h5ad"),
    "no h5ad": (lambda folder: (folder / MATRIX).unlink(), r"there are 0 files called \*-raw.h5ad"),
    "two mice": (lambda f: shutil.copy(f / MATRIX, f / "b-raw.h5ad"), r"there are 2 files called \*-raw.h5ad"),
}


@pytest.mark.parametrize(("spoil", "message"), BAD.values(), ids=BAD.keys())
def test_unreadable_files_are_refused_in_one_line(folder, spoil, message):
    spoil(folder)
    with pytest.raises(UserError, match=message) as error:
        sections_of(folder)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_wrong_number_of_sections_or_nothing_to_hold_out_is_an_error(upstream):
    with pytest.raises(UserError, match=r"cell_metadata.csv: brain_section_label names 5 sections \(expected 147\)"):
        sections_of(upstream, n_sections=147)
    with pytest.raises(UserError, match=r"2 sections have 260 cells .* and none is called 'x.1'"):
        sections_of(upstream, held_out={"cells": 260, "otherwise": "x.1"})
    with pytest.raises(UserError, match=r"no column 'lobe' \(it has parcellation_index, organ"):
        sections_of(upstream, labels={"lobe": "parcellation_lobe"})


def test_the_files_have_upstreams_schema_and_quirks(upstream, simulated, tmp_path):
    metadata, ccf = (pd.read_csv(upstream / name, dtype={"cell_label": str}) for name in (METADATA, CCF))
    assert list(metadata) == [
        *("cell_label", "brain_section_label", "feature_matrix_label", "donor_label", "donor_genotype", "donor_sex"),
        *("cluster_alias", "x", "y", "z", "subclass_confidence_score", "cluster_confidence_score"),
        "high_quality_transfer",
    ]
    assert list(ccf) == ["cell_label", "x", "y", "z", "parcellation_index"]
    genes, terms = pd.read_csv(upstream / "gene.csv"), pd.read_csv(upstream / TERMS)
    assert list(genes) == ["gene_identifier", "gene_symbol", "name", "mapped_ncbi_identifier"]
    assert list(terms) == ["parcellation_index", "organ", "category", "division", "structure", "substructure"]
    assert set(terms.query("parcellation_index == 0").to_numpy()[0][1:]) == {"unassigned"}
    assert "fiber tracts-unassigned" in set(terms["structure"])
    assert set(metadata["cell_label"].str.len()) == {38, 39}
    z = metadata.groupby("brain_section_label")["z"].agg(["min", "max"])
    assert np.allclose(z.T, [0, 0, 0.1, 0.2, 0.3])

    with h5py.File(upstream / MATRIX) as file:
        X, labels = file["X"], file["obs/cell_label"].asstr()[:]
        assert X.dtype == np.float32
        assert X.compression == "gzip"
        assert X.chunks[1] < X.chunks[0]
    assert genes["gene_identifier"].str.fullmatch("ENSMUSG[0-9]{11}").all()
    assert set(metadata["cell_label"]) < set(labels)
    shared = [label for label in labels if label in set(metadata["cell_label"])]
    assert shared != list(metadata["cell_label"])

    for seed, same in ((0, True), (1, False)):
        write(tmp_path / str(seed), list(simulated.values()), dataset=DATASET, seed=seed)
        for name in (MATRIX, METADATA, CCF, "gene.csv", TERMS):
            assert filecmp.cmp(upstream / name, tmp_path / str(seed) / name, shallow=False) is same


def test_reading_is_silent_but_for_progress(upstream):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sections_of(upstream)
