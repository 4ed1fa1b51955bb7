"""Eq. 6: the mask entry by entry, and the fast attention against a written-out softmax in float64."""

import numpy as np
import pytest
import torch

from gest.attention import context_attention, spatial_attention, spatial_mask


def equation_6(L: int) -> np.ndarray:
    mask = np.zeros((2 * L, 2 * L), dtype=bool)
    for i in range(1, L + 1):
        for t in range(1, 2 * L + 1):
            mask[i + L - 1, t - 1] = t in {*range(1, i + 1), L + i}  # Eq. 6
            mask[i - 1, t - 1] = t <= i  # decision 11
    return mask


def written_out(q, k, v, mask):
    scores = q @ k.transpose(-1, -2) / np.sqrt(q.shape[-1])
    return scores.masked_fill(~mask, -torch.inf).softmax(-1) @ v


@pytest.mark.parametrize("L", [1, 2, 5, 17])
def test_mask(L):
    np.testing.assert_array_equal(spatial_mask(L).numpy(), equation_6(L))


@pytest.mark.parametrize("L", [1, 2, 3, 16, 33, 130])
def test_values_and_gradients(L):
    torch.manual_seed(L)
    q, k, v = (torch.randn(2, 3, 2 * L, 12, dtype=torch.float64, requires_grad=True) for _ in range(3))
    upstream = torch.randn(2, 3, 2 * L, 12, dtype=torch.float64)
    mask = torch.tensor(equation_6(L))
    fast, slow = spatial_attention(q, k, v), written_out(q, k, v, mask)
    torch.testing.assert_close(fast, slow, rtol=0, atol=1e-10)
    for a, b in zip(
        torch.autograd.grad(fast, (q, k, v), upstream), torch.autograd.grad(slow, (q, k, v), upstream), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


def test_large_scores_stay_finite():
    q, k, v = (100 * torch.randn(1, 1, 20, 4, dtype=torch.float64, requires_grad=True) for _ in range(3))
    out = spatial_attention(q, k, v)
    torch.testing.assert_close(out, written_out(q, k, v, spatial_mask(10)), rtol=0, atol=1e-9)
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(out.sum(), (q, k, v)))


def test_finite_differences():
    q, k, v = (torch.randn(1, 2, 6, 4, dtype=torch.float64, requires_grad=True) for _ in range(3))
    assert torch.autograd.gradcheck(spatial_attention, (q, k, v))


def test_odd_length_is_refused():
    with pytest.raises(ValueError, match="2L"):
        spatial_attention(*(torch.zeros(1, 1, 3, 4) for _ in range(3)))


@pytest.mark.parametrize("scale", [1, 100])
@pytest.mark.parametrize("learning", [True, False])
def test_context_attention_is_equation_6_with_all_seen(learning, scale):
    """Also by the fused kernel that is used where nothing is learnt."""
    torch.manual_seed(0)
    L, U = 7, 3
    q, k_own, v_own = (scale * torch.randn(3, 2, U, 4, dtype=torch.float64) for _ in range(3))
    k, v = (torch.randn(3, 2, L, 4, dtype=torch.float64) for _ in range(2))
    n_seen = torch.tensor([7, 4, 1])
    with torch.set_grad_enabled(learning):
        out = context_attention(q, k, v, k_own, v_own, n_seen)
    for b, n in enumerate(n_seen.tolist()):
        for u in range(U):
            keys = torch.cat((k[b, :, :n], k_own[b, :, u : u + 1]), 1)
            values = torch.cat((v[b, :, :n], v_own[b, :, u : u + 1]), 1)
            expected = written_out(q[b, :, u : u + 1], keys, values, torch.ones(1, n + 1, dtype=torch.bool))
            torch.testing.assert_close(out[b, :, u : u + 1], expected, rtol=0, atol=1e-12 * scale)


def test_context_attention_can_be_learnt_through():
    q, k_own, v_own, k, v = (torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True) for _ in range(5))
    assert torch.autograd.gradcheck(lambda *x: context_attention(*x, torch.tensor([2])), (q, k, v, k_own, v_own))
