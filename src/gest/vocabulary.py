"""The meta-cell vocabulary: fit it (Algorithm 1) and replace cells by meta cells (Algorithm 2)."""

import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
import scipy.sparse as sp

from gest._metacells import (
    Blocks,
    Matrix,
    blocks_of_rows,
    cluster,
    cluster_means,
    covariance,
    k_means,
    principal_components,
    project,
    project_all,
)
from gest.errors import UserError
from gest.utils.files import whole_file


def normalise(counts: sp.csr_matrix | np.ndarray, normalisation: Mapping[str, float]) -> sp.csr_matrix:
    """Scale every cell to `target_sum`, then log(1 + x) (decision 2).

    Parameters
    ----------
    counts
        (n, T) raw counts. A cell without counts remains all zero.
    normalisation
        `{"target_sum": ...}`, the median total of the training cells.

    Examples
    --------
    >>> normalise(np.array([[1, 3], [0, 0]]), {"target_sum": 4}).toarray().round(2)
    array([[0.69, 1.39],
           [0.  , 0.  ]], dtype=float32)
    """
    counts = sp.csr_matrix(counts, dtype=np.float32)
    totals = np.asarray(counts.sum(1, dtype=np.float64)).ravel()
    factors = np.divide(normalisation["target_sum"], totals, out=np.zeros_like(totals), where=totals > 0)
    scaled = counts.copy()
    scaled.data = np.log1p(scaled.data * np.repeat(factors, np.diff(counts.indptr))).astype(np.float32)
    return scaled


