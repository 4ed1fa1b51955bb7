"""Attention on a CPU: every query attends to the first n cells and to its own key.

This covers Eq. 6 (cell i sees cells 1..i − 1 and itself, target i sees cells 1..i and itself) and prediction, where a
target sees all seen cells of its window and itself. PyTorch's fused kernel has no such mask, and its matrix products
are inefficient for heads as narrow as the model's (12).

Here four queries at a time are compared with blocks of keys that stay in a fast cache. The innermost loops run over the
keys, so they fill vector registers for any head width. The softmax starts with the query's own key and is updated from
block to block (Milakov & Gimelshein 2018, arXiv:1805.02867).

One thread computes each pair of window and head, in a fixed order, so the number of threads changes no bit. All
compiled functions are in this file because Numba's cache checks the modification time of this file alone.

Shapes: B windows, H heads, L cells, U queries, d head width. D and `rows` are d and U, rounded up to a multiple of 4.
A table of keys, or of the scores of four queries, is a flat array of rows of BLOCK numbers. The constant distance
between rows spares the compiler a check whether they overlap.
"""

import functools
import os
from collections.abc import Callable

import numba
import numpy as np
import torch
from llvmlite import ir
from numba import float32, int32
from numba.extending import intrinsic
from torch import Tensor

BLOCK = 256  # keys per block
LANES = 16  # numbers in a vector register, and in a cache line
FAST = {"reassoc", "nsz", "contract", "arcp"}  # may reorder arithmetic, but respects NaN and infinity
compiled = functools.partial(numba.njit, fastmath=FAST, error_model="numpy")
# Inlined by force: otherwise the process that compiles a kernel may call another copy of a function than later
# processes, which load the kernel from Numba's cache, and the two copies round differently.
inlined = functools.partial(compiled, forceinline=True)


@intrinsic
def bits_of(_context, _x):  # noqa: ANN001, ANN201
    """Read a float's bits as an integer."""
    return int32(float32), lambda _context, builder, _signature, values: builder.bitcast(values[0], ir.IntType(32))


@intrinsic
def of_bits(_context, _x):  # noqa: ANN001, ANN201
    """Read an integer's bits as a float."""
    return float32(int32), lambda _context, builder, _signature, values: builder.bitcast(values[0], ir.FloatType())


@inlined
def exp(x: float) -> float:
    """Compute e^x for x ≤ 0 to 1e-7, as 2^t e^r with the polynomial of Cephes.

    For x below −87 the result is e^−87, which is negligible.
    """
    x = float32(-87) if x < float32(-87) else x
    t = np.floor(x * float32(1.44269504) + float32(0.5))
    r = x - t * float32(0.693359375) + t * float32(2.12194440e-4)  # log 2 in two parts
    y = float32(1.9875691500e-4)
    y = y * r + float32(1.3981999507e-3)
    y = y * r + float32(8.3334519073e-3)
    y = y * r + float32(4.1665795894e-2)
    y = y * r + float32(1.6666665459e-1)
    y = y * r + float32(5.0000001201e-1)
    y = y * r * r + r + float32(1)
    return y * of_bits(int32((int32(t) + int32(127)) << int32(23)))


@inlined
def in_order(bits: int) -> int:
    """Map the bits of a float to an integer that sorts as the float does.

    The map is its own inverse. It is used because a maximum of integers vectorises.
    """
    return int32(bits ^ int32(int32(bits >> int32(31)) & int32(0x7FFFFFFF)))


@inlined
def largest(x: np.ndarray, n: int, least: float) -> float:
    """Return the maximum of x[:n] and `least`."""
    top = in_order(bits_of(least))
    for j in range(n):
        value = in_order(bits_of(x[j]))
        top = value if value > top else top
    return of_bits(in_order(top))


@inlined
def exponentials(x: np.ndarray, n: int, top: float) -> float:
    """Replace x[:n] by exp(x[:n] − top) and return the sum."""
    total = float32(0)
    for j in range(n):
        x[j] = exp(x[j] - top)
        total += x[j]
    return total


@inlined
def score_gradients(p: np.ndarray, dp: np.ndarray, n: int, lse: float, delta: float) -> None:
    """Replace scores p[:n] by probabilities, and dp[:n] by the gradients of scores."""
    for j in range(n):
        p[j] = exp(p[j] - lse)
        dp[j] = p[j] * (dp[j] - delta)


