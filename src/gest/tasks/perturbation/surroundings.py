"""The surroundings of a region of interest, generated from given profiles of the region (section 4.4)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gest.errors import UserError
from gest.model import GeST
from gest.roi import ROI, Circle, cells_of
from gest.tasks.generation.rounds import aggregate, generate_tokens
from gest.tasks.perturbation.gene_names import GeneNames
from gest.windows import Grid

if TYPE_CHECKING:
    from anndata import AnnData

CONTEXTS = ("roi", "tissue")


class Surroundings:
    """The m cells around a region of r cells.

    They lie outside the region and in the window around at least one of its cells.

    Parameters
    ----------
    adata
        One section of n cells: counts in `X`, `obsm["spatial"]` in µm. It is left unchanged.
    context
        The cells from which they are generated: `roi`, the region alone, or `tissue`, the region and all cells beyond
        the surroundings.
    seed
        Seed of the random orders of cells (Eq. 5), which do not depend on the profiles.

    Raises
    ------
    UserError
        The region has no cells or no surroundings, or the context is unknown.
    """

    def __init__(self, adata: AnnData, model: GeST, *, roi: ROI, context: str = "roi", seed: int = 0) -> None:
        from gest.data.read_for_model import read_for_model

        if context not in CONTEXTS:
            raise UserError(f"perturb: unknown context '{context}' (choose {' or '.join(CONTEXTS)}).")
        self.model, self.context, self.seed = model, context, seed
        read = read_for_model(adata, model.vocabulary, empty_cells="they are left out")
        self.xy = read.xy
        self.expression = read.expression
        """(n, T) log-normalised."""
        self.has_counts = read.has_counts
        """(n,) booleans; cells without counts take no part."""
        self._gene_names = GeneNames(adata, model.vocabulary.genes, read.columns)
        self.genes = self._gene_names.names
        """(T,) names as in `var_names`, or the model's where the section lacks a gene."""

        inside = cells_of(adata, roi)
        if not self.has_counts[inside].any():
            raise UserError(f"ROI: none of the {inside.sum()} cells in {roi} has counts; move or widen it.")
        self.roi = np.flatnonzero(inside & self.has_counts)
        """(r,) indices of the region's cells."""
        self.half_diameter = _measure_half_diameter(roi, self.xy[self.roi])
        """Half the diameter of the region, µm (`_measure_half_diameter`)."""
        self.grid = Grid(self.xy, model.config.window)
        around = self.in_windows_of(self.roi) & ~inside & self.has_counts
        if not around.any():
            raise UserError(
                f"perturb: no cell outside {roi} lies in the window of one in it, {model.config.window / 2:g} µm to "
                "each side; choose a smaller region, or use a model with a larger window."
            )
        self.cells = np.flatnonzero(around)
        """(m,) indices of the surroundings."""
        self.context_cells = self.has_counts & ~around & (inside | (context == "tissue"))
        """(n,) booleans: the cells that are seen."""
        self._tokens = self._tokenize(self.expression if model.quantised else self.expression.toarray())
        self._n_runs = 0  # calls of `generate`, for the progress bar

    def find_genes(self, genes: Sequence[str]) -> np.ndarray:
        """Find genes by name, symbol or Ensembl id: sorted columns (k,).

        Raises
        ------
        UserError
            The model has no gene of that name; the message lists similar names.
        """
        return self._gene_names.find(genes)

    def in_windows_of(self, cells: np.ndarray, *, widened: float = 1.0) -> np.ndarray:
        """Mark the cells (n,) that lie in the window around any of these cells, by index."""
        near = np.zeros(len(self.xy), dtype=bool)
        for cell in cells:
            near[self.grid.window(self.xy[cell], widened * self.model.config.window)] = True
        return near

    @cached_property
    def profiles(self) -> np.ndarray:
        """The log-normalised expression (r, T) of the unchanged region."""
        return self.expression[self.roi].toarray()

    @cached_property
    def control(self) -> np.ndarray:
        """The surroundings (m, T), generated from the unchanged region."""
        return self.generate(self.roi, self.profiles)

    def generate(self, cells: np.ndarray, profiles: np.ndarray) -> np.ndarray:
        """Generate the surroundings with other profiles for some of the cells.

        The cells with other profiles are seen, even if they are not in the context. Every cell of the surroundings is
        in the window of a cell of the region, so one round of A.2 generates all, and no generated cell is seen.

        Parameters
        ----------
        cells
            (c,) indices of the cells to change.
        profiles
            (c, T) their log-normalised expression.

        Returns
        -------
        (m, T) log-normalised expression (Eq. 11): the mean of the meta cells, weighted by probability, or the model's
        output without quantisation.
        """
        tokens, used = self._tokens.copy(), self.context_cells.copy()
        tokens[cells] = self._tokenize(profiles)
        tokens[self.cells] = -1 if self.model.quantised else np.nan
        used[cells] = used[self.cells] = True
        self._n_runs += 1
        activity = f"generating, run {self._n_runs}"
        means = generate_tokens(self.model, self.xy[used], tokens[used], seed=self.seed, activity=activity).means
        return aggregate(means, self.model.vocabulary.expression, "weighted") if self.model.quantised else means

    def _tokenize(self, profiles: np.ndarray) -> np.ndarray:
        """Turn profiles (c, T) into the model's input: meta cells (c,), or expression."""
        return self.model.vocabulary.tokenize(profiles) if self.model.quantised else profiles.astype(np.float32)


def _measure_half_diameter(roi: ROI, xy: np.ndarray) -> float:
    """Return a circle's radius, or the largest distance of a cell from the centre."""
    if isinstance(roi, Circle):
        return float(roi.radius)
    return float(np.linalg.norm(xy - xy.mean(0), axis=1).max())