@dataclass(frozen=True)
class Vocabulary:
    """K meta cells; each represents the expression of similar cells.

    Attributes
    ----------
    expression
        (K, T) mean normalised expression of each meta cell, C_expr.
    pca
        (K, p) mean principal components of each meta cell, C_pca.
    levels
        (3, K) integer labels of each meta cell at levels 1 to 3 of the hierarchy.
    genes
        (T,) gene names, in the order of the columns of every expression matrix.
    normalisation
        `{"target_sum": ...}` for raw counts; None if the training expression was already normalised.
    mean, components
        (T,) mean expression and (p, T) components of the principal component analysis.
    sizes
        (K,) number of training cells in each meta cell.
    """

    expression: np.ndarray
    pca: np.ndarray
    levels: np.ndarray
    genes: np.ndarray
    normalisation: dict[str, float] | None
    mean: np.ndarray
    components: np.ndarray
    sizes: np.ndarray

    @classmethod
    def fit(
        cls,
        expression: Matrix | Blocks,
        *,
        n_metacells: int,
        n_components: int = 50,
        hierarchy: Sequence[int] = (15, 10, 5),
        genes: Sequence[str] | None = None,
        normalisation: Mapping[str, float] | None = None,
        seed: int = 0,
    ) -> Self:
        """Build the vocabulary (Algorithm 1).

        The steps are PCA, k-means of the cells, averaging each cluster to a meta cell, and k-means of the meta cells.

        Parameters
        ----------
        expression
            (n, T) normalised, dense or CSR; or a function that returns blocks of its rows and is called three times.
        n_metacells
            K, the number of meta cells.
        n_components
            p, the number of principal components; reduced to T − 1 or n − 1 if it is larger.
        hierarchy
            K_1, K_2, K_3, the numbers of clusters of meta cells; each is reduced to K if it is larger.
        genes
            T names; by default the column numbers.
        normalisation
            How the counts were normalised; stored so that new data can be normalised in the same way.

        Raises
        ------
        UserError
            There are fewer distinct cells than meta cells, or the expression holds NaN or infinite values.

        Examples
        --------
        >>> cells = np.repeat(np.eye(4), 5, axis=0) + np.linspace(0, 0.1, 20)[:, None]
        >>> vocabulary = Vocabulary.fit(cells, n_metacells=4, n_components=3, hierarchy=(3, 2, 1))
        >>> vocabulary.expression.shape, vocabulary.levels.shape, vocabulary.sizes
        ((4, 4), (3, 4), array([5, 5, 5, 5]))
        """
        blocks = expression if callable(expression) else partial(blocks_of_rows, expression)
        n, mean, spread = covariance(blocks())
        if n_metacells > n:
            raise UserError(f"vocabulary: n_metacells is {n_metacells} (expected at most the {n} cells); lower it.")
        T = len(mean)
        components = principal_components(spread, min(n_components, T - 1, n - 1))
        points = project_all(blocks(), n, mean, components, clusters=n_metacells)
        _, label = np.unique(cluster(points, n_metacells, seed=seed), return_inverse=True)
        sizes = np.bincount(label)
        if len(sizes) < n_metacells:
            raise UserError(
                f"vocabulary: only {len(sizes)} of {n_metacells} meta cells are distinct; lower n_metacells."
            )
        means, pca = cluster_means(blocks(), points, label, T)
        levels = np.stack([k_means(pca, k, seed=seed).labels_ for k in hierarchy])
        return cls(
            expression=means.astype(np.float32),
            pca=pca.astype(np.float32),
            levels=levels.astype(np.int64),
            genes=np.asarray(range(T) if genes is None else genes, dtype=str),
            normalisation=dict(normalisation) if normalisation else None,
            mean=mean.astype(np.float32),
            components=components.astype(np.float32),
            sizes=sizes,
        )

    def __len__(self) -> int:
        return len(self.expression)

    def tokenize(self, expression: sp.csr_matrix | np.ndarray) -> np.ndarray:
        """Find each cell's nearest meta cell in PCA space (Algorithm 2).

        Parameters
        ----------
        expression
            (n, T) normalised, dense or CSR, in the order of `genes`.

        Returns
        -------
        (n,) integers below K.

        Examples
        --------
        >>> cells = np.repeat(np.eye(4), 5, axis=0) + np.linspace(0, 0.1, 20)[:, None]
        >>> vocabulary = Vocabulary.fit(cells, n_metacells=4, n_components=3, hierarchy=(3, 2, 1))
        >>> tokens = vocabulary.tokenize(cells)
        >>> tokens.shape, len(set(tokens[:5])), len(set(tokens))
        ((20,), 1, 4)
        """
        if expression.shape[1] != len(self.genes):
            raise UserError(
                f"vocabulary: the expression has {expression.shape[1]} genes (expected {len(self.genes)}); "
                "order its columns by the vocabulary's `genes`."
            )
        tokens, centres = [np.empty(0, dtype=np.int64)], self.pca.astype(np.float64)
        # |p − c|² = |p|² − 2 p·c + |c|². |p|² does not change the argmin, and an extra coordinate of 1 adds |c|².
        weights = np.vstack([-2 * centres.T, (centres**2).sum(1)])
        for block in blocks_of_rows(expression):
            points = project(block, self.mean, self.components)
            tokens.append((np.hstack([points, np.ones((len(points), 1))]) @ weights).argmin(1))
        return np.concatenate(tokens)

    def reestimate(
        self, expression: sp.csr_matrix | np.ndarray, tokens: np.ndarray, *, prior_cells: float = 10
    ) -> np.ndarray:
        """Re-estimate each meta cell's expression from the cells of another section.

        Sections differ in staining and in detection; the mean over a section's cells reflects that. Not in the paper.

        Parameters
        ----------
        expression
            (n, T) normalised.
        tokens
            (n,) the meta cell of each cell.
        prior_cells
            Weight of the training mean, as a number of cells; it keeps rare meta cells near that mean.

        Returns
        -------
        (K, T) mean expression of each meta cell.
        """
        member = sp.csr_matrix((np.ones(len(tokens)), (tokens, np.arange(len(tokens)))), shape=(len(self), len(tokens)))
        total = member @ expression
        total = total.toarray() if sp.issparse(total) else np.asarray(total)
        size = np.bincount(tokens, minlength=len(self))[:, None]
        return ((total + prior_cells * self.expression) / (size + prior_cells)).astype(np.float32)

    def total_over(self, genes: np.ndarray) -> float:
        """Return the total to which a cell's counts of some genes are scaled.

        It is `target_sum` times the share of these genes in the mean training cell.

        Parameters
        ----------
        genes
            (T,) booleans, or column numbers.
        """
        mean_counts = np.expm1(self.mean)
        return self.normalisation["target_sum"] * mean_counts[genes].sum() / mean_counts.sum()

    def states(self, n: int = 8) -> np.ndarray:
        """Standardise the meta cells' first n principal components: (K, n).

        Mean and standard deviation are those over the training cells: each meta cell is weighted by its size.
        """
        pca = self.pca[:, :n]
        mean = np.average(pca, axis=0, weights=self.sizes)
        spread = np.sqrt(np.average((pca - mean) ** 2, axis=0, weights=self.sizes))
        return (pca - mean) / np.where(spread > 0, spread, 1)

    def save(self, path: str | os.PathLike) -> None:
        """Write the vocabulary to one `.npz` file.

        The same vocabulary always gives the same bytes.
        """
        with whole_file(path) as partial_file:
            partial_file.write_bytes(self._bytes())

    def digest(self) -> bytes:
        """Hash everything that `save` writes."""
        return hashlib.sha256(self._bytes()).digest()

    def _bytes(self) -> bytes:
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        arrays["normalisation"] = np.array(json.dumps(self.normalisation))
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return buffer.getvalue()

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read a vocabulary that `save` wrote.

        Raises
        ------
        UserError
            The file is missing or is not a vocabulary.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays: dict[str, Any] = {name: file[name] for name in _ARRAYS}
                arrays["normalisation"] = json.loads(str(file["normalisation"]))
        except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
            raise UserError(f"{path}: not a vocabulary ({error}); create one with `gest vocabulary`.") from error
        return cls(**arrays)


_ARRAYS = ("expression", "pca", "levels", "genes", "mean", "components", "sizes")
