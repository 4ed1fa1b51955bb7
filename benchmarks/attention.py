"""Time attention under Eq. 6 against the softmax written out and the dense mask.

B = 4 windows of L cells, 8 heads of width 12, as in the default model. Values and gradients are first compared with the
softmax written out, in float64 and in the timed precision. Memory is measured in a separate process.

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
LARGEST_WRITTEN_OUT = 2400  # cells; twice as many would need four times the memory, many GB


def inputs(L: int, dtype: torch.dtype, device: torch.device, windows: int = WINDOWS) -> list[Tensor]:
    """Draw queries, keys, values, each (B, H, 2L, d), and the gradient of the output."""
    generator = torch.Generator().manual_seed(0)
    drawn = (torch.randn(windows, HEADS, 2 * L, WIDTH, generator=generator) for _ in range(4))
    return [x.to(device, dtype).requires_grad_(i < 3) for i, x in enumerate(drawn)]


def both_ways(attend: Attention, q: Tensor, k: Tensor, v: Tensor, gradient: Tensor) -> list[Tensor]:
    """Run forward and backward; return the output and the gradients."""
    out = attend(q, k, v)
    return [out, *torch.autograd.grad(out, (q, k, v), gradient)]


def error(L: int, dtype: torch.dtype, device: torch.device) -> float:
    """Return the largest error against the softmax written out.

    Both values and gradients are compared.
    """
    tensors = inputs(L, dtype, device, windows=1)
    exact = [x.detach().double().requires_grad_(i < 3) for i, x in enumerate(tensors)]
    difference = largest_error(both_ways(spatial_attention, *tensors), both_ways(written_out, *exact))
    check_equal(f"attention, {dtype}, L = {L}", difference, TOLERANCE[dtype])
    return difference


def measure(L: int, device: torch.device, repeats: int) -> list[dict]:
    """Time the three paths in turn."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    errors = {"error": error(L, dtype, device), "error_float64": error(L, torch.float64, device)}
    tensors = inputs(L, dtype, device)
    times = turns({name: lambda attend=attend: both_ways(attend, *tensors) for name, attend in PATHS.items()}, repeats)
    rows = []
    for name, taken in times.items():
        slower = ratio(taken, times["gest"])
        rows.append(
            {
                "L": L,
                "path": name,
                "dtype": str(dtype).removeprefix("torch."),
                "ms": 1e3 * np.median(taken),
                "ratio": slower.median,
                "ratio_low": slower.low,
                "ratio_high": slower.high,
                **errors,
                **machine(device),
            }
        )
    return rows


def memory(L: int, path: str, device: torch.device) -> float:
    """Measure the peak memory of one window, forward and backward, MB.

    Queries, keys and values are not counted.
    """
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    both_ways(PATHS[path], *inputs(8, dtype, device, windows=1))  # the first call needs additional memory
    tensors = inputs(L, dtype, device, windows=1)
    return extra_memory_mb(lambda: both_ways(PATHS[path], *tensors), device)


def main() -> None:
    """Measure time at two lengths and memory at four."""
    parser = options(__doc__)
    parser.add_argument("--memory", nargs=3, metavar=("L", "PATH", "DEVICE"), help="measure one peak of memory only")
    arguments = parser.parse_args()
    if arguments.memory:
        L, path, device = arguments.memory
        print(json.dumps({"mb": memory(int(L), path, torch.device(device))}))
        return
    lengths, repeats = ([75], 2) if arguments.quick else ([675, 1200], 9)
    write(
        "attention",
        [row for device in devices() for L in lengths for row in measure(L, device, repeats)],
        quick=arguments.quick,
    )
    rows = []
    for device in devices():
        for L in (75, 150) if arguments.quick else (600, 1200, 2400, 4800):
            for path in PATHS:
                if path == "written out" and LARGEST_WRITTEN_OUT < L:
                    result = {"status": "left out: four times the memory of half the length"}
                else:
                    result = in_process(__file__, "--memory", L, path, device.type)
                rows.append(
                    {"L": L, "path": path, "mb": result.get("mb"), "status": result["status"], **machine(device)}
                )
    write("attention_memory", rows, quick=arguments.quick)


if __name__ == "__main__":
    main()
