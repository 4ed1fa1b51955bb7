"""Write a section of spots on the hexagonal grid as a Space Ranger folder of one Visium sample."""

import gzip
import io
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.io import mmwrite

from gest.data.sources.visium import COLUMN_UM, COLUMNS, H5, MTX, ROW_UM
from gest.errors import UserError

PIXELS_PER_UM = 1.37  # of a full-resolution image; not 1, so that a test fails if pixels are taken for µm


def write(
    folder: str | Path, section: ad.AnnData, *, matrix: str = "h5", positions: str = "tissue_positions_list.csv"
) -> None:
    """Write one sample as Space Ranger does.

    The matrix holds the spots in tissue; the table of positions holds the whole grid. A barcode belongs to a position
    on the grid, so barcodes repeat between samples. One gene is added at the end, with the symbol of the first gene, a
    new Ensembl id, and the counts of the last gene.

    Parameters
    ----------
    folder
        The sample's folder; created if missing.
    section
        n spots by T genes, counts. Positions come from ``obs["array_row"]`` and ``obs["array_col"]`` if present, else
        from ``obsm["spatial"]`` (n, 2) in µm, on a grid with a pitch of 100 µm. ``var["ensembl"]`` is kept if present.
    matrix
        "h5" for one HDF5 file, or "mtx" for a folder of three gzipped files.
    positions
        "tissue_positions_list.csv" (no header), or "tissue_positions.csv" (with one).

    Raises
    ------
    UserError
        If the spots do not lie on the grid.
    """
    folder = Path(folder)
    (folder / "spatial").mkdir(parents=True, exist_ok=True)
    row, column = _grid(section)
    spots, order = np.unique(_barcodes(row, column), return_index=True)  # Space Ranger sorts by barcode
    counts = sp.csr_matrix(section.X)[order]
    counts = sp.hstack([counts, counts[:, -1]], format="csr").astype(np.int32)
    counts.sort_indices()
    ensembl = section.var.get("ensembl", [f"ENSG{i + 1:011d}" for i in range(section.n_vars)])
    symbols = [*section.var_names, section.var_names[0]]
    ids = [*ensembl, f"ENSG{10**11 - 1}"]
    if matrix == "h5":
        _write_h5(folder / H5, counts, spots, symbols, ids)
    else:
        _write_mtx(folder / MTX, counts, spots, symbols, ids)

    # The grid extends beyond the tissue by one row and, within a row, by one spot.
    rows, columns = np.mgrid[max(row.min() - 1, 0) : row.max() + 2, max(column.min() - 2, 0) : column.max() + 3]
    slide = (rows + columns) % 2 == 0
    rows, columns = rows[slide], columns[slide]
    barcodes = _barcodes(rows, columns)
    pixels = [np.rint(1000 + PIXELS_PER_UM * um).astype(int) for um in (ROW_UM * rows, COLUMN_UM * columns)]
    table = pd.DataFrame(
        dict(zip(COLUMNS, (barcodes, np.isin(barcodes, spots).astype(int), rows, columns, *pixels), strict=True))
    )
    table.to_csv(folder / "spatial" / positions, header=positions == "tissue_positions.csv", index=False)


def _grid(section: ad.AnnData) -> tuple[np.ndarray, np.ndarray]:
    """Find the row and column of each spot on the array; their sum is even."""
    if "array_row" in section.obs:
        return section.obs["array_row"].to_numpy(), section.obs["array_col"].to_numpy()
    xy = section.obsm["spatial"]
    exact = (xy - xy.min(axis=0)) / (COLUMN_UM, ROW_UM)
    column, row = np.rint(exact).astype(int).T
    odd = (row + column) % 2
    if np.abs(exact - np.rint(exact)).max() > 0.01 or odd.min() != odd.max():
        raise UserError(
            f"{section.obs['section'].iloc[0]}: the spots lie off the hexagonal grid of 100 µm; "
            "simulate the section with the platform 'spots'"
        )
    return row, column + odd


def _barcodes(row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Make a barcode of 16 bases for each position on the grid: (m,).

    Barcodes are the same on every slide.
    """
    # An odd factor makes this a permutation of all 16-base words, so barcodes are unique.
    word = (row * 1000 + column).astype(np.uint64) * np.uint64(2654435761) % np.uint64(4**16)
    bases = word[:, None] >> np.arange(0, 32, 2, dtype=np.uint64) & np.uint64(3)
    return np.array(["".join(spot) + "-1" for spot in np.array(list("ACGT"))[bases.astype(int)]])


def _write_h5(file: Path, counts: sp.csr_matrix, barcodes: np.ndarray, symbols: list[str], ids: list[str]) -> None:
    """Write (n, T) counts as Space Ranger's HDF5.

    It holds genes by spots as a sparse matrix in CSC format.
    """
    with h5py.File(file, "w") as out:
        out.attrs["filetype"], out.attrs["version"] = "matrix", 2
        group = out.create_group("matrix")
        features = {
            "id": ids,
            "name": symbols,
            "feature_type": ["Gene Expression"] * len(ids),
            "genome": ["GRCh38"] * len(ids),
        }
        arrays = {
            "barcodes": barcodes.astype("S"),
            "data": counts.data,
            "indices": counts.indices.astype(np.int64),
            "indptr": counts.indptr.astype(np.int64),
            "shape": np.array(counts.shape[::-1], dtype=np.int32),
            **{f"features/{key}": np.array(values, dtype="S") for key, values in features.items()},
            "features/_all_tag_keys": np.array(["genome"], dtype="S"),
        }
        for key, array in arrays.items():
            group.create_dataset(key, data=array, compression="gzip", chunks=True, track_times=False)


def _write_mtx(folder: Path, counts: sp.csr_matrix, barcodes: np.ndarray, symbols: list[str], ids: list[str]) -> None:
    """Write (n, T) counts as Space Ranger's three gzipped files, genes by spots."""
    folder.mkdir(exist_ok=True)
    matrix = io.BytesIO()
    mmwrite(matrix, counts.T, field="integer", symmetry="general")
    features = [f"{ensembl}\t{symbol}\tGene Expression\n" for ensembl, symbol in zip(ids, symbols, strict=True)]
    texts = {
        "matrix.mtx": matrix.getvalue(),
        "features.tsv": "".join(features).encode(),
        "barcodes.tsv": "".join(f"{barcode}\n" for barcode in barcodes).encode(),
    }
    for name, text in texts.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(text, 6, mtime=0))