@inlined
def products(a: np.ndarray, i: int, b: np.ndarray, out: np.ndarray, n: int) -> None:
    """Fill out (4, n) with a[i : i + 4] b, for a (rows, D) and b (D, n)."""
    n = min(n, BLOCK)
    for c in range(0, a.shape[1], 4):
        x = b[c * BLOCK : (c + 4) * BLOCK]
        a00, a01, a02, a03 = a[i, c], a[i, c + 1], a[i, c + 2], a[i, c + 3]
        a10, a11, a12, a13 = a[i + 1, c], a[i + 1, c + 1], a[i + 1, c + 2], a[i + 1, c + 3]
        a20, a21, a22, a23 = a[i + 2, c], a[i + 2, c + 1], a[i + 2, c + 2], a[i + 2, c + 3]
        a30, a31, a32, a33 = a[i + 3, c], a[i + 3, c + 1], a[i + 3, c + 2], a[i + 3, c + 3]
        if c == 0:
            for j in range(n):
                b0, b1, b2, b3 = x[j], x[BLOCK + j], x[2 * BLOCK + j], x[3 * BLOCK + j]
                out[j] = a00 * b0 + a01 * b1 + a02 * b2 + a03 * b3
                out[BLOCK + j] = a10 * b0 + a11 * b1 + a12 * b2 + a13 * b3
                out[2 * BLOCK + j] = a20 * b0 + a21 * b1 + a22 * b2 + a23 * b3
                out[3 * BLOCK + j] = a30 * b0 + a31 * b1 + a32 * b2 + a33 * b3
        else:
            for j in range(n):
                b0, b1, b2, b3 = x[j], x[BLOCK + j], x[2 * BLOCK + j], x[3 * BLOCK + j]
                out[j] += a00 * b0 + a01 * b1 + a02 * b2 + a03 * b3
                out[BLOCK + j] += a10 * b0 + a11 * b1 + a12 * b2 + a13 * b3
                out[2 * BLOCK + j] += a20 * b0 + a21 * b1 + a22 * b2 + a23 * b3
                out[3 * BLOCK + j] += a30 * b0 + a31 * b1 + a32 * b2 + a33 * b3


@inlined
def add_weighted(p: np.ndarray, b: np.ndarray, out: np.ndarray, i: int, n: int) -> None:
    """Add p bᵀ to out[i : i + 4], for p (4, n), b (D, n) and out (rows, D)."""
    n = min(n, BLOCK)
    for c in range(0, out.shape[1], 2):
        x = b[c * BLOCK : (c + 2) * BLOCK]
        x00 = x01 = x10 = x11 = x20 = x21 = x30 = x31 = float32(0)
        for j in range(n):
            b0, b1 = x[j], x[BLOCK + j]
            p0, p1, p2, p3 = p[j], p[BLOCK + j], p[2 * BLOCK + j], p[3 * BLOCK + j]
            x00 += p0 * b0
            x01 += p0 * b1
            x10 += p1 * b0
            x11 += p1 * b1
            x20 += p2 * b0
            x21 += p2 * b1
            x30 += p3 * b0
            x31 += p3 * b1
        out[i, c] += x00
        out[i, c + 1] += x01
        out[i + 1, c] += x10
        out[i + 1, c + 1] += x11
        out[i + 2, c] += x20
        out[i + 2, c + 1] += x21
        out[i + 3, c] += x30
        out[i + 3, c + 1] += x31


@inlined
def add_spread(p: np.ndarray, a: np.ndarray, i: int, out: np.ndarray, n: int) -> None:
    """Add a[i : i + 4]ᵀ p to out (D, n), for a (rows, D) and p (4, n)."""
    n = min(n, BLOCK)
    for c in range(0, a.shape[1], 4):
        x = out[c * BLOCK : (c + 4) * BLOCK]
        a00, a01, a02, a03 = a[i, c], a[i, c + 1], a[i, c + 2], a[i, c + 3]
        a10, a11, a12, a13 = a[i + 1, c], a[i + 1, c + 1], a[i + 1, c + 2], a[i + 1, c + 3]
        a20, a21, a22, a23 = a[i + 2, c], a[i + 2, c + 1], a[i + 2, c + 2], a[i + 2, c + 3]
        a30, a31, a32, a33 = a[i + 3, c], a[i + 3, c + 1], a[i + 3, c + 2], a[i + 3, c + 3]
        for j in range(n):
            p0, p1, p2, p3 = p[j], p[BLOCK + j], p[2 * BLOCK + j], p[3 * BLOCK + j]
            x[j] += a00 * p0 + a10 * p1 + a20 * p2 + a30 * p3
            x[BLOCK + j] += a01 * p0 + a11 * p1 + a21 * p2 + a31 * p3
            x[2 * BLOCK + j] += a02 * p0 + a12 * p1 + a22 * p2 + a32 * p3
            x[3 * BLOCK + j] += a03 * p0 + a13 * p1 + a23 * p2 + a33 * p3


@inlined
def table(rows: int) -> np.ndarray:
    """Allocate a table of zeros that starts at a cache line.

    Loading a vector register across two cache lines takes twice as long.
    """
    memory = np.zeros(rows * BLOCK + LANES, np.float32)
    start = (-np.int64(memory.ctypes.data) % (4 * LANES)) // 4
    return memory[start : start + rows * BLOCK]


