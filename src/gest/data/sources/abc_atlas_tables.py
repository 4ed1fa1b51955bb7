"""Read the ABC Atlas's csv tables of one mouse: cells, genes, registration to the CCF, parcellation acronyms."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata.utils import make_index_unique

from gest.errors import UserError, first_line

MIDLINE = 5.7  # mm; the CCFv3's z runs from 0 at the left to 11.4 at the right of the brain
METADATA, CCF, GENES = "cell_metadata.csv", "ccf_coordinates.csv", "gene.csv"
TERMS = "parcellation_to_parcellation_term_membership_acronym.csv"


def read_cells(path: Path, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Read columns of a csv of cells, indexed by cell label."""
    cells = _read_csv(path, {"cell_label": str, **columns}).set_index("cell_label")
    check_labels(cells.index, path)
    return cells


def read_annotation(folder: Path, cells: pd.Index, labels: Mapping[str, str]) -> pd.DataFrame:
    """Read each cell's hemisphere and its label at every level.

    Both are missing for unregistered cells; a label is also missing where the atlas says "unassigned".
    """
    path = folder / CCF
    ccf = read_cells(path, {"z": float, "parcellation_index": int})
    if not cells.isin(ccf.index).any():
        raise UserError(
            f"{path}: none of its {len(ccf)} cell labels is in {folder / METADATA} (expected most of them); "
            "download both files of the same mouse"
        )
    levels = {level: column.removeprefix("parcellation_") for level, column in labels.items()}
    terms = _read_csv(folder / TERMS, {"parcellation_index": int, **dict.fromkeys(levels.values(), str)})
    terms = terms.set_index("parcellation_index")
    unknown = sorted(set(ccf["parcellation_index"]) - set(terms.index))
    if unknown:
        raise UserError(
            f"{folder / TERMS}: {len(unknown)} values of parcellation_index in {path} are missing (e.g. {unknown[0]}); "
            "download both files again"
        )
    ccf = ccf.reindex(cells)
    right = np.where(ccf["z"].isna(), -1, ccf["z"] >= MIDLINE)
    annotation = pd.DataFrame({"hemisphere": pd.Categorical.from_codes(right, ["left", "right"])}, index=cells)
    for level, column in levels.items():
        assigned = terms[column].mask(terms[column].str.fullmatch("(.*-)?unassigned"))
        annotation[level] = pd.Categorical(ccf["parcellation_index"].map(assigned), sorted(set(assigned.dropna())))
    return annotation


def read_genes(ensembl: pd.Index, path: Path, matrix: Path) -> pd.DataFrame:
    """Return a table of the matrix's genes: Ensembl ids, indexed by symbols.

    Symbols are made unique.
    """
    genes = _read_csv(path, {"gene_identifier": str, "gene_symbol": str})
    symbols = ensembl.map(dict(zip(genes["gene_identifier"], genes["gene_symbol"], strict=True)))
    if symbols.hasnans:
        missing = ensembl[symbols.isna()]
        raise UserError(
            f"{path}: {len(missing)} of the {len(ensembl)} genes of {matrix} are missing (e.g. '{missing[0]}'); "
            "download both files of the same release"
        )
    return pd.DataFrame({"ensembl": ensembl.to_numpy()}, index=make_index_unique(pd.Index(symbols.to_numpy())))


def check_labels(labels: pd.Index, path: Path) -> None:
    """Raise UserError unless cell labels are unique strings of digits.

    Labels that were read as floats are rounded.
    """
    numbers = labels[~labels.str.isdigit()]
    if len(numbers):
        raise UserError(
            f"{path}: {len(numbers)} cell labels are not text of digits (e.g. '{numbers[0]}'): a program has read them "
            "as numbers, which cannot hold 39 digits. Download the file again and do not re-save it"
        )
    repeated = labels[labels.duplicated()]
    if len(repeated):
        raise UserError(
            f"{path}: {len(repeated)} cell labels are repeated (e.g. '{repeated[0]}', expected once); "
            "download the file again"
        )


def _read_csv(path: Path, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Read columns of a csv as the given types.

    Text such as NaN is not read as missing, since a gene may have that name.
    """
    try:
        present = pd.read_csv(path, nrows=0).columns
        missing = [column for column in columns if column not in present]
        if missing:
            raise UserError(
                f"{path}: no column '{missing[0]}' (it has {', '.join(present)}); download the file again, or "
                "correct `labels` in the dataset's config"
            )
        return pd.read_csv(path, usecols=list(columns), dtype=dict(columns), keep_default_na=False)
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read ({first_line(error)}; expected a csv with {', '.join(columns)}); "
            "download the file again"
        ) from error
