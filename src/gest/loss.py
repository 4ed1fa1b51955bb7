"""Hierarchical cross-entropy over meta cells and their clusters (Eq. 9 and 10)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

_TINY = 1e-30  # float32 loses digits in a group's sum below this share of the largest probability


def level_losses(logits: Tensor, targets: Tensor, levels: Tensor) -> Tensor:
    """Compute the cross-entropy at each level; level 0 is the meta cells themselves.

    Parameters
    ----------
    logits
        (..., K), z of Eq. 7.
    targets
        (...), the true meta cells.
    levels
        (3, K), the cluster of every meta cell at levels 1 to 3.

    Returns
    -------
    (4,) mean negative log-likelihoods L_0..L_3, also accurate where a probability would underflow.
    """
    logits, targets = logits.flatten(0, -2), targets.flatten()
    top = logits.detach().amax(-1, keepdim=True)
    numerators = (logits - top).exp_()  # (n, K), those of Eq. 8, scaled by exp(-top)
    true_group_sums = []
    for labels in levels:
        with torch.autocast(logits.device.type, enabled=False):  # sums of probabilities need all digits
            group_sums = numerators @ functional.one_hot(labels).to(numerators.dtype)  # Eq. 9, (n, K_j)
        true_group_sums.append(group_sums.gather(-1, labels[targets][:, None]))
    true_sums = torch.cat(true_group_sums, -1)  # (n, 3), of each target's group at each level
    total = numerators.sum(-1, keepdim=True)
    cell_losses = total.log() + top - logits.gather(-1, targets[:, None])
    unlikely = true_sums.detach().amin(-1) < _TINY
    if not unlikely.any():
        group_losses = (total / true_sums).log()
    else:
        likely_losses = (total[~unlikely] / true_sums[~unlikely]).log()
        unlikely_losses = _log_space_losses(logits[unlikely], targets[unlikely], levels)
        group_losses = torch.cat((likely_losses, unlikely_losses))
    return torch.cat((cell_losses.mean(0), group_losses.mean(0)))


def _log_space_losses(logits: Tensor, targets: Tensor, levels: Tensor) -> Tensor:
    """Compute the losses (n, 3) of unlikely groups, with Eq. 9 in log space."""
    log_sums = []
    for labels in levels:
        is_other = labels != labels[targets][:, None]  # (n, K)
        log_sums.append(logits.masked_fill(is_other, float("-inf")).logsumexp(-1))
    return logits.logsumexp(-1)[:, None] - torch.stack(log_sums, -1)


def hierarchical_loss(
    logits: Tensor, targets: Tensor, levels: Tensor, weights: Sequence[float] = (0.25, 0.25, 0.25, 0.25)
) -> Tensor:
    """Compute the weighted sum of the cross-entropies at the four levels (Eq. 10).

    Parameters
    ----------
    logits
        (..., K), z of Eq. 7.
    targets
        (...), the true meta cells.
    levels
        (3, K), the cluster of every meta cell at levels 1 to 3.
    weights
        α_0..α_3.

    Returns
    -------
    A scalar, the mean over all targets.

    Examples
    --------
    Four meta cells form the same two clusters at all levels. The loss of a uniform prediction is log 4 for the meta
    cell and log 2 for its cluster:

    >>> levels = torch.tensor([[0, 0, 1, 1]] * 3)
    >>> loss = hierarchical_loss(torch.zeros(1, 4), torch.tensor([2]), levels, weights=(1, 0, 0, 0))
    >>> round(loss.exp().item(), 4)
    4.0
    >>> loss = hierarchical_loss(torch.zeros(1, 4), torch.tensor([2]), levels, weights=(0, 1, 0, 0))
    >>> round(loss.exp().item(), 4)
    2.0
    """
    levels = torch.as_tensor(levels, device=logits.device)
    targets = torch.as_tensor(targets, device=logits.device)
    losses = level_losses(logits, targets, levels)
    return (losses * losses.new_tensor(weights)).sum()  # Eq. 10
