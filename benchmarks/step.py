"""Time a training step of the default model on 4 windows of 676 cells.

A step consists of forward pass, loss, backward pass, clipping and AdamW. It is compared with that of the readable model
(`reference.py`), which uses fused attention with the dense mask or the softmax written out, gathers the expression of
every cell and does not fold the codebook. All share the weights of one model, and losses and
gradients are compared first. The share of the machine's peak is the rate of the operations that the mathematics needs,
counted by formula, divided by the rate of a large matrix product measured in the same run.

    python benchmarks/step.py
"""

from collections.abc import Callable

import numpy as np
import torch
from inputs import default_model, random_windows
from measuring import autocast, devices, has_bfloat16, machine, options, ratio, turns, write
from reference import check_equal, dense_mask, gradients, largest_error, window_losses, written_out
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from gest import GeST
from gest.config import ModelConfig
from gest.training.objective import window_losses as gest_losses

WINDOWS, LENGTH = 4, 676
TOLERANCE = 1e-3  # of gradients in float32, each relative to its largest value: sums of thousands of terms
OPERATORS = 15


def operations(shape: ModelConfig, *, windows: int, length: int, n_metacells: int, n_genes: int) -> dict[str, float]:
    """Count the multiplications and additions of a step.

    A backward pass counts as two forward passes.

    The input embedding, and the product of the last layer with the codebook (Eq. 7), are computed once for all K meta
    cells. In the last layer, only the keys and values of the cells are needed.
    """
    D, L = shape.width, length - 1
    tokens = windows * L
    whole = 2 * 12 * D**2  # queries, keys, values, projection and feed-forward of one token in one layer
    attended = 2 * 2 * D * L / 2  # scores and weighted values over half the L keys
    cells = tokens * ((shape.layers - 1) * (whole + attended) + 2 * 2 * D**2)
    targets = tokens * shape.layers * (whole + attended)
    head = tokens * 2 * (D**2 + D * n_metacells)
    codebook = 2 * 2 * n_metacells * n_genes * D
    return {"cells": 3 * cells, "targets": 3 * targets, "head": 3 * head, "codebook": 3 * codebook}


def product(device: torch.device, dtype: torch.dtype, n: int) -> Callable[[], Tensor]:
    """Create a function that computes a large matrix product, n × n."""
    a = torch.randn(n, n, device=device, dtype=dtype)
    return lambda: a @ a


def step(losses: Callable[[], Tensor], model: GeST, optimiser: torch.optim.Optimizer) -> None:
    """Do one step as `gest.pretrain` does."""
    with autocast(model.device):
        loss = losses().mean()
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()


def measure(device: torch.device, windows: int, length: int, repeats: int) -> tuple[list[dict], list[dict], list[dict]]:
    """Measure the steps, the slowest operators, and the share of the peak.

    Each is a list of rows.
    """
    model = default_model().to(device)
    batch = random_windows(model, windows, length)
    works = {
        "written out": lambda: window_losses(model, *batch, written_out),
        "dense mask": lambda: window_losses(model, *batch, dense_mask),
        "gest": lambda: gest_losses(model, *batch),
    }
    losses = {name: work() for name, work in works.items()}
    check_equal("step, losses", largest_error([losses["gest"]], [losses["written out"]]), TOLERANCE)
    error = largest_error(gradients(losses["gest"], model), gradients(losses["written out"], model))
    check_equal("step, gradients", error, TOLERANCE)
    del losses

    optimiser = torch.optim.AdamW(
        model.parameters(), lr=0.0, fused=True
    )  # lr 0 keeps the weights: all paths do the same steps
    steps = {name: lambda work=work: step(work, model, optimiser) for name, work in works.items()}
    n = 2048 if device.type == "cpu" else 8192
    dtypes = [torch.float32] + [torch.bfloat16] * has_bfloat16(device)
    products = {dtype: product(device, dtype, n) for dtype in dtypes}
    times = turns(steps | products, repeats)
    cells = windows * (length - 1)
    rows = []
    for name in works:
        taken = times[name]
        slower = ratio(taken, times["gest"])
        speed = {"seconds": np.median(taken), "cells_per_s": cells / np.median(taken)}
        spread = {"ratio": slower.median, "ratio_low": slower.low, "ratio_high": slower.high}
        rows.append({"path": name, "windows": windows, "L": length - 1, **speed, **spread, "error": error})

    kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == "cuda")
    with profile(activities=kinds) as record:
        step(works["gest"], model, optimiser)
    operator_us = {event.key: taken_by(event, device) for event in record.key_averages()}
    top = sorted(operator_us, key=operator_us.get, reverse=True)[:OPERATORS]
    operators = [
        {"operator": name, "ms": operator_us[name] / 1e3, "share": operator_us[name] / sum(operator_us.values())}
        for name in top
    ]

    K, T = model.codebook.shape
    counted = operations(model.config.model, windows=windows, length=length, n_metacells=K, n_genes=T)
    total = sum(counted.values())
    peaks = []
    for dtype in products:
        share = ratio(total / times["gest"], 2 * n**3 / times[dtype])  # round by round
        peak = {"dtype": str(dtype).removeprefix("torch."), "peak_gflops": 2e-9 * n**3 / np.median(times[dtype])}
        reached = {"reached_gflops": 1e-9 * total / np.median(times["gest"]), "share": share.median}
        peaks.append({**peak, **reached, **{f"gflop_{name}": value / 1e9 for name, value in counted.items()}})
    return tuple([row | machine(device) for row in table] for table in (rows, operators, peaks))


def taken_by(event: torch.autograd.profiler_util.FunctionEventAvg, device: torch.device) -> float:
    """Return the time of an operator itself, without those it calls, µs."""
    return event.self_cpu_time_total if device.type == "cpu" else event.self_device_time_total


def main() -> None:
    """Measure the step on every device."""
    arguments = options(__doc__).parse_args()
    size = (2, 65, 2) if arguments.quick else (WINDOWS, LENGTH, 7)
    measured = [measure(device, *size) for device in devices()]
    for name, tables in zip(("step", "step_operators", "step_peak"), zip(*measured, strict=True), strict=True):
        write(name, [row for table in tables for row in table], quick=arguments.quick)


if __name__ == "__main__":
    main()
