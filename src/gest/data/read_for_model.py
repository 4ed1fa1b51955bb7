"""Read a section for a model: coordinates in µm, normalised expression, and a warning about empty cells.

Every task reads its sections here. `read_for_model` returns the parts that generation and perturbation need;
`to_model_input` returns the tokens that embedding and annotation need.
"""

import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
from anndata import AnnData

from gest.data.checks import check_coordinates
from gest.data.on_disk import on_disk
from gest.data.tokenize import expression, match_genes
from gest.vocabulary import Vocabulary
from gest.windows import Tokens

if TYPE_CHECKING:
    from gest.model import GeST


@dataclass(frozen=True, kw_only=True)
class SectionForModel:
    """A section of n cells, m of them seen, as a model of T genes reads it."""

    xy: np.ndarray
    """(n, 2) µm, of all cells."""
    expression: sp.csr_matrix
    """(m, T) normalised, in the order of the model's genes."""
    has_counts: np.ndarray
    """(m,) booleans: false for cells without counts."""
    columns: np.ndarray
    """(T,) the index of each model gene among the section's columns, −1 where it is missing."""


def read_for_model(
    section: AnnData, vocabulary: Vocabulary, *, empty_cells: str, seen: np.ndarray | None = None
) -> SectionForModel:
    """Check a section and normalise its expression for a model.

    Parameters
    ----------
    section
        One section: `X` holds counts, or normalised values if the model was trained on them; `obsm["spatial"]` (n, 2)
        is in µm.
    empty_cells
        What happens to cells without counts, as the end of the warning about them, e.g. "they are left out".
    seen
        (n,) booleans: the cells whose expression may be read; all by default.

    Raises
    ------
    UserError
        `section` is not one section in µm (`check_coordinates`), too few genes are shared or one is repeated, or `X`
        does not hold the kind of values (counts or normalised) that the model was trained on.
    """
    xy = check_coordinates(section)
    seen_cells = section if seen is None else section[seen]
    columns = match_genes(seen_cells, vocabulary)
    normalised = expression(seen_cells, vocabulary, columns)
    has_counts = np.asarray(seen_cells.X.sum(1)).ravel() > 0
    if not has_counts.all():
        warnings.warn(f"section: {(~has_counts).sum()} cells have no counts; {empty_cells}.", stacklevel=3)
    return SectionForModel(xy=xy, expression=normalised, has_counts=has_counts, columns=columns)


def to_model_input(section: AnnData, model: "GeST", *, empty_cells: str = "their profile is read as empty") -> Tokens:
    """Tokenise a section for a model.

    For a model without quantisation, the expression is kept in temporary files on disk.
    """
    read = read_for_model(section, model.vocabulary, empty_cells=empty_cells)
    tokens = model.vocabulary.tokenize(read.expression)
    rows = None if model.quantised else on_disk(read.expression, Path(tempfile.gettempdir()))
    return Tokens(read.xy, tokens, rows)
