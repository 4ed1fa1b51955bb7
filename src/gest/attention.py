"""Spatial attention (Eq. 6) between the cell and position tokens of a window.

A sequence of 2L tokens is L cell tokens, then L position tokens. Cell token i sees cells 1..i, as in GPT (decision 11).
The position token of x_{i+1} sees cells 1..i and itself, and no other position token. `spatial_mask` returns this mask;
`spatial_attention` computes the attention without it, as two streams over the same keys (`cell_attention` and
`target_attention`). `context_attention` is for prediction: every target sees all cells.

On a CPU, in float32 and bfloat16, all of them use one compiled kernel (`gest.kernels.cpu`). On other devices, in other
precisions and without Numba, they use PyTorch's operations, fused where possible.

Shapes: B batch, H heads, L cells, U targets, d head width.
"""

from importlib.util import find_spec

import torch
from torch import Tensor
from torch.nn import functional

_FLASH = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
_FLASH_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward


def spatial_mask(L: int) -> Tensor:
    """Build the mask of Eq. 6: true where the row's token sees the column's token.

    Returns
    -------
    (2L, 2L) booleans.

    Examples
    --------
    >>> spatial_mask(2).int()
    tensor([[1, 0, 0, 0],
            [1, 1, 0, 0],
            [1, 0, 1, 0],
            [1, 1, 0, 1]], dtype=torch.int32)
    """
    causal = torch.ones(L, L, dtype=torch.bool).tril()
    nothing = torch.zeros(L, L, dtype=torch.bool)
    itself = torch.eye(L, dtype=torch.bool)
    return torch.cat((torch.cat((causal, nothing), 1), torch.cat((causal, itself), 1)))  # Eq. 6


def _uses_cpu_kernel(q: Tensor) -> bool:
    """Return whether `gest.kernels.cpu`, which needs Numba, computes the attention."""
    return q.device.type == "cpu" and q.dtype in (torch.float32, torch.bfloat16) and find_spec("numba") is not None


def _attend(q: Tensor, k: Tensor, v: Tensor, k_own: Tensor, v_own: Tensor, n_seen: Tensor) -> Tensor:
    """Attend to the first n_seen cells, (U,) or (B, 1), and to each query's own key."""
    from gest.kernels.cpu import attend  # the first import on a machine compiles it; later ones read the cache

    tensors = (x.float() for x in (q, k, v, k_own, v_own))
    return attend(*tensors, n_seen.expand(q.shape[0], q.shape[-2])).to(q.dtype)


class _TargetAttention(torch.autograd.Function):
    """Attend causally to the cells, and merge in each target's own key.

    Forward, a fused kernel attends to the cells; the target's own key is then merged in by log-sum-exp. Backward, the
    fused kernel receives the merged output and log-sum-exp. From these it recomputes P = exp(qk − lse) and D = Σ dO·O
    of the whole softmax, so its gradients for the cells are exact. The term of the own key is added separately.
    """

    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor, k_own: Tensor, v_own: Tensor) -> Tensor:  # noqa: ANN001
        scale = q.shape[-1] ** -0.5
        out, lse_cells = _FLASH(q, k, v, 0.0, True)
        own_score = (q * k_own).sum(-1) * scale  # (B, H, L)
        lse = torch.logaddexp(lse_cells.to(own_score.dtype), own_score)
        share = (own_score - lse).exp()[..., None]  # the own key's probability
        out = torch.lerp(out, v_own, share)  # (1 - share) · out + share · v_own
        ctx.save_for_backward(q, k, v, k_own, v_own, out, lse, share)
        return out

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN001
        q, k, v, k_own, v_own, out, lse, share = ctx.saved_tensors
        scale = q.shape[-1] ** -0.5
        grad = grad.contiguous()
        dq, dk, dv = _FLASH_BACKWARD(grad, q, k, v, out, lse, 0.0, True)
        d_score = share * ((grad * (v_own - out)).sum(-1, keepdim=True)) * scale
        return dq + d_score * k_own, dk, dv, d_score * q, share * grad


