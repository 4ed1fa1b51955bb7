"""Generating unseen cells, round by round, from the seen cells around them (A.2, Eq. 11)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from gest.errors import UserError
from gest.model import GeST
from gest.utils.progress import progress
from gest.windows import CORNERS, Grid, position_bins, serialize, stack

if TYPE_CHECKING:
    from anndata import AnnData
    from scipy.sparse import csr_matrix

_BATCH = 16  # windows run together; results do not depend on it
_BAND = 128  # windows of similar length, which are then put in order of their targets


class Generated(NamedTuple):
    """What the rounds gave for m unseen cells, in the order of their indices."""

    means: np.ndarray
    """(m, K) probabilities of the meta cells, or without quantisation (m, T) expression: the mean of each cell's
    estimates (Eq. 11)."""
    rounds: np.ndarray
    """(m,) the round that generated each cell, from 1."""
    estimates: np.ndarray
    """(m,) how many reference windows gave an estimate."""


def generate(
    adata: AnnData,
    model: GeST,
    *,
    unseen: np.ndarray | str,
    mode: str = "weighted",
    batch_size: int | None = None,
    seed: int = 0,
) -> AnnData:
    """Predict the expression of unseen cells from where they lie and from the cells around them (A.2).

    Parameters
    ----------
    adata
        One section: counts in `X`, `obsm["spatial"]` (n, 2) in µm. What `X` holds for unseen cells is never read.
    unseen
        (n,) booleans, or the name of a boolean column of `obs`.
    mode
        `weighted`: the meta cells' expression weighted by probability; `picking`: that of the likeliest (section 3.4),
        which a model without quantisation has none of.
    batch_size
        Windows run together; changes speed, not results.

    Returns
    -------
    `adata` itself, with `layers["gest"]` (n, genes): predictions in unseen cells, the cell's own normalised expression
    in seen ones, NaN where the model lacks the gene; `obs["gest_round"]`: the round that generated a cell, 0 if seen;
    `uns["gest"]`: how it was made.

    Raises
    ------
    UserError
        No unseen or no seen cell, a mode that is unknown or not the model's, too few shared genes, or cells that no
        seen cell can reach.
    """
    from gest.data.read_for_model import read_for_model

    check_mode(mode, model)
    if batch_size is not None and batch_size < 1:
        raise UserError(f"generate: the batch size is {batch_size}, and must be at least 1.")
    hidden = mask_of(adata, unseen)
    vocabulary = model.vocabulary
    read = read_for_model(adata, vocabulary, empty_cells="they are seen, but not used as context", seen=~hidden)
    used = hidden.copy()  # cells without counts are neither generated nor a context for others
    used[~hidden] = read.has_counts
    tokens = seen_tokens(model, read.expression, hidden)
    made = generate_tokens(model, read.xy[used], tokens[used], batch_size=batch_size, seed=seed)
    predicted = aggregate(made.means, vocabulary.expression, mode) if model.quantised else made.means

    found = read.columns >= 0
    layer = np.full(adata.shape, np.nan, dtype=np.float32)
    layer[np.ix_(hidden, read.columns[found])] = predicted[:, found]
    layer[np.ix_(~hidden, read.columns[found])] = read.expression.toarray()[:, found]
    adata.layers["gest"] = layer
    adata.obs["gest_round"] = 0
    adata.obs.loc[hidden, "gest_round"] = made.rounds
    adata.uns["gest"] = dict(adata.uns.get("gest", {})) | {
        "mode": mode if model.quantised else "continuous",
        "seed": seed,
        "window": model.config.window,
        "n_unseen": int(hidden.sum()),
        "n_rounds": int(made.rounds.max()),
        "n_negative": int((predicted < 0).sum()),  # invalid values, which squared error does not rule out
        "genes_missing": [str(gene) for gene in vocabulary.genes[~found]],
    }
    return adata


def check_mode(mode: str, model: GeST) -> None:
    """Raise UserError if a mode is unknown, or not the model's."""
    if mode not in ("weighted", "picking"):
        raise UserError(f"generate: mode is '{mode}', and must be weighted or picking.")
    if mode == "picking" and not model.quantised:
        raise UserError("generate: mode is 'picking', and this model has no meta cells to pick; leave it 'weighted'.")