@inlined
def row(x: np.ndarray, g: int) -> np.ndarray:
    """Return a row of a table."""
    return x[g * BLOCK : (g + 1) * BLOCK]


@inlined
def turn(x: np.ndarray, first: int, out: np.ndarray) -> None:
    """Copy x[first : first + BLOCK]ᵀ to out (D, BLOCK), padded with zeros."""
    out[:] = 0
    for j in range(min(BLOCK, x.shape[0] - first)):
        for c in range(x.shape[1]):
            out[c * BLOCK + j] = x[first + j, c]


@inlined
def within(reach: np.ndarray, i: int, j: int) -> tuple[int, int, int, int, int]:
    """Count the keys of the block at j that queries i to i + 3 attend to.

    The fifth number is the largest of the four counts, rounded up to whole registers.
    """
    n0, n1, n2, n3 = reach[i] - j, reach[i + 1] - j, reach[i + 2] - j, reach[i + 3] - j
    n0, n1, n2, n3 = min(max(n0, 0), BLOCK), min(max(n1, 0), BLOCK), min(max(n2, 0), BLOCK), min(max(n3, 0), BLOCK)
    return n0, n1, n2, n3, (max(n0, n1, n2, n3) + LANES - 1) // LANES * LANES


IN, SEEN, LSE = "f4[:,:,:,:]", "i8[:,:]", "f4[:,:,:]"
GIVEN = ", ".join([IN] * 5 + [SEEN, IN, LSE])  # the arguments that both kernels share
kernel = functools.partial(compiled, nogil=True, cache=True)


@kernel(f"({GIVEN}, i8, i8)")
def forward(q, k, v, k_own, v_own, seen, out, lse, start, stop):  # noqa: ANN001, ANN201
    """Compute `out` (B, H, U, d) and `lse` (B, H, U) for the pairs in start:stop.

    A pair is a window and a head.
    """
    _, H, U, d = q.shape
    rows, D, scale = (U + 3) // 4 * 4, (d + 3) // 4 * 4, float32(1 / np.sqrt(d))
    a, o = np.zeros((rows, D), np.float32), np.zeros((rows, D), np.float32)
    top, total, reach = np.zeros(rows, np.float32), np.zeros(rows, np.float32), np.zeros(rows, np.int64)
    s, kt, vt = table(4), table(D), table(D)
    for pair in range(start, stop):
        b, h = pair // H, pair % H
        for i in range(U):
            score = float32(0)  # of the query's own key
            for c in range(d):
                a[i, c] = q[b, h, i, c] * scale
                score += a[i, c] * k_own[b, h, i, c]
                o[i, c] = v_own[b, h, i, c]
            top[i], total[i], reach[i] = score, 1, seen[b, i]
        for j in range(0, reach.max(), BLOCK):
            turn(k[b, h], j, kt)
            turn(v[b, h], j, vt)
            for i in range(0, rows, 4):
                ns = within(reach, i, j)
                if ns[4] == 0:
                    continue
                products(a, i, kt, s, ns[4])
                for g in range(4):
                    m = largest(row(s, g), ns[g], top[i + g])
                    shrink = exp(top[i + g] - m)
                    total[i + g] = total[i + g] * shrink + exponentials(row(s, g), ns[g], m)
                    row(s, g)[ns[g] : ns[4]] = 0
                    top[i + g] = m
                    for c in range(D):
                        o[i + g, c] *= shrink
                add_weighted(s, vt, o, i, ns[4])
        for i in range(U):
            lse[b, h, i] = top[i] + np.log(total[i])
            for c in range(d):
                out[b, h, i, c] = o[i, c] / total[i]


