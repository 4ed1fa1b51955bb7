"""Find the model's genes by any of their names: symbols or Ensembl ids, of the section or of the model."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gest.errors import UserError

if TYPE_CHECKING:
    from anndata import AnnData


class GeneNames:
    """All names of the model's T genes, in a section and in the model.

    Parameters
    ----------
    section
        It names a gene in `var_names`, and in every column of `var` that holds unique text.
    model_genes
        (T,) the model's names of the genes.
    columns
        (T,) the section's column of each gene, −1 where it is missing.
    """

    def __init__(self, section: AnnData, model_genes: np.ndarray, columns: np.ndarray) -> None:
        section_genes = section.var_names.to_numpy(dtype=str)
        self.names = np.where(columns >= 0, section_genes[columns], model_genes)
        """(T,) names as in `var_names`, or the model's where the section lacks a gene."""
        self._genes: dict[str, int] = {}
        for variable in section.var:
            if section.var[variable].dtype.kind in "fiub":
                continue
            names = section.var[variable].astype(str)
            if names.is_unique:  # otherwise it holds kinds of genes, not names
                self._genes |= {names.iloc[column]: gene for gene, column in enumerate(columns) if column >= 0}
        self._genes |= {str(name): gene for gene, name in enumerate(self.names)}
        self._genes |= {str(name): gene for gene, name in enumerate(model_genes)}

    def find(self, names: Sequence[str]) -> np.ndarray:
        """Find genes by name: sorted indices (k,) of the model's genes.

        Raises
        ------
        UserError
            The model has no gene of that name; the message lists similar names.
        """
        for name in names:
            if name not in self._genes:
                similar = difflib.get_close_matches(name, self._genes, n=3, cutoff=0.5) or list(self.names[:3])
                raise UserError(
                    f"perturb: the gene '{name}' is not among the model's {len(self.names)} (similar names: "
                    f"{', '.join(similar)}); leave it out, or use a model trained on it."
                )
        return np.unique(np.array([self._genes[name] for name in names], dtype=np.int64))
