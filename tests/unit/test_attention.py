"""Eq. 6: the mask entry by entry, and the fast attention against an explicit softmax in float64."""

import os
import subprocess
import sys
from multiprocessing import get_context

import numpy as np
import pytest
import torch

from gest.attention import cell_attention, context_attention, spatial_attention, spatial_mask, target_attention


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
    with pytest.raises(ValueError, match=r"3 tokens \(expected an even number, 2L\)"):
        spatial_attention(*(torch.zeros(1, 1, 3, 4) for _ in range(3)))


@pytest.mark.parametrize("scale", [1, 100])
@pytest.mark.parametrize("learning", [True, False])
def test_context_attention_is_equation_6_with_all_seen(learning, scale):
    """This also holds for the fused kernel, which is used if no gradients are needed."""
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


def test_gradients_of_context_attention():
    q, k_own, v_own, k, v = (torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True) for _ in range(5))
    assert torch.autograd.gradcheck(lambda *x: context_attention(*x, torch.tensor([2])), (q, k, v, k_own, v_own))


def heads(*shapes, dtype=torch.float32):
    """Draw queries, keys and values (B, H, n, d), laid out in memory as (B, n, H, d) as in the model."""
    return [torch.randn(B, n, H, d).to(dtype).transpose(1, 2).requires_grad_() for B, H, n, d in shapes]


def in_double(tensors):
    return [x.detach().double().requires_grad_() for x in tensors]


def check_close(actual, expected, tolerance):
    for a, b in zip(actual, expected, strict=True):
        assert a.dtype != torch.float64
        assert float((a.double() - b).abs().max()) <= tolerance * max(1, float(b.abs().max()))


@pytest.mark.parametrize("d", [1, 4, 6, 12, 16])
@pytest.mark.parametrize("L", [1, 2, 3, 17, 64, 255, 256, 257, 600])
def test_kernel_of_the_cpu(L, d):
    """Sequences are shorter or longer than a block of keys, and some head widths are no multiple of 4."""
    torch.manual_seed(L)
    inputs = heads(*[(2, 3, 2 * L, d)] * 3)
    exact = in_double(inputs)
    upstream = torch.randn(2, 3, 2 * L, d)
    fast, slow = spatial_attention(*inputs), written_out(*exact, torch.tensor(equation_6_in_numpy(L)))
    check_close([fast.detach()], [slow.detach()], 2e-6)
    check_close(torch.autograd.grad(fast, inputs, upstream), torch.autograd.grad(slow, exact, upstream.double()), 1e-5)


def equation_6_in_numpy(L: int) -> np.ndarray:
    causal = np.tri(L, dtype=bool)
    return np.block([[causal, np.zeros((L, L), bool)], [causal, np.eye(L, dtype=bool)]])


def test_equation_6_in_numpy():
    np.testing.assert_array_equal(equation_6_in_numpy(7), equation_6(7))


def test_the_streams_are_the_halves():
    torch.manual_seed(0)
    L = 40
    q, k, v = (x.detach() for x in heads(*[(2, 2, 2 * L, 12)] * 3))
    whole = spatial_attention(q, k, v)
    torch.testing.assert_close(cell_attention(q[:, :, :L], k[:, :, :L], v[:, :, :L]), whole[:, :, :L])
    targets = target_attention(q[:, :, L:], k[:, :, :L], v[:, :, :L], k[:, :, L:], v[:, :, L:])
    torch.testing.assert_close(targets, whole[:, :, L:])


@pytest.mark.parametrize("seen", [[300, 1], [256, 255], [17, 290]])
def test_kernel_of_the_cpu_with_all_seen(seen):
    torch.manual_seed(1)
    U, L, d = 5, 300, 12
    inputs = heads((2, 3, U, d), *[(2, 3, L, d)] * 2, *[(2, 3, U, d)] * 2)
    exact = in_double(inputs)
    q, k, v, k_own, v_own = exact
    mask = torch.cat(
        (
            (torch.arange(L) < torch.tensor(seen)[:, None])[:, None].expand(-1, U, -1),
            torch.eye(U).bool().expand(2, -1, -1),
        ),
        -1,
    )
    slow = written_out(q, torch.cat((k, k_own), 2), torch.cat((v, v_own), 2), mask[:, None])
    fast = context_attention(*inputs, torch.tensor(seen))
    upstream = torch.randn(2, 3, U, d)
    check_close([fast.detach()], [slow.detach()], 2e-6)
    check_close(torch.autograd.grad(fast, inputs, upstream), torch.autograd.grad(slow, exact, upstream.double()), 1e-5)


