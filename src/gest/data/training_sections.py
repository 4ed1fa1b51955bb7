"""Training sections, one after the other: no two section files are held in memory together."""

import os
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import scipy.sparse as sp
from anndata import AnnData

from gest.errors import UserError
from gest.sections import read_section

Sections = Sequence[AnnData | str | os.PathLike]

_FEWEST_EXPRESSED = 4  # genes: with fewer, the local regression that scanpy calls crashes the process


def stream(sections: Sections) -> Iterator[AnnData]:
    """Give each section, read from its file where it is one, once it is checked to hold what the first one holds.

    Raises
    ------
    UserError
        There is no section, a file cannot be read, the sections' genes differ, or some hold counts and others
        normalised values.
    """
    if not len(sections):
        raise UserError("vocabulary: there are no training sections; give at least one.")
    genes, counts = None, None
    for given in sections:
        section = read_section(given) if isinstance(given, str | os.PathLike) else given
        if genes is None:
            genes, counts = section.var_names, holds_counts(section)
        if not section.var_names.equals(genes):
            name = section.obs["section"].iloc[0]
            raise UserError(f"vocabulary: section '{name}' has other genes than the first; keep the same genes in all.")
        if holds_counts(section) != counts:
            raise UserError(
                "vocabulary: some sections hold counts and others normalised values; `x` must be one of them."
            )
        yield section


def holds_counts(section: AnnData) -> bool:
    """Say whether X is of counts, as it is unless it is declared to be normalised."""
    return section.uns.get("gest", {}).get("x", "counts") == "counts"


def variable_genes(sections: Sections, n_genes: int, markers: Sequence[str]) -> np.ndarray:
    """Mark (T,) the most variable genes of all sections together, and the markers (decision 32).

    Parameters
    ----------
    sections
        Of counts. All counts are held at once, twice for a moment.
    n_genes
        How many, by scanpy's `highly_variable_genes` of flavour `seurat_v3`.
    markers
        Names of genes marked as well; a warning tells of those that the sections lack.

    Raises
    ------
    UserError
        The sections hold normalised values, or their counts are too few to fit a trend to.
    """
    import scanpy as sc

    counts, expressed = [], False
    for section in stream(sections):
        if not holds_counts(section):
            raise UserError("config: 'vocabulary.n_genes' needs counts, and X holds normalised values; set it to null.")
        counts.append(sp.csr_matrix(section.X))
        expressed = (counts[-1].getnnz(axis=0) > 0) | expressed
        names = section.var_names
    stacked = AnnData(sp.vstack(counts, format="csr"))
    del counts
    try:
        if expressed.sum() < _FEWEST_EXPRESSED:
            raise ValueError(f"{expressed.sum()} of them have counts")
        ranked = sc.pp.highly_variable_genes(
            stacked, flavor="seurat_v3", n_top_genes=n_genes, check_values=False, inplace=False
        )
    except ValueError as error:
        raise UserError(
            f"config: 'vocabulary.n_genes' wants variable genes, and no trend can be fitted to {stacked.n_obs} cells "
            f"of {stacked.n_vars} genes ({error}); set it to null."
        ) from error
    if missing := [marker for marker in markers if marker not in names]:
        warnings.warn(f"vocabulary: the sections lack the markers {', '.join(missing)}.", stacklevel=3)
    return ranked["highly_variable"].to_numpy() | names.isin(list(markers))
