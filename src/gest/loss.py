"""Hierarchical cross-entropy over meta cells and their clusters (Eq. 9 and 10)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

_TINY = 1e-30  # below this share of the largest probability, the sum over a group would lose digits in float32


def level_losses(logits: Tensor, targets: Tensor, levels: Tensor) -> Tensor:
    """Compute the cross-entropy at each level, the meta cells themselves first.

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
    (4,) mean negative log-likelihoods L_0..L_3, computed so that no probability underflows.
    """
    logits, targets = logits.flatten(0, -2), targets.flatten()
    top = logits.detach().amax(-1, keepdim=True)
    odds = (logits - top).exp_()  # (n, K), the numerators of Eq. 8, scaled
    true_groups = []
    for labels in levels:
        with torch.autocast(logits.device.type, enabled=False):  # sums of probabilities need all digits
            groups = odds @ functional.one_hot(labels).to(odds.dtype)  # Eq. 9, (n, K_j)
        true_groups.append(groups.gather(-1, labels[targets][:, None]))
    own = torch.cat(true_groups, -1)  # (n, 3), of the target's own group at each level
    total = odds.sum(-1, keepdim=True)
    cell_losses = total.log() + top - logits.gather(-1, targets[:, None])
    unlikely = own.detach().amin(-1) < _TINY
    if not unlikely.any():
        group_losses = (total / own).log()
    else:
        likely_losses = (total[~unlikely] / own[~unlikely]).log()
        unlikely_losses = _log_space_losses(logits[unlikely], targets[unlikely], levels)
        group_losses = torch.cat((likely_losses, unlikely_losses))
    return torch.cat((cell_losses.mean(0), group_losses.mean(0)))


def _log_space_losses(logits: Tensor, targets: Tensor, levels: Tensor) -> Tensor:
    """Compute losses (n, 3) of unlikely groups: the sums of Eq. 9 in log space."""
    groups = []
    for labels in levels:
        is_other = labels != labels[targets][:, None]  # (n, K)
        groups.append(logits.masked_fill(is_other, float("-inf")).logsumexp(-1))
    return logits.logsumexp(-1)[:, None] - torch.stack(groups, -1)


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
    Four meta cells in two clusters, the same at all levels; a uniform prediction costs log 4 and log 2:

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
