"""Multi-layer perceptron from absolute coordinates to expression (paper, section 4.1), tuned on the seen cells.

Width and number of epochs are chosen per crop on held-out blocks of seen cells, each about as large as the unseen
region: single cells held out at random would have training cells all around them, unlike the unseen cells. The
criterion is `rmse_z`, the error that the baseline is scored by; squared error would stop training while the spatial
pattern is still weak. `rmse_z` ignores amplitude, so one factor for all outputs is fitted on the same blocks.
"""

from itertools import pairwise, product
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gest.metrics import rmse_z

WIDTHS = (64, 128)
EPOCHS = (25, 75, 225)
FOLDS = 2
DEPTH = 3
BATCH = 256
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-2


def predict(
    xy_seen: NDArray[np.floating], expression_seen: NDArray[np.float32], xy_unseen: NDArray[np.floating], *, seed: int
) -> NDArray[np.float32]:
    """Predict expression at unseen positions by a tuned network.

    Its width and number of epochs are those with the least error on held-out blocks of seen cells; the network itself
    is trained on all seen cells.

    Parameters
    ----------
    xy_seen, xy_unseen
        (n, 2) and (m, 2) positions in µm.
    expression_seen
        (n, T) log-normalised expression.
    seed
        Seed of the held-out blocks, the initial weights and the batches.

    Returns
    -------
    numpy.ndarray
        (m, T) predicted expression.
    """
    expression = np.asarray(expression_seen, dtype=np.float64)
    mean, scale = expression.mean(axis=0), expression.std(axis=0)
    scale[np.ptp(expression, axis=0) == 0] = 0.0  # a constant gene is predicted by its value
    centre, spread = np.mean(xy_seen, axis=0, dtype=np.float64), np.std(xy_seen, dtype=np.float64) or 1.0
    x, x_new = (torch.as_tensor((xy - centre) / spread, dtype=torch.float32) for xy in (xy_seen, xy_unseen))
    y = torch.as_tensor((expression - mean) / np.where(scale > 0, scale, 1.0), dtype=torch.float32)

    rng = np.random.default_rng(seed)
    folds = [torch.as_tensor(held_out_blocks(np.asarray(xy_seen), len(xy_unseen), rng)) for _ in range(FOLDS)]

    def validate(width: int, epochs: int) -> tuple[float, float]:
        """Return the error on the held-out blocks, and the best factor for the outputs."""
        outputs = [fit(x[~held], y[~held], width, epochs, seed)(x[held]) for held in folds]
        error = np.mean([rmse_z(y[held], output).value for output, held in zip(outputs, folds, strict=True)])
        output, target = torch.cat(outputs), torch.cat([y[held] for held in folds])
        return float(error), float(((output * target).sum() / output.square().sum()).nan_to_num().clamp(0, 1))

    with torch.random.fork_rng(devices=[]):
        candidates = {candidate: validate(*candidate) for candidate in product(WIDTHS, EPOCHS)}
        best = min(candidates, key=lambda candidate: candidates[candidate][0])
        output = fit(x, y, *best, seed)(x_new).double().numpy()
    _, shrinkage = candidates[best]
    return (shrinkage * output * scale + mean).astype(np.float32)


def held_out_blocks(xy: NDArray[np.floating], block: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Choose square blocks of cells to hold out, at least a fifth of all cells.

    Each block is centred on a random cell and holds `block` cells. Blocks may overlap.

    Parameters
    ----------
    xy
        (n, 2) positions in µm, n >= 2.
    block
        Number of cells per block; at most a fifth of all cells are used.
    rng
        Random generator for the centres.

    Returns
    -------
    numpy.ndarray
        (n,) booleans, True for held-out cells: at least one, never all.
    """
    fifth = max(1, len(xy) // 5)
    held = np.zeros(len(xy), dtype=bool)
    while held.sum() < fifth:
        distance = np.abs(xy - xy[rng.integers(len(xy))]).max(axis=1)
        held[np.argsort(distance, kind="stable")[: min(max(block, 1), fifth)]] = True
    return held


def fit(x: Tensor, y: Tensor, width: int, epochs: int, seed: int) -> nn.Sequential:
    """Train one network by least squares: AdamW with a one-cycle schedule.

    Parameters
    ----------
    x, y
        (n, 2) positions and (n, T) expression, both standardised.
    width, epochs
        Number of hidden units per layer, and of passes over the cells.
    seed
        Seed of weights and batches; it sets torch's global generator.

    Returns
    -------
    torch.nn.Sequential
        The trained network; its parameters require no gradients.
    """
    torch.manual_seed(seed)
    widths = [x.shape[1], *[width] * DEPTH]
    hidden = [layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.SiLU())]
    network = nn.Sequential(*hidden, nn.Linear(width, y.shape[1]))
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, LEARNING_RATE, total_steps=epochs * ceil(len(x) / BATCH), pct_start=0.05
    )
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(BATCH):
            optimiser.zero_grad(set_to_none=True)
            (network(x[batch]) - y[batch]).square().mean().backward()
            optimiser.step()
            schedule.step()
    return network.requires_grad_(False)
