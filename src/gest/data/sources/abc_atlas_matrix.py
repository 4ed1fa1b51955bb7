"""Read the ABC Atlas's matrix of one mouse, tile by tile, into sparse counts of each section.

The matrix is dense, 18.7 GB when unpacked, and none of its chunks holds whole cells. It is therefore read once for all
sections.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from gest.data.sources.abc_atlas_tables import check_labels
from gest.errors import UserError, first_line
from gest.utils.progress import progress

_TILE = 2**27  # bytes of a tile: the part of the matrix that is unpacked at once

Blocks = list[list[sp.spmatrix]]
"""Counts of one section: rows of tiles, to be joined by `scipy.sparse.bmat`."""


def find_matrix(folder: Path) -> Path:
    """Find the only ``*-raw.h5ad`` in the folder of a mouse."""
    files = sorted(folder.glob("*-raw.h5ad"))
    if len(files) != 1:
        raise UserError(
            f"{folder}: there are {len(files)} files called *-raw.h5ad (expected 1); "
            "download it, and keep each mouse in a separate folder"
        )
    return files[0]


@contextmanager
def open_matrix(path: Path) -> Iterator[h5py.File]:
    """Open the ``.h5ad``; turn errors of reading it into a UserError."""
    try:
        with h5py.File(path) as file:
            yield file
    except (OSError, KeyError, RuntimeError) as error:
        raise UserError(f"{path}: not a complete .h5ad ({first_line(error)}); download it again") from error


def read_index(frame: h5py.Group) -> pd.Index:
    """Read the index of ``obs`` or ``var`` as text."""
    return pd.Index(ad.io.read_elem(frame[frame.attrs["_index"]])).astype(str)


def find_rows(cells: pd.Index, rows: pd.Index, metadata: Path, matrix: Path) -> np.ndarray:
    """Find each cell's row in the matrix: (n,)."""
    check_labels(rows, matrix)
    row_of_cell = rows.get_indexer(cells)
    missing = row_of_cell < 0
    if missing.any():
        raise UserError(
            f"{matrix}: {missing.sum()} of the {len(cells)} cell labels of {metadata} are missing (e.g. "
            f"'{cells[missing][0]}'); download both files of the same mouse"
        )
    return row_of_cell


def read_sections(X: h5py.Dataset | h5py.Group, section_of_row: np.ndarray, path: Path) -> dict[int, Blocks]:
    """Read the counts of all sections in one pass.

    Rows with −1 in `section_of_row` are left out.
    """
    X = X if isinstance(X, h5py.Dataset) else ad.io.sparse_dataset(X)
    n, T = X.shape
    pieces: dict[int, Blocks] = {}
    with progress(n * T, "value", path.name, unit_scale=True) as bar:
        for rows, tiles in _slabs(X):
            sections = section_of_row[rows]
            order = np.argsort(sections, kind="stable")[(sections < 0).sum() :]
            present, starts = np.unique(sections[order], return_index=True)
            for section in present:
                pieces.setdefault(section, []).append([])
            for tile in tiles:
                sorted_rows = sp.csr_matrix(tile[order], dtype=np.float32)
                for section, start, stop in zip(present, starts, [*starts[1:], len(order)], strict=True):
                    piece = sorted_rows[start:stop]
                    # In a tile of few genes, CSR would need more memory for one pointer per cell than for the counts.
                    pieces[section][-1].append(piece if piece.shape[1] == T else piece.tocsc())
                bar.update(tile.shape[0] * tile.shape[1])
    return pieces


def _slabs(X: h5py.Dataset | Any) -> Iterator[tuple[slice, Iterable[np.ndarray | sp.csr_matrix]]]:
    """Yield blocks of rows of X, each with its tiles from left to right.

    A tile has about `_TILE` bytes, and no chunk is read twice.
    """
    n, T = X.shape
    if isinstance(X, h5py.Dataset):
        height, width = X.chunks or (1, T)
        width = min(T, width * max(1, _TILE // (height * width * X.dtype.itemsize)))
        height *= max(1, _TILE // (height * width * X.dtype.itemsize))
        for top in range(0, n, height):
            rows = slice(top, min(top + height, n))
            yield rows, (X[rows, left : left + width] for left in range(0, T, width))
        return
    indptr = X.group["indptr"][:]
    # Stored values between two edges fill about one tile, at 8 bytes each.
    edges = np.searchsorted(indptr, np.arange(0, indptr[-1], _TILE // 8))
    spans = [slice(a, b) for a, b in pairwise(np.unique([0, *edges, len(indptr) - 1]))]
    if X.format == "csr":
        yield from ((rows, [X[rows]]) for rows in spans)
    else:
        yield slice(0, n), (X[:, genes].tocsr() for genes in spans)
