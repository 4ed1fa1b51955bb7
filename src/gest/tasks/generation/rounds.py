"""Generation from tokens in rounds: the cells generated in one round are seen in the next (A.2, Eq. 11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gest.errors import UserError
from gest.model import GeST
from gest.tasks.generation.reference_windows import estimate_targets, find_reference_windows
from gest.utils.progress import progress
from gest.windows import Grid

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_BATCH = 16  # windows per batch; results do not depend on it


@dataclass(frozen=True, kw_only=True)
class Generated:
    """The result for the m unseen cells, in the order of their indices."""

    means: np.ndarray
    """The mean of each cell's estimates (Eq. 11): (m, K) probabilities of meta cells or, without quantisation, (m, T)
    expression."""
    rounds: np.ndarray
    """(m,) the round that generated each cell, from 1."""
    estimates: np.ndarray
    """(m,) number of reference windows that gave an estimate of the cell."""


def tokenize_seen(model: GeST, known: csr_matrix, unseen: np.ndarray) -> np.ndarray:
    """Tokenise the seen cells of a section for `generate_tokens`.

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
    activity: str = "generating",
) -> Generated:
    """Run the rounds of A.2 on tokens.

    In each round, every seen cell with unseen cells in its window is a reference. The seen cells of its window, in a
    random order (Eq. 5), predict all unseen cells of the window in parallel. The estimates of a cell from all
    references are averaged (Eq. 11). From the next round on the cell is seen, as its most probable meta cell or,
    without quantisation, as the average itself (decision 14).

    Parameters
    ----------
    xy
        (n, 2) µm.
    tokens
        The result of `tokenize_seen`: (n,) meta cells, −1 where unseen, or (n, T) expression, NaN where unseen.
    activity
        Label of the progress bar.

    Raises
    ------
    UserError
        No cell is unseen or none is seen, or no chain of windows leads to some unseen cell; the message then names the
        first such cell.
    """
    xy, tokens = np.asarray(xy, dtype=np.float64), np.array(tokens)
    seen = tokens >= 0 if model.quantised else ~np.isnan(tokens).any(1)
    check_seen(seen)
    unseen = np.flatnonzero(~seen)
    row = np.full(len(xy), -1)  # index of each unseen cell in the results
    row[unseen] = np.arange(len(unseen))
    K, T = model.codebook.shape
    means = np.zeros((len(unseen), K if model.quantised else T), dtype=np.float32)
    rounds, estimates = np.zeros(len(unseen), dtype=np.int64), np.zeros(len(unseen), dtype=np.int64)
    grid = Grid(xy, model.config.window)
    round_number = 0
    with progress(len(unseen), "cell", activity, leave=False) as bar:
        while not seen.all():
            round_number += 1
            windows = find_reference_windows(model, grid, seen, seed=seed, round_number=round_number)
            if not windows:
                raise UserError(_describe_unreachable(xy, seen, model.config.window))
            for targets, estimate in estimate_targets(model, xy, tokens, windows, batch_size=batch_size or _BATCH):
                means[row[targets]] += estimate
                estimates[row[targets]] += 1
            reached = row[np.unique(np.concatenate([window.targets for window in windows]))]
            means[reached] /= estimates[reached, None]  # Eq. 11
            rounds[reached] = round_number
            tokens[unseen[reached]] = means[reached].argmax(1) if model.quantised else means[reached]
            seen[unseen[reached]] = True
            bar.update(len(reached))
    return Generated(means=means, rounds=rounds, estimates=estimates)


def aggregate(probabilities: np.ndarray, expression: np.ndarray, mode: str) -> np.ndarray:
    """Compute expression (m, T) from probabilities (m, K) by a mode of section 3.4.

    Parameters
    ----------
    expression
        (K, T) expression of the meta cells.
    """
    if mode == "picking":
        return expression[probabilities.argmax(1)]
    return probabilities @ expression  # Eq. 11


def check_seen(seen: np.ndarray) -> None:
    """Raise UserError if all cells (n,) are seen, or none."""
    if not seen.any():
        raise UserError("generate: every cell is unseen; leave at least one seen cell to generate from.")
    if seen.all():
        raise UserError("generate: no cell is unseen; mark those to generate.")


def _describe_unreachable(xy: np.ndarray, seen: np.ndarray, window: float) -> str:
    """Describe the unseen cells that lie in no window of a seen cell."""
    unreached = np.flatnonzero(~seen)
    return (
        f"generate: {len(unreached)} unseen cells (the first is cell {unreached[0]} at "
        f"{xy[unreached[0]].round(1).tolist()} µm) lie further than {window / 2:g} µm, half a window, from every seen "
        "or generated cell; leave them out, or use a model with a larger window."
    )
