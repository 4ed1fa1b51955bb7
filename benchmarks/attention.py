"""Attention under Eq. 6, forward and backward: the fast path beside the softmax written out and the dense mask.

B = 4 windows of L cells, 8 heads of width 12, as in the default model. Values and gradients are first held against the
softmax written out, in float64 and in the precision that is timed. Memory is measured in a process of its own.

    python benchmarks/attention.py
"""

import json

import numpy as np
import torch
from measuring import devices, extra_memory_mb, in_process, machine, options, ratio, turns, write
from reference import Attention, check_equal, dense_mask, largest_error, written_out
from torch import Tensor

from gest.attention import spatial_attention

WINDOWS, HEADS, WIDTH = 4, 8, 12
PATHS: dict[str, Attention] = {"written out": written_out, "dense mask": dense_mask, "gest": spatial_attention}
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 3e-2}
LARGEST_WRITTEN_OUT = 2400  # cells; four times the memory, many GB, for twice as many


def inputs(L: int, dtype: torch.dtype, device: torch.device, windows: int = WINDOWS) -> list[Tensor]:
    """Draw queries, keys, values, each (B, H, 2L, d), and the gradient of what comes out."""
    generator = torch.Generator().manual_seed(0)
    drawn = (torch.randn(windows, HEADS, 2 * L, WIDTH, generator=generator) for _ in range(4))
    return [x.to(device, dtype).requires_grad_(i < 3) for i, x in enumerate(drawn)]


def both_ways(attend: Attention, q: Tensor, k: Tensor, v: Tensor, gradient: Tensor) -> list[Tensor]:
    """Forward and backward."""
    out = attend(q, k, v)
    return [out, *torch.autograd.grad(out, (q, k, v), gradient)]


def error(L: int, dtype: torch.dtype, device: torch.device) -> float:
    """Hold values and gradients against the softmax written out, and return the largest error."""
    given = inputs(L, dtype, device, windows=1)
    exact = [x.detach().double().requires_grad_(i < 3) for i, x in enumerate(given)]
    found = largest_error(both_ways(spatial_attention, *given), both_ways(written_out, *exact))
    check_equal(f"attention, {dtype}, L = {L}", found, TOLERANCE[dtype])
    return found


def measure(L: int, device: torch.device, repeats: int) -> list[dict]:
    """Time the three paths in turn."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    errors = {"error": error(L, dtype, device), "error_float64": error(L, torch.float64, device)}
    given = inputs(L, dtype, device)
    times = turns({name: lambda attend=attend: both_ways(attend, *given) for name, attend in PATHS.items()}, repeats)
    rows = []
    for name, taken in times.items():
        of = ratio(taken, times["gest"])
        rows.append(
            {
                "L": L,
                "path": name,
                "dtype": str(dtype).removeprefix("torch."),
                "ms": 1e3 * np.median(taken),
                "ratio": of.median,
                "ratio_low": of.low,
                "ratio_high": of.high,
                **errors,
                **machine(device),
            }
        )
    return rows


def memory(L: int, path: str, device: torch.device) -> float:
    """Peak memory of one window, forward and backward, beside queries, keys and values, MB."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    both_ways(PATHS[path], *inputs(8, dtype, device, windows=1))  # what the first call alone needs
    given = inputs(L, dtype, device, windows=1)
    return extra_memory_mb(lambda: both_ways(PATHS[path], *given), device)


def main() -> None:
    """Measure time at two lengths and memory at four."""
    parser = options(__doc__)
    parser.add_argument("--memory", nargs=3, metavar=("L", "PATH", "DEVICE"), help="measure one peak of memory alone")
    given = parser.parse_args()
    if given.memory:
        L, path, device = given.memory
        print(json.dumps({"mb": memory(int(L), path, torch.device(device))}))
        return
    lengths, repeats = ([75], 2) if given.quick else ([675, 1200], 9)
    write(
        "attention",
        [row for device in devices() for L in lengths for row in measure(L, device, repeats)],
        quick=given.quick,
    )
    rows = []
    for device in devices():
        for L in (75, 150) if given.quick else (600, 1200, 2400, 4800):
            for path in PATHS:
                if path == "written out" and LARGEST_WRITTEN_OUT < L:
                    found = {"status": "left out: four times the memory of half the length"}
                else:
                    found = in_process(__file__, "--memory", L, path, device.type)
                rows.append({"L": L, "path": path, "mb": found.get("mb"), "status": found["status"], **machine(device)})
    write("attention_memory", rows, quick=given.quick)


if __name__ == "__main__":
    main()