@kernel(f"({GIVEN}, {', '.join([IN] * 6)}, i8, i8)")
def backward(q, k, v, k_own, v_own, seen, out, lse, grad, dq, dk, dv, dk_own, dv_own, start, stop):  # noqa: ANN001, ANN201
    """Compute the gradients of all five inputs for the pairs in start:stop."""
    _, H, U, d = q.shape
    rows, D, scale = (U + 3) // 4 * 4, (d + 3) // 4 * 4, float32(1 / np.sqrt(d))
    a, w, o = np.zeros((rows, D), np.float32), np.zeros((rows, D), np.float32), np.zeros((rows, D), np.float32)
    z, delta, reach = np.zeros(rows, np.float32), np.zeros(rows, np.float32), np.zeros(rows, np.int64)
    p, dp, kt, vt, dkt, dvt = table(4), table(4), table(D), table(D), table(D), table(D)
    for pair in range(start, stop):
        b, h = pair // H, pair % H
        for i in range(U):
            score = from_own = from_all = float32(0)
            for c in range(d):
                a[i, c] = q[b, h, i, c] * scale
                w[i, c] = grad[b, h, i, c]
                score += a[i, c] * k_own[b, h, i, c]
                from_own += w[i, c] * v_own[b, h, i, c]
                from_all += w[i, c] * out[b, h, i, c]
            z[i], delta[i], reach[i] = lse[b, h, i], from_all, seen[b, i]
            share = exp(score - z[i])  # the own key's probability
            d_score = share * (from_own - from_all)
            for c in range(d):
                o[i, c] = d_score * k_own[b, h, i, c]
                dk_own[b, h, i, c] = d_score * a[i, c]
                dv_own[b, h, i, c] = share * w[i, c]
        for j in range(0, k.shape[2], BLOCK):
            turn(k[b, h], j, kt)
            turn(v[b, h], j, vt)
            dkt[:] = 0
            dvt[:] = 0
            for i in range(0, rows, 4):
                ns = within(reach, i, j)
                if ns[4] == 0:
                    continue
                products(a, i, kt, p, ns[4])
                products(w, i, vt, dp, ns[4])
                for g in range(4):
                    score_gradients(row(p, g), row(dp, g), ns[g], z[i + g], delta[i + g])
                    row(p, g)[ns[g] : ns[4]] = 0
                    row(dp, g)[ns[g] : ns[4]] = 0
                add_weighted(dp, kt, o, i, ns[4])
                add_spread(dp, a, i, dkt, ns[4])
                add_spread(p, w, i, dvt, ns[4])
            for jj in range(min(BLOCK, k.shape[2] - j)):
                for c in range(d):
                    dk[b, h, j + jj, c] = dkt[c * BLOCK + jj]
                    dv[b, h, j + jj, c] = dvt[c * BLOCK + jj]
        for i in range(U):
            for c in range(d):
                dq[b, h, i, c] = o[i, c] * scale


n_threads = torch.get_num_threads()  # kept and restored below, since starting Numba's threads changes it


@kernel(f"({GIVEN}, i8)", parallel=True)
def forward_in_threads(q, k, v, k_own, v_own, seen, out, lse, n):  # noqa: ANN001, ANN201
    """Run `forward` in n threads, each on an equal share of the pairs."""
    pairs = q.shape[0] * q.shape[1]
    for t in numba.prange(n):
        forward(q, k, v, k_own, v_own, seen, out, lse, pairs * t // n, pairs * (t + 1) // n)


@kernel(f"({GIVEN}, {', '.join([IN] * 6)}, i8)", parallel=True)
def backward_in_threads(q, k, v, k_own, v_own, seen, out, lse, grad, dq, dk, dv, dk_own, dv_own, n):  # noqa: ANN001, ANN201
    """Run `backward` in n threads, each on an equal share of the pairs."""
    pairs = q.shape[0] * q.shape[1]
    for t in numba.prange(n):
        share = pairs * t // n, pairs * (t + 1) // n
        backward(q, k, v, k_own, v_own, seen, out, lse, grad, dq, dk, dv, dk_own, dv_own, share[0], share[1])


numba.get_num_threads()
torch.set_num_threads(n_threads)
OWNER = os.getpid()


def run(alone: Callable[..., None], in_threads: Callable[..., None], *tensors: Tensor) -> None:
    """Run a kernel on as many threads as torch uses.

    A forked process uses one thread, because a fork has lost the threads of its parent.
    """
    arrays = [x.detach().numpy() for x in tensors]
    n = torch.get_num_threads() if os.getpid() == OWNER else 1
    if n == 1:
        alone(*arrays, 0, arrays[0].shape[0] * arrays[0].shape[1])
    else:
        numba.set_num_threads(min(n, numba.config.NUMBA_NUM_THREADS))
        in_threads(*arrays, n)


def like(x: Tensor) -> Tensor:
    """Allocate (B, H, n, d) laid out in memory as (B, n, H, d), as the model needs it."""
    B, H, n, d = x.shape
    return x.new_empty(B, n, H, d).transpose(1, 2)


class Attention(torch.autograd.Function):
    """Attend from each query to its first `seen` cells and to its own key.

    `q`, `k_own` and `v_own` are (B, H, U, d), `k` and `v` (B, H, L, d), and `seen` is (B, U).
    """

    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor, k_own: Tensor, v_own: Tensor, seen: Tensor) -> Tensor:  # noqa: ANN001, D102
        out, lse = like(q), q.new_empty(q.shape[:-1])
        run(forward, forward_in_threads, q, k, v, k_own, v_own, seen, out, lse)
        ctx.save_for_backward(q, k, v, k_own, v_own, seen, out, lse)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN001, D102
        saved = ctx.saved_tensors
        gradients = [like(x) for x in saved[:5]]
        run(backward, backward_in_threads, *saved, grad, *gradients)
        return *gradients, None


attend = Attention.apply
