"""Fit a vocabulary to training sections, which are read one at a time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from gest._metacells import Matrix, blocks_of_rows
from gest.data.training_sections import Sections, holds_counts, stream, variable_genes
from gest.utils.settings import check_bounds, read_settings, setting
from gest.vocabulary import Vocabulary, normalise


@dataclass(frozen=True, kw_only=True)
class VocabularySettings:
    """Settings of a vocabulary: the `vocabulary` section of a configuration."""

    n_metacells: int = 1000
    """K, the number of meta cells; at most a twentieth of the cells is used (decision 3)."""
    n_components: int = 50
    """p, the number of principal components."""
    hierarchy: tuple[int, ...] = (15, 10, 5)
    """K_1, K_2, K_3: the numbers of clusters of meta cells at levels 1 to 3."""
    n_genes: int | None = setting(None, at_least=1)
    """Number of most variable genes to keep; None: all genes (decision 32)."""
    markers: tuple[str, ...] = ()
    """Genes to keep in addition to the most variable ones."""

    def __post_init__(self) -> None:
        check_bounds(self, "vocabulary")


def fit_sections(sections: Sections, settings: Mapping[str, Any], *, seed: int = 0) -> Vocabulary:
    """Fit a vocabulary to training sections.

    First the genes and the normalisation are chosen (decisions 32 and 2), then Algorithm 1 finds the meta cells.

    Parameters
    ----------
    sections
        AnnData, or paths of section files, which are read one at a time, several times each. If `n_genes` is set, the
        counts of all sections are held in memory together. All sections must have the same genes in the same order,
        and either all hold counts or all hold normalised values.
    settings
        Keys of `VocabularySettings`.

    Raises
    ------
    UserError
        A setting is unknown or out of range; see `stream` and `variable_genes` for other errors.
    """
    chosen = read_settings(VocabularySettings, settings, "vocabulary")
    first = next(stream(sections))
    genes, counts = first.var_names, holds_counts(first)
    del first
    kept = slice(None) if chosen.n_genes is None else variable_genes(sections, chosen.n_genes, chosen.markers)

    def matrices() -> Iterator[sp.csr_matrix]:
        return (sp.csr_matrix(section.X)[:, kept] for section in stream(sections))

    totals = np.concatenate([np.asarray(x.sum(1, dtype=np.float64)).ravel() for x in matrices()])
    normalisation = {"target_sum": float(np.median(totals))} if counts else None

    def blocks() -> Iterator[Matrix]:
        for x in matrices():
            yield from blocks_of_rows(normalise(x, normalisation) if normalisation else x)

    return Vocabulary.fit(
        blocks,
        n_metacells=cap_metacells(chosen.n_metacells, len(totals)),
        n_components=chosen.n_components,
        hierarchy=chosen.hierarchy,
        genes=genes[kept],
        normalisation=normalisation,
        seed=seed,
    )


def cap_metacells(n_metacells: int, cells: int) -> int:
    """Limit the number of meta cells to a twentieth of the cells (decision 3)."""
    return max(min(n_metacells, cells // 20), 1)
