"""Sections of one mouse of the Zhuang laboratory's MERFISH atlas, as the Allen Brain Cell Atlas publishes it.

Five files: the raw matrix of more cells than passed quality control, the cells that passed it, the genes, places and
parcellations in the Allen CCFv3 for the cells that were registered, and the acronyms of those parcellations. The dense
matrix is 18.7 GB unpacked and no chunk of it holds whole cells, so it is read once, tile by tile, and kept sparse.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp
from anndata.utils import make_index_unique

from gest.errors import UserError, first_line
from gest.sections import validate
from gest.utils.progress import progress

MIDLINE = 5.7  # mm: CCFv3 runs from 0 at the left to 11.4 at the right of the brain
TERMS = "parcellation_to_parcellation_term_membership_acronym.csv"
_TILE = 2**27  # bytes of the matrix unpacked at once


def read(
    folder: str | Path,
    *,
    name: str,
    n_sections: int,
    labels: Mapping[str, str],
    held_out: Mapping[str, Any] | None = None,
) -> Iterator[tuple[str, ad.AnnData, dict[str, Any]]]:
    """Read the sections of one mouse, in the order of their upstream numbers.

    Nothing larger than the sparse matrix of the cells in ``cell_metadata.csv`` is held, and less with each section.

    Parameters
    ----------
    folder
        Holds ``*-raw.h5ad``, ``cell_metadata.csv``, ``gene.csv``, ``ccf_coordinates.csv`` and
        ``parcellation_to_parcellation_term_membership_acronym.csv``.
    name
        Stem of the sections' names: "mouse1" gives mouse1_001, mouse1_002, ...
    n_sections
        How many sections there must be.
    labels
        Level of annotation (e.g. "region") to the parcellation that it stands for (e.g. "parcellation_structure").
    held_out
        "cells" and "otherwise": the only section of that many cells, or else the one of that upstream name, is called
        ``{name}_validation``, and the others are numbered without it.

    Yields
    ------
    name, section, record
        The name; the section as `gest.sections.validate` returns it, coordinates in µm, ``obs`` with section (its
        upstream name), donor, hemisphere and the levels, ``var_names`` symbols and ``var["ensembl"]``; and what a table
        of the sections tells: name, section, cells, right (share of the registered cells in the right hemisphere,
        NaN where none is registered), held_out, why.

    Raises
    ------
    UserError
        If a file or a column is missing, labels were read as numbers, are repeated or do not match between files, the
        number of sections differs, or no section can be held out.

    Source: https://alleninstitute.github.io/abc_atlas_access
    """
    folder = Path(folder)
    matrix, metadata = _matrix_file(folder), folder / "cell_metadata.csv"
    categories = {"brain_section_label": "category", "donor_label": "category"}
    cells = _cells(metadata, {**categories, "x": float, "y": float})
    sizes = cells["brain_section_label"].value_counts()
    if len(sizes) != n_sections:
        raise UserError(
            f"{metadata}: there are {len(sizes)} sections in brain_section_label, where {n_sections} are expected; "
            "download the file again, or correct `expected.sections` in the set's config"
        )
    names, why = _names(sizes, name, held_out, metadata)

    with _open(matrix) as file:
        var = _genes(_index(file["var"]), folder / "gene.csv", matrix)
        rows = _index(file["obs"])
    section_of_row = np.full(len(rows), -1)
    cells["row"] = _rows(cells.index, rows, metadata, matrix)
    del rows  # 4 million strings
    section_of_row[cells["row"]] = cells["brain_section_label"].cat.codes
    cells = cells.sort_values("row")
    obs = pd.DataFrame({"section": cells["brain_section_label"], "donor": cells["donor_label"]})
    obs = obs.join(_annotation(folder, cells.index, labels, metadata))

    with _open(matrix) as file:
        pieces = _pieces(file["X"], section_of_row, matrix)
    members = cells.groupby("brain_section_label", observed=True).indices
    codes = {label: code for code, label in enumerate(cells["brain_section_label"].cat.categories)}
    for label, static in names.items():
        section = ad.AnnData(
            X=sp.bmat(pieces.pop(codes[label]), format="csr"),
            obs=obs.iloc[members[label]],
            var=var,
            obsm={"spatial": cells[["x", "y"]].to_numpy()[members[label]] * 1000},
            uns={"gest": {"x": "counts"}},
        )
        for level in labels:
            section.obs[level] = section.obs[level].cat.remove_unused_categories()
        side = section.obs["hemisphere"].dropna()
        held = static == f"{name}_validation"
        record = {
            "name": static,
            "section": label,
            "cells": int(sizes[label]),
            "right": float((side == "right").mean()),
            "held_out": held,
            "why": why if held else "",
        }
        yield static, validate(section, name=f"{matrix}, section '{label}'"), record


def _names(sizes: pd.Series, name: str, held_out: Mapping[str, Any] | None, path: Path) -> tuple[dict[str, str], str]:
    """Return upstream to static name in the order of the upstream numbers, and why a section is held out."""
    unnumbered = [label for label in sizes.index if not label.rpartition(".")[2].isdigit()]
    if unnumbered:
        raise UserError(
            f"{path}: brain_section_label '{unnumbered[0]}' does not end in a number, where the like of "
            "'Zhuang-ABCA-1.079' is expected; download the file again"
        )
    # Several sections share a z, so only the number tells their order.
    ordered = sorted(sizes.index, key=lambda label: int(label.rpartition(".")[2]))
    if held_out is None:
        return {label: f"{name}_{rank:03d}" for rank, label in enumerate(ordered, start=1)}, ""
    size, otherwise = held_out["cells"], held_out["otherwise"]
    of_size = [label for label in ordered if sizes[label] == size]
    if len(of_size) == 1:
        chosen, why = of_size[0], f"the only section of {size} cells"
    elif otherwise in ordered:
        chosen, why = otherwise, f"named in the configuration, for {len(of_size)} sections have {size} cells"
    else:
        raise UserError(
            f"{path}: {len(of_size)} sections have {size} cells and none is called '{otherwise}', where one is to be "
            f"held out; set `otherwise` to one of {ordered[0]} to {ordered[-1]} in the set's config"
        )
    ordered.remove(chosen)
    ranked = {label: f"{name}_{rank:03d}" for rank, label in enumerate(ordered, start=1)}
    return {**ranked, chosen: f"{name}_validation"}, why


def _annotation(folder: Path, cells: pd.Index, labels: Mapping[str, str], metadata: Path) -> pd.DataFrame:
    """Return hemisphere and one column per level for each cell, missing where it is unregistered or unassigned."""
    path = folder / "ccf_coordinates.csv"
    ccf = _cells(path, {"z": float, "parcellation_index": int})
    if not cells.isin(ccf.index).any():
        raise UserError(
            f"{path}: none of its {len(ccf)} cell labels is in {metadata}, where most cells of both are the same; "
            "download both files of the same mouse"
        )
    levels = {level: column.removeprefix("parcellation_") for level, column in labels.items()}
    terms = _csv(folder / TERMS, {"parcellation_index": int, **dict.fromkeys(levels.values(), str)})
    terms = terms.set_index("parcellation_index")
    unknown = sorted(set(ccf["parcellation_index"]) - set(terms.index))
    if unknown:
        raise UserError(
            f"{folder / TERMS}: {len(unknown)} values of parcellation_index in {path} are missing (e.g. {unknown[0]}), "
            "where each has its acronyms; download both files again"
        )
    ccf = ccf.reindex(cells)
    right = np.where(ccf["z"].isna(), -1, ccf["z"] >= MIDLINE)
    annotation = pd.DataFrame({"hemisphere": pd.Categorical.from_codes(right, ["left", "right"])}, index=cells)
    for level, column in levels.items():
        assigned = terms[column].mask(terms[column].str.fullmatch("(.*-)?unassigned"))
        annotation[level] = pd.Categorical(ccf["parcellation_index"].map(assigned), sorted(set(assigned.dropna())))
    return annotation


def _genes(ensembl: pd.Index, path: Path, matrix: Path) -> pd.DataFrame:
    """Return the genes' table, named by unique symbols."""
    genes = _csv(path, {"gene_identifier": str, "gene_symbol": str})
    symbols = ensembl.map(dict(zip(genes["gene_identifier"], genes["gene_symbol"], strict=True)))
    if symbols.hasnans:
        missing = ensembl[symbols.isna()]
        raise UserError(
            f"{path}: {len(missing)} of the {len(ensembl)} genes of {matrix} are missing (e.g. '{missing[0]}'), where "
            "each has its symbol; download both files of the same release"
        )
    return pd.DataFrame({"ensembl": ensembl.to_numpy()}, index=make_index_unique(pd.Index(symbols.to_numpy())))


