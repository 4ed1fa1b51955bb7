"""The meta-cell vocabulary (Algorithms 1 and 2)."""

import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
import scipy.sparse as sp

from gest.errors import UserError

_CHUNK = 65_536  # cells per block, so that memory does not grow with the data


def normalise(counts: sp.csr_matrix | np.ndarray, normalisation: Mapping[str, float]) -> sp.csr_matrix:
    """Scale every cell to `target_sum`, then log(1 + x) (decision 2).

    Parameters
    ----------
    counts
        (n, T) raw counts; a cell without counts stays zero.
    normalisation
        `{"target_sum": ...}`, the training set's median total.
    """
    counts = sp.csr_matrix(counts, dtype=np.float32)
    totals = np.asarray(counts.sum(1, dtype=np.float64)).ravel()
    factors = np.divide(normalisation["target_sum"], totals, out=np.zeros_like(totals), where=totals > 0)
    scaled = counts.copy()
    scaled.data = np.log1p(scaled.data * np.repeat(factors, np.diff(counts.indptr))).astype(np.float32)
    return scaled


@dataclass(frozen=True)
class Vocabulary:
    """K meta cells: what a cell's expression is replaced by.

    Attributes
    ----------
    expression
        (K, T) mean normalised expression of each meta cell, C_expr.
    pca
        (K, p) mean principal components of each meta cell, C_pca.
    levels
        (3, K) integer labels of each meta cell at levels 1 to 3 of the hierarchy.
    genes
        T names, the order of every expression matrix the vocabulary meets.
    normalisation
        `{"target_sum": ...}` for data of raw counts, None where expression came normalised.
    mean, components
        (T,) and (p, T) of the principal component analysis.
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
        expression: sp.csr_matrix | np.ndarray,
        *,
        n_metacells: int,
        n_components: int = 50,
        hierarchy: Sequence[int] = (15, 10, 5),
        genes: Sequence[str] | None = None,
        normalisation: Mapping[str, float] | None = None,
        seed: int = 0,
    ) -> Self:
        """Build the vocabulary (Algorithm 1): PCA, k-means, means of each cluster, and k-means of the meta cells.

        Parameters
        ----------
        expression
            (n, T) normalised, dense or CSR.
        n_metacells
            K.
        n_components
            p, at most T − 1 and n − 1.
        hierarchy
            K_1, K_2, K_3; none is more than K.
        genes
            T names; numbers stand in where there are none.
        normalisation
            What was done to the counts, kept so that the same is done to new data.

        Raises
        ------
        UserError
            Fewer distinct cells than meta cells.
        """
        from sklearn.cluster import KMeans
        from threadpoolctl import threadpool_limits

        expression = _matrix(expression)
        n, T = expression.shape
        if n_metacells > n:
            raise UserError(f"vocabulary: {n_metacells} meta cells cannot be made of {n} cells; lower 'n_metacells'.")
        mean, components = _principal_components(expression, min(n_components, T - 1, n - 1))
        points = _project(expression, mean, components)  # (n, p)

        def cluster(data: np.ndarray, k: int) -> np.ndarray:
            # One thread: the order in which several add up their sums would change the last bits.
            with threadpool_limits(1, user_api="openmp"):
                return KMeans(min(k, len(data)), n_init=1, tol=0, random_state=seed).fit_predict(data)

        _, label = np.unique(cluster(points, n_metacells), return_inverse=True)
        sizes = np.bincount(label)
        if len(sizes) < n_metacells:
            raise UserError(
                f"vocabulary: only {len(sizes)} of {n_metacells} meta cells could be told apart; lower 'n_metacells'."
            )
        member = sp.csr_matrix((1 / sizes[label], (label, np.arange(n))), shape=(n_metacells, n))  # averages clusters
        pca = np.asarray(member @ points)
        means = member @ expression
        levels = np.stack([cluster(pca, k) for k in hierarchy])
        return cls(
            expression=np.asarray(means.toarray() if sp.issparse(means) else means, dtype=np.float32),
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
        """
        expression = _matrix(expression)
        if expression.shape[1] != len(self.genes):
            raise UserError(
                f"vocabulary: expression has {expression.shape[1]} genes, and the vocabulary {len(self.genes)}; "
                "order the columns by its 'genes'."
            )
        tokens = np.empty(expression.shape[0], dtype=np.int64)
        centres = self.pca.astype(np.float64)
        for start in range(0, len(tokens), _CHUNK):
            points = _project(expression[start : start + _CHUNK], self.mean, self.components)
            squared = (centres**2).sum(1) - 2 * points @ centres.T  # ‖p‖² is the same for all meta cells
            tokens[start : start + _CHUNK] = squared.argmin(1)
        return tokens

    def reestimate(
        self, expression: sp.csr_matrix | np.ndarray, tokens: np.ndarray, *, prior_cells: float = 10
    ) -> np.ndarray:
        """Average each meta cell's expression anew over cells of another section.

        Sections differ in staining and in detection; the mean of their own cells follows that. Not in the paper.

        Parameters
        ----------
        expression
            (n, T) normalised.
        tokens
            (n,) the cells' meta cells.
        prior_cells
            How many cells of its own the training mean counts for, so that a rare meta cell stays near it.

        Returns
        -------
        (K, T)
        """
        member = sp.csr_matrix((np.ones(len(tokens)), (tokens, np.arange(len(tokens)))), shape=(len(self), len(tokens)))
        total = member @ expression
        total = total.toarray() if sp.issparse(total) else np.asarray(total)
        size = np.bincount(tokens, minlength=len(self))[:, None]
        return ((total + prior_cells * self.expression) / (size + prior_cells)).astype(np.float32)

    def states(self, n: int = 8) -> np.ndarray:
        """(K, n) first principal components of the meta cells, of mean 0 and variance 1 over the training cells."""
        pca = self.pca[:, :n]
        mean = np.average(pca, axis=0, weights=self.sizes)
        spread = np.sqrt(np.average((pca - mean) ** 2, axis=0, weights=self.sizes))
        return (pca - mean) / np.where(spread > 0, spread, 1)

    def save(self, path: str | os.PathLike) -> None:
        """Write one `.npz` with everything in it; the same vocabulary gives the same bytes."""
        partial = Path(f"{path}.partial")
        partial.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(self._bytes())
        os.replace(partial, path)

    def digest(self) -> bytes:
        """Hash of everything in it."""
        return hashlib.sha256(self._bytes()).digest()

    def _bytes(self) -> bytes:
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        arrays["normalisation"] = np.array(json.dumps(self.normalisation))
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        return buffer.getvalue()

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        UserError
            No such file, or not a vocabulary.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays: dict[str, Any] = {name: file[name] for name in _ARRAYS}
                arrays["normalisation"] = json.loads(str(file["normalisation"]))
        except (OSError, EOFError, KeyError, ValueError, BadZipFile) as error:
            raise UserError(f"{path}: not a vocabulary ({error}); make one with `gest vocabulary`.") from error
        return cls(**arrays)