def spatial_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Compute attention under Eq. 6 without its mask.

    It takes the time and memory of two causal attentions over L keys.

    Parameters
    ----------
    q, k, v
        (B, H, 2L, d): L cell tokens, then L position tokens.

    Returns
    -------
    (B, H, 2L, d). Values and gradients equal those of dense attention under `spatial_mask(L)`.

    Examples
    --------
    >>> q, k, v = torch.randn(3, 1, 2, 6, 4, dtype=torch.float64)
    >>> out = spatial_attention(q, k, v)
    >>> dense = functional.scaled_dot_product_attention(q, k, v, attn_mask=spatial_mask(3))
    >>> torch.allclose(out, dense)
    True
    """
    if q.shape[-2] % 2:
        raise ValueError(f"q, k, v: {q.shape[-2]} tokens (expected an even number, 2L)")
    (q_cell, q_target), (k_cell, k_own), (v_cell, v_own) = (x.chunk(2, dim=-2) for x in (q, k, v))
    if _uses_cpu_kernel(q):
        n_before = torch.arange(q_cell.shape[-2])
        return _attend(q, k_cell, v_cell, k, v, torch.cat((n_before, n_before + 1)))
    cells = cell_attention(q_cell, k_cell, v_cell)
    return torch.cat((cells, target_attention(q_target, k_cell, v_cell, k_own, v_own)), dim=-2)


def cell_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend from cell i to cells 1..i (upper half of Eq. 6); all (B, H, L, d)."""
    if _uses_cpu_kernel(q):
        return _attend(q, k, v, k, v, torch.arange(q.shape[-2]))
    return functional.scaled_dot_product_attention(q, k, v, is_causal=True)


def target_attention(q: Tensor, k: Tensor, v: Tensor, k_own: Tensor, v_own: Tensor) -> Tensor:
    """Attend from target i to cells 1..i and to itself (lower half of Eq. 6).

    Parameters
    ----------
    q, k_own, v_own
        (B, H, L, d) of the position tokens.
    k, v
        (B, H, L, d) of the cell tokens.
    """
    if _uses_cpu_kernel(q):
        return _attend(q, k, v, k_own, v_own, torch.arange(1, q.shape[-2] + 1))
    if q.device.type == "cpu":
        return _TargetAttention.apply(q, k, v, k_own, v_own)
    # Only the CPU's fused kernel returns its log-sum-exp; elsewhere the lower half of the mask is used.
    mask = spatial_mask(q.shape[-2])[q.shape[-2] :].to(q.device)
    keys, values = torch.cat((k, k_own), dim=-2), torch.cat((v, v_own), dim=-2)
    return functional.scaled_dot_product_attention(q, keys, values, attn_mask=mask)


def context_attention(q: Tensor, k: Tensor, v: Tensor, k_own: Tensor, v_own: Tensor, n_seen: Tensor) -> Tensor:
    """Attend from every target to all seen cells and to itself: Eq. 6 with i = n_seen.

    Parameters
    ----------
    q, k_own, v_own
        (B, H, U, d) of the targets.
    k, v
        (B, H, L, d) of the seen cells, padded at the end.
    n_seen
        (B,) how many of the L cells are not padding; at least one.
    """
    if _uses_cpu_kernel(q):
        return _attend(q, k, v, k_own, v_own, n_seen[:, None])
    scale = q.shape[-1] ** -0.5
    padding = torch.arange(k.shape[-2], device=k.device) >= n_seen[:, None]  # (B, L)
    own_scores = (q * k_own).sum(-1, keepdim=True) * scale  # (B, H, U, 1)
    if q.device.type == "cpu" and not torch.is_grad_enabled():  # fused, as in `_TargetAttention`
        mask = torch.zeros(padding.shape, dtype=q.dtype).masked_fill_(padding, float("-inf"))
        out, lse = _FLASH(q, k, v, attn_mask=mask[:, None, None].expand(-1, -1, q.shape[-2], -1))
        return torch.lerp(out, v_own, torch.sigmoid(own_scores - lse.to(own_scores.dtype)[..., None]))
    scores = (q @ k.transpose(-1, -2)) * scale  # (B, H, U, L)
    scores = scores.masked_fill(padding[:, None, None], float("-inf"))
    weights = torch.cat((scores, own_scores), dim=-1).softmax(-1)
    return weights[..., :-1] @ v + weights[..., -1:] * v_own