def _rows(cells: pd.Index, rows: pd.Index, metadata: Path, matrix: Path) -> np.ndarray:
    """Return the row of the matrix that holds each cell, (n,)."""
    _check_labels(rows, matrix)
    found = rows.get_indexer(cells)
    missing = int((found < 0).sum())
    if missing:
        raise UserError(
            f"{matrix}: {missing} of the {len(cells)} cell labels of {metadata} are missing (e.g. "
            f"'{cells[found < 0][0]}'), where every one has its counts; download both files of the same mouse"
        )
    return found


def _pieces(X: h5py.Dataset | h5py.Group, section_of_row: np.ndarray, path: Path) -> dict[int, list[list[sp.spmatrix]]]:
    """Return each section's cells as blocks for `scipy.sparse.bmat`; rows whose section is -1 are left out."""
    X = X if isinstance(X, h5py.Dataset) else ad.io.sparse_dataset(X)
    n, T = X.shape
    pieces: dict[int, list[list[sp.spmatrix]]] = {}
    with progress(n * T, "value", path.name, unit_scale=True) as bar:
        for rows, tiles in _slabs(X):
            sections = section_of_row[rows]
            order = np.argsort(sections, kind="stable")[(sections < 0).sum() :]
            present, starts = np.unique(sections[order], return_index=True)
            for section in present:
                pieces.setdefault(section, []).append([])
            for tile in tiles:
                kept = sp.csr_matrix(tile[order], dtype=np.float32)
                for section, start, stop in zip(present, starts, [*starts[1:], len(order)], strict=True):
                    piece = kept[start:stop]
                    # Of a few genes, one pointer per cell would weigh more than the counts.
                    pieces[section][-1].append(piece if piece.shape[1] == T else piece.tocsc())
                bar.update(tile.shape[0] * tile.shape[1])
    return pieces