def aggregate(probabilities: np.ndarray, expression: np.ndarray, mode: str) -> np.ndarray:
    """Turn probabilities (m, K) and a codebook (K, T) into expression (m, T), by either mode of section 3.4."""
    if mode == "picking":
        return expression[probabilities.argmax(1)]
    return probabilities @ expression  # Eq. 11


def seen_tokens(model: GeST, known: csr_matrix, unseen: np.ndarray) -> np.ndarray:
    """Give every cell what the model sees of it, for `generate_tokens`.

    Parameters
    ----------
    known
        (n_seen, T) normalised expression of the seen cells.
    unseen
        (n,) booleans.

    Returns
    -------
    (n,) meta cells, −1 where unseen; without quantisation (n, T) expression, NaN where unseen.
    """
    if model.quantised:
        tokens = np.full(len(unseen), -1)
        tokens[~unseen] = model.vocabulary.tokenize(known)
    else:
        tokens = np.full((len(unseen), known.shape[1]), np.nan, dtype=np.float32)
        tokens[~unseen] = known.toarray()
    return tokens


def generate_tokens(
    model: GeST,
    xy: np.ndarray,
    tokens: np.ndarray,
    *,
    batch_size: int | None = None,
    seed: int = 0,
    told: str = "generating",
) -> Generated:
    """Run the rounds of A.2 on tokens.

    In each round every seen cell that has unseen cells in its window is a reference: its window's seen cells, in a
    seeded order (Eq. 5), predict the window's unseen cells, all in parallel. The estimates of a cell are averaged
    (Eq. 11); its likeliest meta cell, or without quantisation the average itself, is seen from the next round on
    (decision 14).

    Parameters
    ----------
    xy
        (n, 2) µm.
    tokens
        As `seen_tokens` gives them: (n,) meta cells, −1 where unseen, or (n, T) expression, NaN where unseen.
    told
        What the bar of progress calls it.

    Raises
    ------
    UserError
        Unseen cells that no chain of windows reaches from a seen one; the message names the first.
    """
    xy, tokens = np.asarray(xy, dtype=np.float64), np.array(tokens)
    seen = tokens >= 0 if model.quantised else ~np.isnan(tokens).any(1)
    _check_some_of_both(seen)
    unseen = np.flatnonzero(~seen)
    place = np.full(len(xy), -1)
    place[unseen] = np.arange(len(unseen))
    K, T = model.codebook.shape
    mean = np.zeros((len(unseen), K if model.quantised else T), dtype=np.float32)
    rounds, estimates = np.zeros(len(unseen), dtype=np.int64), np.zeros(len(unseen), dtype=np.int64)
    grid = Grid(xy, model.config.window)
    bar = progress(len(unseen), "cell", told, leave=False)
    number = 0
    while not seen.all():
        number += 1
        windows = _reference_windows(model, grid, seen, seed=seed, number=number)
        if not windows:
            lost = np.flatnonzero(~seen)
            first = f"the first is cell {lost[0]} at {xy[lost[0]].round(1).tolist()} µm"
            raise UserError(
                f"generate: {len(lost)} unseen cells ({first}) lie further than {model.config.window / 2:g} µm, half a "
                "window, from every seen or generated cell; leave them out, or use a model with a larger window."
            )
        for targets, estimate in _estimates(model, xy, tokens, windows, batch_size or _BATCH):
            mean[place[targets]] += estimate
            estimates[place[targets]] += 1
        reached = place[np.unique(np.concatenate([window.targets for window in windows]))]
        mean[reached] /= estimates[reached, None]  # Eq. 11
        rounds[reached] = number
        tokens[unseen[reached]] = mean[reached].argmax(1) if model.quantised else mean[reached]
        seen[unseen[reached]] = True
        bar.update(len(reached))
    bar.close()
    return Generated(mean, rounds, estimates)


