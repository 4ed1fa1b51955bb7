"""Read training sections one at a time, so that memory does not hold all of them."""

import os
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import scipy.sparse as sp
from anndata import AnnData

from gest.errors import UserError
from gest.sections import read_section

Sections = Sequence[AnnData | str | os.PathLike]

_FEWEST_EXPRESSED = 4  # genes; with fewer, the local regression that scanpy calls crashes the process


def stream(sections: Sections) -> Iterator[AnnData]:
    """Yield each section; check its genes and kind of values against the first.

    Sections given by path are read from their files.

    Raises
    ------
    UserError
        There is no section, a file cannot be read, genes differ between sections, or some sections hold counts and
        others normalised values.
    """
    if not len(sections):
        raise UserError("vocabulary: there are no training sections; give at least one.")
    genes, counts = None, None
    for path_or_section in sections:
        is_path = isinstance(path_or_section, str | os.PathLike)
        section = read_section(path_or_section) if is_path else path_or_section
        if genes is None:
            genes, counts = section.var_names, holds_counts(section)
        if not section.var_names.equals(genes):
            name = section.obs["section"].iloc[0]
            raise UserError(f"vocabulary: section '{name}' has other genes than the first; keep the same genes in all.")
        if holds_counts(section) != counts:
            raise UserError(
                "vocabulary: some sections hold counts and others normalised values; declare the same `x` for all."
            )
        yield section


def holds_counts(section: AnnData) -> bool:
    """Return whether X holds counts: true unless it is declared as normalised."""
    return section.uns.get("gest", {}).get("x", "counts") == "counts"


def variable_genes(sections: Sections, n_genes: int, markers: Sequence[str]) -> np.ndarray:
    """Mark the most variable genes, and the markers: (T,) booleans (decision 32).

    The variance is that over the cells of all sections together.

    Parameters
    ----------
    sections
        Sections of counts. The counts of all sections are in memory at once, and twice while they are stacked.
    n_genes
        Number of variable genes to mark, by scanpy's `highly_variable_genes` with flavor `seurat_v3`.
    markers
        Names of further genes to mark; a warning lists those that the sections lack.

    Raises
    ------
    UserError
        The sections hold normalised values, or there are too few counts to fit the trend of the variance.
    """
    import scanpy as sc

    counts, expressed = [], False
    for section in stream(sections):
        if not holds_counts(section):
            raise UserError("vocabulary.n_genes: needs counts, but X holds normalised values; set it to null.")
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
            f"vocabulary.n_genes: no trend of variance can be fitted to {stacked.n_obs} cells of {stacked.n_vars} "
            f"genes ({error}); set it to null."
        ) from error
    if missing := [marker for marker in markers if marker not in names]:
        warnings.warn(f"vocabulary: the sections lack the markers {', '.join(missing)}.", stacklevel=3)
    return ranked["highly_variable"].to_numpy() | names.isin(list(markers))