def fit_sections(sections: Sequence[Any], settings: Mapping[str, Any], *, seed: int = 0) -> Vocabulary:
    """Fit a vocabulary to training sections: normalisation first (decision 2), then Algorithm 1.

    Parameters
    ----------
    sections
        AnnData, all of the same genes in the same order, of counts or all normalised.
    settings
        `n_metacells` (default 1000), never more than a twentieth of the cells (decision 3); `n_components`;
        `hierarchy`.

    Raises
    ------
    UserError
        The sections' genes differ, or some hold counts and others normalised values.
    """
    genes = sections[0].var_names
    for section in sections[1:]:
        if not section.var_names.equals(genes):
            name = section.obs["section"].iloc[0]
            raise UserError(f"vocabulary: section '{name}' has other genes than the first; keep the same genes in all.")
    kinds = {section.uns.get("gest", {}).get("x", "counts") for section in sections}
    if len(kinds) > 1:
        raise UserError("vocabulary: some sections hold counts and others normalised values; `x` must be one of them.")
    stacked = sp.vstack([sp.csr_matrix(section.X) for section in sections], format="csr")
    normalisation = None
    if kinds == {"counts"}:
        normalisation = {"target_sum": float(np.median(np.asarray(stacked.sum(1, dtype=np.float64))))}
        stacked = normalise(stacked, normalisation)
    given = {"n_metacells": 1000} | dict(settings)
    if unknown := set(given) - {"n_metacells", "n_components", "hierarchy"}:
        raise UserError(
            f"config: 'vocabulary.{min(unknown)}' is not a key; it takes n_metacells, n_components and hierarchy."
        )
    given["n_metacells"] = max(min(given["n_metacells"], stacked.shape[0] // 20), 1)  # decision 3
    return Vocabulary.fit(stacked, **given, genes=genes, normalisation=normalisation, seed=seed)


_ARRAYS = ("expression", "pca", "levels", "genes", "mean", "components", "sizes")


def _matrix(expression: sp.csr_matrix | np.ndarray) -> sp.csr_matrix | np.ndarray:
    expression = sp.csr_matrix(expression) if sp.issparse(expression) else np.asarray(expression)
    values = expression.data if sp.issparse(expression) else expression
    if not np.isfinite(values).all():
        raise UserError("vocabulary: the expression holds NaN or infinite values; it must be finite.")
    return expression


def _principal_components(expression: sp.csr_matrix | np.ndarray, p: int) -> tuple[np.ndarray, np.ndarray]:
    """Exact PCA from one streamed pass over mean and T × T covariance, however many cells: (T,) and (p, T)."""
    n, T = expression.shape
    total, gram = np.zeros(T), np.zeros((T, T))
    for start in range(0, n, _CHUNK):
        block = expression[start : start + _CHUNK].astype(np.float64)
        total += np.asarray(block.sum(0)).ravel()
        product = block.T @ block
        gram += product.toarray() if sp.issparse(product) else product
    mean = total / n
    _, vectors = np.linalg.eigh(gram / n - np.outer(mean, mean))
    components = vectors[:, ::-1][:, :p].T
    largest = np.abs(components).argmax(1)
    signs = np.sign(components[np.arange(len(components)), largest])  # an eigenvector's sign is arbitrary: fix it
    return mean, components * signs[:, None]


def _project(expression: sp.csr_matrix | np.ndarray, mean: np.ndarray, components: np.ndarray) -> np.ndarray:
    return np.asarray(expression @ components.T.astype(np.float64)) - mean.astype(np.float64) @ components.T
