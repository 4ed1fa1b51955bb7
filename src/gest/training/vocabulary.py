"""Fit a vocabulary to training sections, one section in memory at a time."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp

from gest._metacells import Matrix
from gest.data.training_sections import Sections, holds_counts, stream, variable_genes
from gest.errors import UserError
from gest.vocabulary import Vocabulary, blocks_of_rows, normalise


def fit_sections(sections: Sections, settings: Mapping[str, Any], *, seed: int = 0) -> Vocabulary:
    """Fit a vocabulary to training sections: genes, normalisation (decisions 32 and 2), then Algorithm 1.

    Parameters
    ----------
    sections
        AnnData, or paths of section files, which are read one at a time, anew for each of four passes. All have the
        same genes in the same order, and all hold counts or all normalised values.
    settings
        `n_metacells` (default 1000), never more than a twentieth of the cells (decision 3); `n_components`;
        `hierarchy`; `n_genes`, how many of the most variable genes are kept (default null: all), and `markers`, names
        of genes that are kept with them.

    Raises
    ------
    UserError
        A key of the settings is unknown; `stream` and `variable_genes` list what else may be wrong.
    """
    given = with_defaults(settings)
    n_genes, markers = given.pop("n_genes"), given.pop("markers")
    first = next(stream(sections))
    genes, counts = first.var_names, holds_counts(first)
    del first
    kept = slice(None) if n_genes is None else variable_genes(sections, n_genes, markers)

    def matrices() -> Iterator[sp.csr_matrix]:
        return (sp.csr_matrix(section.X)[:, kept] for section in stream(sections))

    totals = np.concatenate([np.asarray(x.sum(1, dtype=np.float64)).ravel() for x in matrices()])
    normalisation = {"target_sum": float(np.median(totals))} if counts else None

    def blocks() -> Iterator[Matrix]:
        for x in matrices():
            yield from blocks_of_rows(normalise(x, normalisation) if normalisation else x)

    given["n_metacells"] = cap_metacells(given["n_metacells"], len(totals))
    return Vocabulary.fit(blocks, **given, genes=genes[kept], normalisation=normalisation, seed=seed)


def with_defaults(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give the settings of `fit_sections` that are left out their defaults; raise UserError if one is not known."""
    if unknown := set(settings) - set(_SETTINGS):
        raise UserError(f"config: 'vocabulary.{min(unknown)}' is not a key; it takes {', '.join(_SETTINGS)}.")
    return {"n_metacells": 1000, "n_genes": None, "markers": ()} | dict(settings)


def cap_metacells(n_metacells: int, cells: int) -> int:
    """Bound the number of meta cells by a twentieth of the cells (decision 3)."""
    return max(min(n_metacells, cells // 20), 1)


_SETTINGS = ("n_metacells", "n_components", "hierarchy", "n_genes", "markers")