class _Window(NamedTuple):
    origin: np.ndarray  # (2,) µm, the reference cell
    seen: np.ndarray  # indices, in serial order
    targets: np.ndarray  # indices of the unseen


def _reference_windows(model: GeST, grid: Grid, seen: np.ndarray, *, seed: int, number: int) -> list[_Window]:
    """Find every seen cell with an unseen one in its window (X_s of A.2), and order its seen cells."""
    side, order = model.config.window, model.config.serialisation
    near = np.zeros(len(seen), dtype=bool)
    for cell in np.flatnonzero(~seen):
        near[grid.window(grid.xy[cell], 1.001 * side)] = True  # a little more: rounding decides on the border
    windows = []
    for reference in np.flatnonzero(near & seen):
        origin = grid.xy[reference]
        cells = grid.window(origin, side)
        context, targets = cells[seen[cells]], cells[~seen[cells]]
        if not len(targets):
            continue
        rng = np.random.default_rng((seed, number, reference))  # so that batches do not matter
        corner = origin + (CORNERS[rng.integers(4)] - 0.5) * side
        sequence = serialize(grid.xy[context], corner=corner, order=order.order, sharpness=order.sharpness, rng=rng)
        windows.append(_Window(origin, context[sequence], targets))
    return windows


def _by_size(windows: Sequence[_Window]) -> list[_Window]:
    """Order windows so that neighbours hold about as many seen cells, and about as many targets: both are padded."""
    by_length = sorted(windows, key=lambda w: len(w.seen))
    bands = (by_length[start : start + _BAND] for start in range(0, len(by_length), _BAND))
    return [w for band in bands for w in sorted(band, key=lambda w: len(w.targets))]


@torch.no_grad()
def _estimates(
    model: GeST, xy: np.ndarray, tokens: np.ndarray, windows: Sequence[_Window], batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Run windows in batches of similar size; yield each window's targets and their estimates (U, K or T)."""
    window, n_bins, device = model.config.window, model.config.model.position_bins, model.device
    alike = _by_size(windows)
    model.eval()
    for start in range(0, len(alike), batch_size):
        batch = alike[start : start + batch_size]
        seen = stack([tokens[w.seen] for w in batch])
        bins, places = (
            stack([position_bins(xy[cells], w.origin, window=window, n_bins=n_bins) for w, cells in pairs])
            for pairs in ([(w, w.seen) for w in batch], [(w, w.targets) for w in batch])
        )
        n_seen = np.array([len(w.seen) for w in batch])
        output = model.predict(*(torch.from_numpy(x).to(device) for x in (seen, bins, n_seen, places)))
        estimates = output.float().softmax(-1) if model.quantised else output.float()  # Eq. 8
        for w, estimate in zip(batch, estimates.cpu().numpy(), strict=True):
            yield w.targets, estimate[: len(w.targets)]


def mask_of(adata: AnnData, unseen: np.ndarray | str) -> np.ndarray:
    """Say which cells are unseen, (n,) booleans, as `generate` takes them; raise UserError if it cannot take them."""
    if isinstance(unseen, str):
        if unseen not in adata.obs:
            columns = ", ".join(adata.obs) or "none"
            raise UserError(f"section: obs has no column '{unseen}' to say which cells are unseen; it has {columns}.")
        unseen = adata.obs[unseen].to_numpy()
    mask = np.asarray(unseen)
    if mask.dtype != bool or mask.shape != (adata.n_obs,):
        raise UserError(
            f"generate: 'unseen' has type {mask.dtype} and shape {mask.shape}, and must hold {adata.n_obs} booleans."
        )
    _check_some_of_both(~mask)
    return mask


def _check_some_of_both(seen: np.ndarray) -> None:
    """Raise UserError if none, or all, of (n,) cells are seen."""
    if not seen.any():
        raise UserError("generate: every cell is unseen; at least one seen cell is needed to generate from.")
    if seen.all():
        raise UserError("generate: no cell is unseen; mark those to generate.")