def test_kernel_of_the_cpu_with_large_scores():
    """Almost all probabilities of every query are 0, and nothing overflows."""
    torch.manual_seed(0)
    inputs = heads(*[(1, 2, 600, 12)] * 3)
    large = [100 * inputs[0], *inputs[1:]]
    out = spatial_attention(*large)
    expected = written_out(*in_double(large), spatial_mask(300))
    check_close([out.detach()], [expected.detach()], 1e-4)
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(out.sum(), inputs))


@pytest.mark.parametrize("which", range(3))
def test_nan_is_passed_on(which):
    inputs = [x.detach() for x in heads(*[(1, 1, 40, 12)] * 3)]
    inputs[which][0, 0, 0, 0] = torch.nan  # the first cell, which all targets see
    is_nan = spatial_attention(*inputs).isnan().any(-1)[0, 0]
    assert is_nan[0]
    assert is_nan[20:].all() == (which > 0)


def test_half_precision_on_the_cpu():
    torch.manual_seed(0)
    inputs = [x.detach() for x in heads(*[(1, 2, 80, 12)] * 3, dtype=torch.bfloat16)]
    out = spatial_attention(*inputs)
    assert out.dtype == torch.bfloat16
    expected = written_out(*(x.double() for x in inputs), spatial_mask(40))
    torch.testing.assert_close(out.double(), expected, rtol=1e-2, atol=1e-2)


THREADS = """
import sys, torch
from gest.attention import spatial_attention
torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(0)
q, k, v = (torch.randn(3, 5, 200, 12).requires_grad_() for _ in range(3))
out = spatial_attention(q, k, v)
out.square().sum().backward()
assert torch.get_num_threads() == int(sys.argv[1]), torch.get_num_threads()
print(hash(b"".join(x.detach().numpy().tobytes() for x in (out, q.grad, k.grad, v.grad))))
"""


@pytest.mark.slow
def test_the_number_of_threads_changes_no_bit_and_is_kept():
    hashes = {
        n: subprocess.check_output(
            [sys.executable, "-c", THREADS, n], env=os.environ | {"PYTHONHASHSEED": "0"}, text=True
        )
        for n in ("1", "2", "7")
    }
    assert len(set(hashes.values())) == 1, hashes
    assert hashes["1"].strip()


@pytest.mark.slow
def test_the_process_that_compiles_the_kernel_computes_what_later_ones_do(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-c", THREADS, "1"]
    compiling, loading = (subprocess.check_output(command, env=environment, text=True) for _ in range(2))
    assert compiling.strip()
    assert compiling == loading


WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None
import torch
from gest import attention
attention.find_spec = lambda name: None
torch.manual_seed(0)
q, k, v = (torch.randn(2, 3, 20, 12) for _ in range(3))
torch.save((q, k, v, attention.spatial_attention(q, k, v)), sys.argv[1])
"""


def test_without_numba_torch_attends(tmp_path):
    """This is the path on a machine with torch and NumPy alone."""
    path = tmp_path / "out.pt"
    subprocess.run([sys.executable, "-c", WITHOUT_NUMBA, str(path)], check=True)
    *inputs, out = torch.load(path)
    torch.testing.assert_close(out, spatial_attention(*inputs))


def test_a_forked_process_attends_as_its_parent_did():
    """A fork loses Numba's threads, and Numba ends a forked process that starts them again."""
    torch.manual_seed(0)
    inputs = [torch.randn(3, 5, 60, 12) for _ in range(3)]
    expected = spatial_attention(*inputs)
    fork = get_context("fork")
    queue = fork.SimpleQueue()
    child = fork.Process(target=lambda: queue.put(spatial_attention(*inputs).numpy().tobytes()))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert queue.get() == expected.numpy().tobytes()
