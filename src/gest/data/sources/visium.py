"""Read sections from Space Ranger's folders (10x Visium); a sample has a matrix of counts and a table of positions."""

import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from gest.errors import UserError, first_line
from gest.sections import validate

H5, MTX = "filtered_feature_bc_matrix.h5", "filtered_feature_bc_matrix"
POSITIONS = ("spatial/tissue_positions.csv", "spatial/tissue_positions_list.csv")
COLUMNS = ["barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres"]

# Hexagonal grid of 6.5 mm slides: neighbours in a row are two columns (100 µm) apart, and rows are 50√3 µm apart.
COLUMN_UM, ROW_UM = 50.0, 50.0 * np.sqrt(3)


def read(path: str | Path, *, name: str, donor: str | None = None) -> ad.AnnData:
    """Read the spots of one sample that are in tissue.

    Coordinates are computed from array_row and array_col, not from pixels.

    Parameters
    ----------
    path
        Folder that holds the sample's folder `name`, or the sample's folder itself. A sample has
        ``filtered_feature_bc_matrix.h5`` (or, failing that, the folder ``filtered_feature_bc_matrix`` with
        ``matrix.mtx.gz``, ``barcodes.tsv.gz``, ``features.tsv.gz``) and ``spatial/tissue_positions.csv`` (with a
        header) or ``spatial/tissue_positions_list.csv`` (Space Ranger 1, without).
    name
        Name of the section.
    donor
        The animal or patient; by default the section's name.

    Returns
    -------
    AnnData
        n spots by T genes as `gest.sections.validate` returns them, with ``obsm["spatial"]`` (n, 2) in µm, ``obs``
        columns section, donor, array_row and array_col, unique gene symbols, and ``var["ensembl"]``. Features that are
        not genes are left out.

    Raises
    ------
    UserError
        If a file is missing or unreadable, a position is missing or not an integer, barcodes repeat, or no spot is in
        tissue.
    """
    folder = _find_sample(Path(path), name)
    spots = _read_matrix(folder)
    positions = _read_positions(folder)
    has_position = spots.obs_names.isin(positions.index)
    if not has_position.all():
        raise UserError(
            f"{folder}: {(~has_position).sum()} of {has_position.size} barcodes of the matrix (e.g. "
            f"'{spots.obs_names[~has_position][0]}') "
            f"have no position among the {len(positions)} of spatial/ (e.g. '{positions.index[0]}'); "
            "take both from the same sample's Space Ranger output"
        )
    positions = positions.loc[spots.obs_names]
    tissue = (positions["in_tissue"] == 1).to_numpy()
    if not tissue.any():
        raise UserError(
            f"{folder}: none of the {tissue.size} spots has in_tissue = 1 (expected some); "
            "check that column of the positions' file"
        )
    grid = positions.loc[tissue, ["array_row", "array_col"]].astype(int)
    section = ad.AnnData(
        spots.X[tissue],
        obs=pd.DataFrame({"section": name, "donor": donor or name, **grid}, index=grid.index),
        var=pd.DataFrame({"ensembl": spots.var["gene_ids"].astype(str)}, index=spots.var_names),
        obsm={"spatial": np.column_stack([COLUMN_UM * grid["array_col"], ROW_UM * grid["array_row"]])},
        uns={"gest": {"x": "counts"}},
    )
    return validate(section, name=f"{folder}, section '{name}'")


def _find_sample(path: Path, name: str) -> Path:
    """Find the folder of the sample: the one that holds a matrix."""
    for folder in (path / name, path):
        if (folder / H5).is_file() or (folder / MTX).is_dir():
            return folder
    raise UserError(
        f"{path / name}: neither {H5} nor the folder {MTX} found (expected Space Ranger's output for '{name}'); "
        "place it there, with spatial/ beside it"
    )


def _read_matrix(folder: Path) -> ad.AnnData:
    """Read the counts, spots by genes, and make the gene symbols unique."""
    # Imported here, because importing scanpy is slow.
    import scanpy as sc

    file = folder / H5 if (folder / H5).is_file() else folder / MTX
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Variable names are not unique")
            spots = sc.read_10x_h5(file) if file.suffix == ".h5" else sc.read_10x_mtx(file, make_unique=False)
    # The reader may raise any exception for a file in another format.
    except Exception as error:
        raise UserError(
            f"{file}: not a readable matrix of Space Ranger ({first_line(error)}); fetch the sample's files again"
        ) from error
    spots.var_names_make_unique()
    return spots


def _read_positions(folder: Path) -> pd.DataFrame:
    """Read the columns in_tissue, array_row and array_col, indexed by barcode."""
    file = next((folder / name for name in POSITIONS if (folder / name).is_file()), None)
    if file is None:
        raise UserError(
            f"{folder}: neither {' nor '.join(POSITIONS)} found (expected the spots' positions); "
            "place Space Ranger's file there"
        )
    try:
        table = pd.read_csv(file, header=None, dtype=str)
    # pandas raises ValueError for an empty file, for rows of different lengths and for bytes that are not text.
    except ValueError as error:
        raise UserError(
            f"{file}: not a table of positions ({str(error).strip()}); fetch Space Ranger's file again"
        ) from error
    if table.iloc[0, 0] == "barcode":
        table = table[1:].set_axis(table.iloc[0], axis=1)
    elif table.shape[1] == len(COLUMNS):
        table.columns = COLUMNS
    missing = [column for column in COLUMNS[:4] if column not in table]
    if missing:
        raise UserError(
            f"{file}: no column {', '.join(missing)} in its {table.shape[1]} columns (expected a header with "
            f"{', '.join(COLUMNS[:4])} or, without one, the {len(COLUMNS)} columns of Space Ranger 1); fetch it again"
        )
    table = table.set_index("barcode")[COLUMNS[1:4]]
    repeated = table.index[table.index.duplicated()]
    if len(repeated):
        raise UserError(
            f"{file}: {len(repeated)} barcodes occur again (e.g. '{repeated[0]}', expected once); fetch it again"
        )
    numbers = table.apply(pd.to_numeric, errors="coerce")
    bad = ~(numbers % 1 == 0).all(axis=1)
    if bad.any():
        raise UserError(
            f"{file}: {bad.sum()} rows (e.g. '{bad.idxmax()}') lack an integer in {', '.join(numbers)}; fetch it again"
        )
    return numbers
