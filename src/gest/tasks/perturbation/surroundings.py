"""A region of interest and the cells around it, generated from any profiles of the region (section 4.4)."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gest.errors import UserError
from gest.model import GeST
from gest.roi import ROI, Circle, cells_of
from gest.tasks.generation.rounds import aggregate, generate_tokens
from gest.windows import Grid

if TYPE_CHECKING:
    from anndata import AnnData

CONTEXTS = ("roi", "tissue")


class Surroundings:
    """The m cells around a region of r cells: those outside it that lie in the model's window of one of its cells.

    Parameters
    ----------
    adata
        One section of n cells: counts in `X`, `obsm["spatial"]` in µm. It is left as it is.
    context
        What they are generated from: `roi`, the region alone, or `tissue`, all cells further out besides.
    seed
        Of the random orders of generation, which are the same whatever the profiles.

    Raises
    ------
    UserError
        The region has no cells or no surroundings, or the context is unknown.
    """

    def __init__(self, adata: AnnData, model: GeST, *, roi: ROI, context: str = "roi", seed: int = 0) -> None:
        from gest.data.read_for_model import read_for_model

        if context not in CONTEXTS:
            raise UserError(f"perturb: context is '{context}', and must be {' or '.join(CONTEXTS)}.")
        self.model, self.context, self.seed = model, context, seed
        read = read_for_model(adata, model.vocabulary, empty_cells="they are left out")
        self.xy = read.xy
        self.known = read.expression
        """(n, T) log-normalised expression."""
        inside, filled = cells_of(adata, roi), read.has_counts
        self.filled = filled
        """(n,) booleans: which cells have counts; the others take no part."""
        if not filled[inside].any():
            raise UserError(f"ROI: none of the {inside.sum()} cells in {roi} has counts; move or widen it.")
        self.roi = np.flatnonzero(inside & filled)
        """(r,) indices of the region's cells."""
        centre = self.xy[self.roi].mean(0)
        farthest = np.linalg.norm(self.xy[self.roi] - centre, axis=1).max()
        self.half_diameter = float(roi.radius if isinstance(roi, Circle) else farthest)
        """µm."""
        self.grid = Grid(self.xy, model.config.window)
        around = self.in_windows_of(self.roi) & ~inside & filled
        if not around.any():
            raise UserError(
                f"perturb: no cell outside {roi} lies in the window of one in it, {model.config.window / 2:g} µm to "
                "each side; choose a smaller region, or use a model with a larger window."
            )
        self.cells = np.flatnonzero(around)
        """(m,) indices of the surroundings."""
        self.context_cells = filled & ~around & (inside | (context == "tissue"))
        """(n,) booleans: what is seen."""
        self._runs = 0  # of generation
        self._tokens = self._read(self.known if model.quantised else self.known.toarray())
        columns = read.columns
        names, words = adata.var_names.to_numpy(dtype=str), model.vocabulary.genes
        self.genes = np.where(columns >= 0, names[columns], words)
        """(T,) names as in `var_names`, or the model's where the section lacks a gene."""
        # A gene goes by all its names: those in columns of `var`, in `var_names`, and the model's.
        self._place: dict[str, int] = {}
        for texts in (adata.var[name] for name in adata.var if adata.var[name].dtype.kind not in "fiub"):
            texts = texts.astype(str)
            if texts.is_unique:  # else it holds kinds of genes, not names
                self._place |= {texts.iloc[column]: gene for gene, column in enumerate(columns) if column >= 0}
        self._place |= {str(name): gene for gene, name in enumerate(self.genes)}
        self._place |= {str(name): gene for gene, name in enumerate(words)}

    def columns(self, genes: Sequence[str]) -> np.ndarray:
        """Find genes by name, symbol or Ensembl id: sorted columns of the model's genes, (k,).

        Raises
        ------
        UserError
            A name that is not in the panel; the message names the nearest ones.
        """
        for name in genes:
            if name not in self._place:
                near = difflib.get_close_matches(name, self._place, n=3, cutoff=0.5) or list(self.genes[:3])
                raise UserError(
                    f"perturb: the gene '{name}' is not among the model's {len(self.genes)}, of which "
                    f"{', '.join(near)} come nearest; leave it out, or use a model trained on it."
                )
        return np.unique(np.array([self._place[name] for name in genes], dtype=np.int64))

    def in_windows_of(self, cells: np.ndarray, *, widened: float = 1.0) -> np.ndarray:
        """(n,) booleans: which cells lie in the model's window around one of `cells`, indices."""
        near = np.zeros(len(self.xy), dtype=bool)
        for cell in cells:
            near[self.grid.window(self.xy[cell], widened * self.model.config.window)] = True
        return near

    @cached_property
    def profiles(self) -> np.ndarray:
        """(r, T) log-normalised expression of the region as it is."""
        return self.known[self.roi].toarray()

    @cached_property
    def control(self) -> np.ndarray:
        """(m, T) the surroundings generated from the region as it is."""
        return self.generate(self.roi, self.profiles)

    def generate(self, cells: np.ndarray, profiles: np.ndarray) -> np.ndarray:
        """Generate the surroundings where some cells have other profiles; they are seen even if the context is not.

        Each of the surroundings is in the window of a cell of the region, so that one round of A.2 reaches them all and
        nothing generated is fed back.

        Parameters
        ----------
        cells
            (c,) indices.
        profiles
            (c, T) log-normalised expression.

        Returns
        -------
        (m, T) log-normalised expression: the meta cells' weighted by probability (Eq. 11).
        """
        tokens, part = self._tokens.copy(), self.context_cells.copy()
        tokens[cells] = self._read(profiles)
        tokens[self.cells] = -1 if self.model.quantised else np.nan
        part[cells] = part[self.cells] = True
        self._runs += 1
        activity = f"generating, run {self._runs}"
        means = generate_tokens(self.model, self.xy[part], tokens[part], seed=self.seed, activity=activity).means
        return aggregate(means, self.model.vocabulary.expression, "weighted") if self.model.quantised else means

    def _read(self, profiles: np.ndarray) -> np.ndarray:
        """Turn profiles (c, T) into what the model sees: meta cells (c,), or without quantisation the profiles."""
        return self.model.vocabulary.tokenize(profiles) if self.model.quantised else profiles.astype(np.float32)
