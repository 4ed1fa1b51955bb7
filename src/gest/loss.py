"""The hierarchical cross-entropy (Eq. 9 and 10)."""

from collections.abc import Sequence

import torch
from torch import Tensor


def level_losses(logits: Tensor, targets: Tensor, levels: Tensor) -> Tensor:
    """Cross-entropy at each level of the hierarchy, the meta cells themselves first.

    Parameters
    ----------
    logits
        (..., K), z of Eq. 7.
    targets
        (...), the true meta cells.
    levels
        (3, K), the label of every meta cell at levels 1 to 3.

    Returns
    -------
    (4,) mean negative log-likelihoods L_0..L_3, computed in log space: no probability underflows.
    """
    logits, targets = logits.flatten(0, -2), targets.flatten()
    total = logits.logsumexp(-1)
    losses = [total - logits.gather(-1, targets[:, None])[:, 0]]
    for labels in levels:
        others = labels != labels[targets][:, None]  # (n, K): outside the target's group
        losses.append(total - logits.masked_fill(others, float("-inf")).logsumexp(-1))  # Eq. 9
    return torch.stack([loss.mean() for loss in losses])


def hierarchical_loss(
    logits: Tensor, targets: Tensor, levels: Tensor, weights: Sequence[float] = (0.25, 0.25, 0.25, 0.25)
) -> Tensor:
    """Weighted sum of the cross-entropies at the four levels (Eq. 10), averaged over the targets.

    Parameters
    ----------
    logits
        (..., K), z of Eq. 7.
    targets
        (...), the true meta cells.
    levels
        (3, K), the label of every meta cell at levels 1 to 3.
    weights
        α_0..α_3.

    Returns
    -------
    A scalar.
    """
    levels = torch.as_tensor(levels, device=logits.device)
    targets = torch.as_tensor(targets, device=logits.device)
    losses = level_losses(logits, targets, levels)
    return (losses * losses.new_tensor(weights)).sum()  # Eq. 10
