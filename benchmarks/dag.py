"""Time a dry run of the paper's configuration, and count its jobs and short jobs.

The duration of each rule's jobs is read from the `benchmark:` files of the runs under `results`. Jobs of the toy run do
little work, so the short ones spend most of their time starting a process. A job that takes less time than a scheduler
needs to start it should be grouped with others.

    python benchmarks/dag.py
"""

import re
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from measuring import machine, options, write

SHORT = 10.0  # seconds; a cluster's scheduler takes about as long to start a job


def jobs(output: str) -> dict[str, int]:
    """Read the number of jobs of every rule from the output of a dry run."""
    table = output.rsplit("Job stats:", 1)[-1].split("\n\n")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, flags=re.M) if name != "total"}


def durations(results: Path, rules: list[str]) -> dict[str, float]:
    """Compute the median seconds of every rule's jobs in all runs under a folder."""
    seconds: dict[str, list[float]] = {}
    for path in results.glob("*/benchmarks/**/*.tsv"):
        rule = path.relative_to(results).parts[2].removesuffix(".tsv")
        if rule in rules:
            seconds.setdefault(rule, []).append(float(pd.read_csv(path, sep="\t")["s"].iloc[0]))
    return {rule: statistics.median(taken) for rule, taken in seconds.items()}


def processor_seconds() -> float:
    """Return the processor time of child processes; other load does not add to it."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main() -> None:
    """Time dry runs, and list the rules with their jobs and durations."""
    arguments = options(__doc__).parse_args()
    command = [sys.executable, "-m", "snakemake", "--dry-run", "all"]
    taken, output = [], ""
    for _ in range(1 if arguments.quick else 3):
        before = processor_seconds()
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        output = subprocess.run(command, check=True, text=True, **streams).stdout
        taken.append(processor_seconds() - before)
    counted = jobs(output)
    usual = durations(Path("results"), list(counted))
    rows = [{"rule": rule, "jobs": n, "median_s": usual.get(rule, np.nan)} for rule, n in counted.items()]
    rows.sort(key=lambda row: -row["jobs"])
    write("dag_rules", rows, quick=arguments.quick)
    short = sum(row["jobs"] for row in rows if row["median_s"] < SHORT)
    unknown = sum(row["jobs"] for row in rows if np.isnan(row["median_s"]))
    summary = {"dry_run_s": statistics.median(taken), "jobs": sum(counted.values()), "rules": len(counted)}
    write(
        "dag",
        [{**summary, "short_s": SHORT, "short": short, "unknown": unknown, **machine(torch.device("cpu"))}],
        quick=arguments.quick,
    )


if __name__ == "__main__":
    main()
