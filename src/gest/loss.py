"""The hierarchical cross-entropy (Eq. 9 and 10)."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

_FAR = 1e-30  # a group's share of the largest probability under which float32 would lose digits


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
    (4,) mean negative log-likelihoods L_0..L_3; no probability underflows.
    """
    logits, targets = logits.flatten(0, -2), targets.flatten()
    top = logits.detach().amax(-1, keepdim=True)
    likely = (logits - top).exp_()  # (n, K) Eq. 8, but for its denominator
    with torch.autocast(logits.device.type, enabled=False):  # sums of probabilities need all digits
        masses = [likely @ functional.one_hot(labels).to(likely.dtype) for labels in levels]  # Eq. 9, (n, K_j) each
    total = likely.sum(-1, keepdim=True)
    own = torch.cat([m.gather(-1, labels[targets][:, None]) for m, labels in zip(masses, levels, strict=True)], -1)
    cells = total.log() + top - logits.gather(-1, targets[:, None])
    far = own.detach().amin(-1) < _FAR
    if not far.any():
        groups = (total / own).log()
    else:
        near = (total[~far] / own[~far]).log()
        groups = torch.cat((near, _far_losses(logits[far], targets[far], levels)))
    return torch.cat((cells.mean(0), groups.mean(0)))


def _far_losses(logits: Tensor, targets: Tensor, levels: Tensor) -> Tensor:
    """(n, 3) losses of targets all of whose group is very unlikely: the sums of Eq. 9 in log space."""
    outside = [labels != labels[targets][:, None] for labels in levels]  # (n, K) each
    groups = [logits.masked_fill(others, float("-inf")).logsumexp(-1) for others in outside]
    return logits.logsumexp(-1)[:, None] - torch.stack(groups, -1)


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
