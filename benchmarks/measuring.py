"""Measure time and memory, describe the machine, write results.

A reference and the fast path are timed in turn, so that other load on the machine affects both. Memory
is measured in a separate process, as the kernel reports it (Linux).
"""

import argparse
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch


class Ratio(NamedTuple):
    """Time of the reference over that of the fast path: median and quartiles."""

    median: float
    low: float
    high: float


def options(description: str) -> argparse.ArgumentParser:
    """Create the parser that all benchmarks share."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes and few repeats, to test the benchmark")
    return parser


def devices() -> list[torch.device]:
    """List the CPU and, if there is one, the GPU of this machine."""
    return [torch.device("cpu")] + [torch.device("cuda")] * torch.cuda.is_available()


def machine(device: torch.device) -> dict[str, Any]:
    """Describe the machine: the columns that every table of results has."""
    cuda = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if cuda else "cpu",
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def processor() -> str:
    """Return the model of the processor and the widest instructions PyTorch uses."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")
    return f"{model}, {torch.backends.cpu.get_cpu_capability()}"


def autocast(device: torch.device) -> torch.autocast:
    """Create the context of training: bfloat16 on CUDA, no change on a CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def has_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies in bfloat16.

    On a CPU that does not, bfloat16 makes PyTorch hundreds of times slower.
    """
    if device.type != "cpu":
        return True
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def seconds(work: Callable[[], Any]) -> float:
    """Time one call, including its work on a GPU."""
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def turns(works: Mapping[Any, Callable[[], Any]], repeats: int) -> dict[Any, np.ndarray]:
    """Time functions in turn: name to (repeats,) seconds.

    One more round is run first and not counted.
    """
    rounds = [{name: seconds(work) for name, work in works.items()} for _ in range(repeats + 1)]
    return {name: np.array([times[name] for times in rounds[1:]]) for name in works}


def ratio(reference: np.ndarray, fast: np.ndarray) -> Ratio:
    """Compute the ratio of each round, whose two times share the same conditions."""
    low, median, high = np.quantile(reference / fast, (0.25, 0.5, 0.75))
    return Ratio(float(median), float(low), float(high))


def memory_mb(kind: str = "VmHWM") -> float:
    """Return the resident memory of this process, MB.

    `VmHWM` is its peak, `VmRSS` its present value.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) / 1024


def machine_memory_mb() -> float:
    """Return the memory of this machine, MB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20


def extra_memory_mb(work: Callable[[], Any], device: torch.device) -> float:
    """Measure the peak of the additional memory that a function needs, MB."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    ctypes.CDLL(None).malloc_trim(0)  # otherwise memory freed earlier would be reused without being counted
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = memory_mb("VmRSS")
    work()
    return memory_mb() - before


def in_process(script: str, *arguments: Any, limit: float | None = None) -> dict[str, Any]:
    """Run a part of a benchmark in a separate process.

    The part prints its result as JSON in its last line. `status` is added to it: `ok`, or without a result the reason:
    the part took longer than `limit` seconds, was killed or failed.
    """
    command = [sys.executable, script, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as child:
        try:
            output, _ = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)  # with its child processes
            return {"status": f"stopped after {limit / 60:g} minutes"}
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
    if child.returncode == -signal.SIGKILL:
        return {"status": "killed, as when memory runs out"}
    if child.returncode:
        return {"status": f"failed (exit status {child.returncode})"}
    return {"status": "ok"} | json.loads(output.splitlines()[-1])


def done(result: dict[str, Any], what: str) -> dict[str, Any]:
    """Return the result of `in_process` without its status; exit if it failed."""
    if result["status"] != "ok":
        raise SystemExit(f"{what}: {result['status']}.")
    return {name: value for name, value in result.items() if name != "status"}


def results(quick: bool) -> Path:
    """Return the folder of results.

    Results of a quick run are meaningless and have a separate folder.
    """
    return Path("results/benchmarks/quick" if quick else "results/benchmarks")


def write(name: str, rows: Sequence[Mapping[str, Any]], *, quick: bool) -> None:
    """Write rows with four significant digits as `NAME.csv`, and print them."""
    table = pd.DataFrame(rows)
    results(quick).mkdir(parents=True, exist_ok=True)
    table.to_csv(results(quick) / f"{name}.csv", index=False, float_format="%.4g")
    print(table.drop(columns=["processor", "cores", "threads", "torch"], errors="ignore").to_string(index=False))
