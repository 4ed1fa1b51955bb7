"""What training minimises (Eq. 10): over a batch, over held-out sections, and what a trained model has to beat."""

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
from gest.training.batches import VALIDATION, Windows
from gest.training.distributed import ALONE, Processes
from gest.windows import Tokens

if TYPE_CHECKING:  # this file runs where only torch and numpy are
    from gest.vocabulary import Vocabulary

_BATCHES, _WINDOWS = 8, 8  # of validation: batches, and windows in each


def window_losses(model: GeST, tokens: Tensor, bins: Tensor, lengths: Tensor) -> Tensor:
    """(4,) mean losses of all targets of a batch of windows, level by level; (1,) squared error of expression."""
    targets = tokens[:, 1:]
    real = torch.arange(targets.shape[1], device=tokens.device) < lengths[:, None] - 1
    output = model.output(model.encode(tokens, bins)[real]).float()  # (n, K or T): of padding nothing is read
    if not model.quantised:
        return functional.mse_loss(output, targets[real])[None]
    return level_losses(output, targets[real], model.levels)


def level_weights(model: GeST) -> Tensor:
    """α of Eq. 10, on the model's device: (4,), or (1,) for squared error, which is one loss."""
    return torch.tensor(model.config.loss.weights if model.quantised else (1.0,), device=model.device)


@torch.no_grad()
def validate(model: GeST, sections: Sequence[Tokens], *, seed: int, team: Processes = ALONE) -> tuple[float, float]:
    """Loss (Eq. 10) and its first level on a fixed set of windows of held-out sections, shared out to all processes."""
    was_training = model.training
    model.eval()
    windows = Windows(sections, model.config, seed=seed)
    alphas = level_weights(model)
    total, n = torch.zeros_like(alphas), torch.zeros_like(alphas[:1])
    for i in range(_BATCHES)[team.mine]:
        tokens, bins, lengths = windows.batch(VALIDATION + i, range(_WINDOWS), model.device)
        targets = int((lengths - 1).sum())
        total += window_losses(model, tokens, bins, lengths.to(model.device)) * targets
        n += targets
    model.train(was_training)
    team.sum(total, n)
    losses = total / n
    return float((losses * alphas).sum()), float(losses[0])


def marginal_loss(
    training: Sequence[Tokens], scored: Sequence[Tokens], vocabulary: Vocabulary, config: Config
) -> float:
    """Loss of a model that knows the training frequencies, or mean, alone: what a trained one has to beat."""
    if not config.model.quantised:
        from gest.data.on_disk import error_of_mean

        return error_of_mean(training, scored)
    K = len(vocabulary)
    prior = np.bincount(np.concatenate([s.tokens for s in training]), minlength=K) + 0.5
    share = np.bincount(np.concatenate([s.tokens for s in scored]), minlength=K).astype(np.float64)
    prior, share = prior / prior.sum(), share / share.sum()
    losses = [-share @ np.log(prior)]
    losses += [-share @ np.log(np.bincount(labels, weights=prior)[labels]) for labels in vocabulary.levels]
    return float(np.dot(losses, config.loss.weights))
