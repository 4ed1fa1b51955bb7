"""What all benchmarks need: the memory of a process, the machine's name, and where results are kept."""

import json
from pathlib import Path
from typing import Any


def peak_memory(pid: int) -> int:
    """Return the most resident memory that a process has had, in bytes (Linux); 0 once it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


def processor() -> str:
    """Return the model of the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")


def keep(result: dict[str, Any]) -> None:
    """Print a result as one JSON line, and add it to the results."""
    line = json.dumps(result)
    print(line)
    with Path(__file__).with_name("results.jsonl").open("a") as file:
        file.write(line + "\n")
