"""The loss that training minimises (Eq. 10), and the baseline that it must beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gest.config import Config
from gest.loss import level_losses
from gest.model import GeST
from gest.training.batches import FIRST_VALIDATION_STEP, Windows
from gest.training.distributed import SINGLE_PROCESS, ProcessGroup
from gest.windows import Tokens

if TYPE_CHECKING:  # this module must work with torch and NumPy alone
    from gest.vocabulary import Vocabulary

_VALIDATION_BATCHES, _VALIDATION_WINDOWS = 8, 8  # number of batches, and of windows in each


def window_losses(model: GeST, tokens: Tensor, bins: Tensor, lengths: Tensor) -> Tensor:
    """Compute the mean losses of all targets of a batch of windows.

    Returns
    -------
    (4,) one loss per level (Eq. 9); without quantisation (1,), the squared error of expression.
    """
    targets = tokens[:, 1:]
    is_real = torch.arange(targets.shape[1], device=tokens.device) < lengths[:, None] - 1
    output = model.output(model.encode(tokens, bins)[is_real]).float()  # (n, K or T): padding is not read
    if not model.quantised:
        return functional.mse_loss(output, targets[is_real])[None]
    return level_losses(output, targets[is_real], model.levels)


def level_weights(model: GeST) -> Tensor:
    """Return the weights α of Eq. 10, (4,), or (1,) without quantisation."""
    return torch.tensor(model.config.loss.weights if model.quantised else (1.0,), device=model.device)


@torch.no_grad()
def validate(
    model: GeST, sections: Sequence[Tokens], *, seed: int, group: ProcessGroup = SINGLE_PROCESS
) -> tuple[float, float]:
    """Compute the loss and that of level 0 on fixed windows of held-out sections.

    The processes of the group share the windows.
    """
    was_training = model.training
    model.eval()
    windows = Windows(sections, model.config, seed=seed)
    alphas = level_weights(model)
    total, n = torch.zeros_like(alphas), torch.zeros_like(alphas[:1])
    for i in range(_VALIDATION_BATCHES)[group.shard]:
        step = FIRST_VALIDATION_STEP + i
        tokens, bins, lengths = windows.batch(step, range(_VALIDATION_WINDOWS), model.device)
        targets = int((lengths - 1).sum())
        total += window_losses(model, tokens, bins, lengths.to(model.device)) * targets
        n += targets
    model.train(was_training)
    group.sum(total, n)
    losses = total / n
    return float((losses * alphas).sum()), float(losses[0])


def marginal_loss(
    training: Sequence[Tokens], scored: Sequence[Tokens], vocabulary: Vocabulary, config: Config
) -> float:
    """Compute the loss of a baseline that ignores the context of a cell.

    It predicts the frequencies of the meta cells in training everywhere or, without quantisation, the mean training
    cell. A trained model must have a lower loss.
    """
    if not config.model.quantised:
        from gest.data.on_disk import error_of_mean

        return error_of_mean(training, scored)
    K = len(vocabulary)
    prior = np.bincount(np.concatenate([s.tokens for s in training]), minlength=K) + 0.5
    frequency = np.bincount(np.concatenate([s.tokens for s in scored]), minlength=K).astype(np.float64)
    prior, frequency = prior / prior.sum(), frequency / frequency.sum()
    losses = [-frequency @ np.log(prior)]
    for labels in vocabulary.levels:
        group_prior = np.bincount(labels, weights=prior)
        losses.append(-frequency @ np.log(group_prior[labels]))
    return float(np.dot(losses, config.loss.weights))
