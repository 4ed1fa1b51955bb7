"""Predict the expression of unseen cells of a section (section 3.4, A.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gest.errors import UserError
from gest.model import GeST
from gest.tasks.checks import check_batch_size
from gest.tasks.generation.rounds import aggregate, check_seen, generate_tokens, tokenize_seen

if TYPE_CHECKING:
    from anndata import AnnData

MODES = ("weighted", "picking")


def generate(
    adata: AnnData,
    model: GeST,
    *,
    unseen: np.ndarray | str,
    mode: str = "weighted",
    batch_size: int | None = None,
    seed: int = 0,
) -> AnnData:
    """Predict the expression of unseen cells from the cells around them (A.2).

    Parameters
    ----------
    adata
        One section: counts in `X`, `obsm["spatial"]` (n, 2) in µm. The expression of unseen cells is never read.
    unseen
        (n,) booleans, or the name of a boolean column of `obs`.
    mode
        How expression is computed from the probabilities of meta cells (section 3.4). `weighted`: the mean of all meta
        cells, weighted by probability; `picking`: the most probable meta cell, not for a model without quantisation.
    batch_size
        Windows per batch; changes speed, not results.
    seed
        Seed of the random orders of cells (Eq. 5).

    Returns
    -------
    AnnData
        `adata` itself, with

        - `layers["gest"]`: (n, genes) predicted expression of unseen cells and normalised expression of seen cells;
          NaN where the model lacks the gene;
        - `obs["gest_round"]`: the round that generated the cell, 0 if the cell is seen;
        - `uns["gest"]`: the settings, some counts, and the model's genes that the section lacks.

    Raises
    ------
    UserError
        No cell is unseen or none is seen, the mode is unknown or unavailable for the model, too few genes are shared,
        or no chain of windows leads from the seen cells to some unseen cell.

    Examples
    --------
    >>> import gest
    >>> from gest.testing.example import example
    >>> section, model = example()
    >>> unseen = section.obsm["spatial"][:, 0] > 300
    >>> result = gest.generate(section, model, unseen=unseen)
    >>> result.layers["gest"].shape
    (200, 20)
    >>> (result.obs["gest_round"] > 0).tolist() == unseen.tolist()
    True
    """
    from gest.data.read_for_model import read_for_model

    check_mode(mode, model)
    check_batch_size(batch_size, "generate")
    hidden = resolve_unseen(adata, unseen)
    vocabulary = model.vocabulary
    read = read_for_model(adata, vocabulary, empty_cells="they are seen, but not used as context", seen=~hidden)
    used = hidden.copy()  # seen cells without counts are not used as context
    used[~hidden] = read.has_counts
    tokens = tokenize_seen(model, read.expression, hidden)
    generated = generate_tokens(model, read.xy[used], tokens[used], batch_size=batch_size, seed=seed)
    means = generated.means
    predicted = aggregate(means, vocabulary.expression, mode) if model.quantised else means

    shared = read.columns >= 0
    layer = np.full(adata.shape, np.nan, dtype=np.float32)
    layer[np.ix_(hidden, read.columns[shared])] = predicted[:, shared]
    layer[np.ix_(~hidden, read.columns[shared])] = read.expression.toarray()[:, shared]
    adata.layers["gest"] = layer
    adata.obs["gest_round"] = 0
    adata.obs.loc[hidden, "gest_round"] = generated.rounds
    adata.uns["gest"] = dict(adata.uns.get("gest", {})) | {
        "mode": mode if model.quantised else "continuous",
        "seed": seed,
        "window": model.config.window,
        "n_unseen": int(hidden.sum()),
        "n_rounds": int(generated.rounds.max()),
        "n_negative": int((predicted < 0).sum()),  # invalid values, possible without quantisation
        "genes_missing": [str(gene) for gene in vocabulary.genes[~shared]],
    }
    return adata


def check_mode(mode: str, model: GeST) -> None:
    """Raise UserError if a mode is unknown, or unavailable for the model."""
    if mode not in MODES:
        raise UserError(f"generate: unknown mode '{mode}' (choose {' or '.join(MODES)}).")
    if mode == "picking" and not model.quantised:
        raise UserError("generate: mode 'picking' needs meta cells, and this model has none; leave mode at 'weighted'.")


def resolve_unseen(adata: AnnData, unseen: np.ndarray | str) -> np.ndarray:
    """Turn the argument `unseen` of `generate` into (n,) booleans.

    Raises
    ------
    UserError
        The column is missing, the values are not n booleans, or no cell is unseen or none is seen.
    """
    if isinstance(unseen, str):
        if unseen not in adata.obs:
            columns = ", ".join(adata.obs) or "none"
            raise UserError(f"generate: obs has no column '{unseen}' of unseen cells (its columns: {columns}).")
        unseen = adata.obs[unseen].to_numpy()
    mask = np.asarray(unseen)
    if mask.dtype != bool or mask.shape != (adata.n_obs,):
        raise UserError(
            f"generate: 'unseen' has type {mask.dtype} and shape {mask.shape} (expected {adata.n_obs} booleans)."
        )
    check_seen(~mask)
    return mask