def _slabs(X: h5py.Dataset | Any) -> Iterator[tuple[slice, Iterable[np.ndarray | sp.csr_matrix]]]:
    """Yield rows of X and their values in tiles from left to right; tiles are small, and no chunk is read twice."""
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
    # Between two edges lie about as many stored values as fill a tile.
    edges = np.searchsorted(indptr, np.arange(0, indptr[-1], _TILE // 8))
    spans = [slice(a, b) for a, b in pairwise(np.unique([0, *edges, len(indptr) - 1]))]
    if X.format == "csr":
        yield from ((rows, [X[rows]]) for rows in spans)
    else:
        yield slice(0, n), (X[:, genes].tocsr() for genes in spans)


def _matrix_file(folder: Path) -> Path:
    found = sorted(folder.glob("*-raw.h5ad"))
    if len(found) != 1:
        raise UserError(
            f"{folder}: there are {len(found)} files called *-raw.h5ad, where one mouse has one; "
            "download it, and keep each mouse in a folder of its own"
        )
    return found[0]


@contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
    """Open an .h5ad; whatever cannot be read of it becomes a UserError."""
    try:
        with h5py.File(path) as file:
            yield file
    except (OSError, KeyError, RuntimeError) as error:
        raise UserError(
            f"{path}: this is not a whole .h5ad ({first_line(error)}), where AnnData's format is expected; "
            "download it again"
        ) from error


def _index(frame: h5py.Group) -> pd.Index:
    return pd.Index(ad.io.read_elem(frame[frame.attrs["_index"]])).astype(str)


def _cells(path: Path, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Read columns of a .csv of cells, by their labels."""
    cells = _csv(path, {"cell_label": str, **columns}).set_index("cell_label")
    _check_labels(cells.index, path)
    return cells


def _csv(path: Path, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Read these columns of a .csv as these types; text is taken as it stands, for a gene may be called NaN."""
    try:
        there = pd.read_csv(path, nrows=0).columns
        missing = [column for column in columns if column not in there]
        if missing:
            raise UserError(
                f"{path}: there is no column '{missing[0]}', only {', '.join(there)}; download the file again, or "
                "correct `labels` in the set's config"
            )
        return pd.read_csv(path, usecols=list(columns), dtype=dict(columns), keep_default_na=False)
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: this cannot be read ({first_line(error)}), where a .csv with {', '.join(columns)} is expected; "
            "download the file again"
        ) from error


def _check_labels(labels: pd.Index, path: Path) -> None:
    """Raise UserError unless cell labels are digits, which numbers of that length lose, and unique."""
    numbers = labels[~labels.str.isdigit()]
    if len(numbers):
        raise UserError(
            f"{path}: {len(numbers)} cell labels are no text of digits (e.g. '{numbers[0]}'), where a label has up to "
            "39 of them, which a number cannot hold; download the file again and do not write it anew"
        )
    repeated = labels[labels.duplicated()]
    if len(repeated):
        raise UserError(
            f"{path}: {len(repeated)} cell labels are repeated (e.g. '{repeated[0]}'), where each cell stands once; "
            "download the file again"
        )
