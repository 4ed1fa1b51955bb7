"""Compute the model in readable mathematics: the reference of the fast path.

The functions read the named weights of a `GeST` and use none of its methods. Dropout is left out.

Shapes: B windows, N cells of a window, L = N − 1, H heads, d head width, K meta cells, T genes, D width.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from gest import GeST, position
from gest.attention import spatial_mask

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Function of queries, keys and values, each (B, H, 2L, d), that returns (B, H, 2L, d)."""


def written_out(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Compute Eq. 6 as printed: all 2L × 2L scores, −∞ outside the mask, softmax."""
    mask = spatial_mask(q.shape[-2] // 2).to(q.device)
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    return scores.masked_fill(~mask, float("-inf")).softmax(-1) @ v


def dense_mask(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Run PyTorch's fused attention with the 2L × 2L mask."""
    mask = spatial_mask(q.shape[-2] // 2).to(q.device)
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def logits(model: GeST, tokens: Tensor, bins: Tensor, attend: Attention) -> Tensor:
    """Predict each cell from those before it: logits (B, N − 1, K)."""
    w = dict(model.named_parameters())

    def linear(name: str, x: Tensor) -> Tensor:
        return functional.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    def norm(name: str, x: Tensor) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])

    width = model.config.model.width
    positions = position.encode(bins, width).to(model.codebook)  # Eq. 12
    cells = linear("embed", model.codebook[tokens]) + positions  # gathered and embedded for every cell
    x = torch.cat((cells[:, :-1], positions[:, 1:]), dim=1)  # (B, 2L, D)
    for i in range(model.config.model.layers):
        qkv = linear(f"blocks.{i}.qkv", norm(f"blocks.{i}.norm_attention", x))
        q, k, v = (part.unflatten(-1, (model.config.model.heads, -1)).transpose(1, 2) for part in qkv.chunk(3, dim=-1))
        x = x + linear(f"blocks.{i}.project", attend(q, k, v).transpose(1, 2).flatten(-2))
        hidden = functional.gelu(linear(f"blocks.{i}.feed.0", norm(f"blocks.{i}.norm_feed", x)))
        x = x + linear(f"blocks.{i}.feed.2", hidden)
    h = norm("norm", x[:, x.shape[1] // 2 :])
    predicted = linear("decode", functional.gelu(linear("hidden.0", h)))  # ŷ (B, L, T)
    return predicted @ model.codebook.T  # Eq. 7


def window_losses(model: GeST, tokens: Tensor, bins: Tensor, lengths: Tensor, attend: Attention) -> Tensor:
    """Compute the mean losses (4,) as `gest.training.objective.window_losses` does."""
    targets = tokens[:, 1:]
    real = torch.arange(targets.shape[1], device=tokens.device) < lengths[:, None] - 1
    log_p = logits(model, tokens, bins, attend)[real].float().log_softmax(-1)  # Eq. 8
    targets = targets[real]
    losses = [functional.nll_loss(log_p, targets)]
    for labels in model.levels:
        member = functional.one_hot(labels.long()).bool()  # (K, K_l)
        groups = [log_p[:, inside].logsumexp(-1) for inside in member.T]  # Eq. 9
        losses.append(functional.nll_loss(torch.stack(groups, dim=-1), labels[targets].long()))
    return torch.stack(losses)


def largest_error(values: list[Tensor], expected: list[Tensor]) -> float:
    """Return the largest difference of any pair of tensors.

    The difference is relative to the largest expected value of the pair.
    """
    pairs = ((a.detach(), b.detach()) for a, b in zip(values, expected, strict=True))
    return max(float((a - b).abs().max() / b.abs().max().clamp_min(1e-30)) for a, b in pairs)


def gradients(losses: Tensor, model: GeST) -> list[Tensor]:
    """Compute the gradients of the mean loss (Eq. 10) for all weights it depends on."""
    all_gradients = torch.autograd.grad(losses.mean(), list(model.parameters()), allow_unused=True)
    return [gradient for gradient in all_gradients if gradient is not None]


def check_equal(what: str, error: float, tolerance: float) -> None:
    """End the benchmark if the fast path does not compute the same as the reference."""
    if not error <= tolerance:
        raise SystemExit(f"{what}: the fast path differs from the reference by {error:.2g}, above {tolerance:g}.")
