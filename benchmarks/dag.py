"""The workflow itself: a dry run of the paper's configuration, its jobs, and how many of them are short.

How long a rule's jobs take is read off the runs that lie in `results` (their `benchmark:` files): the toy's do little
work, so that what is short there is mostly the start of a process. A job that costs less than a scheduler's own
overhead is one to be grouped with others.

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


def jobs(told: str) -> dict[str, int]:
    """Read the number of jobs of every rule off what a dry run prints."""
    table = told.rsplit("Job stats:", 1)[-1].split("\n\n")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, flags=re.M) if name != "total"}


def durations(results: Path, rules: list[str]) -> dict[str, float]:
    """Median seconds of every rule's jobs, in all runs under a folder; a rule's files lie under its name."""
    found: dict[str, list[float]] = {}
    for path in results.glob("*/benchmarks/**/*.tsv"):
        rule = path.relative_to(results).parts[2].removesuffix(".tsv")
        if rule in rules:
            found.setdefault(rule, []).append(float(pd.read_csv(path, sep="\t")["s"].iloc[0]))
    return {rule: statistics.median(taken) for rule, taken in found.items()}


def processor_seconds() -> float:
    """Time that the processor has spent on the programs started from here: what else runs does not lengthen it."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main() -> None:
    """Time dry runs, and list the rules."""
    given = options(__doc__).parse_args()
    command = [sys.executable, "-m", "snakemake", "--dry-run", "all"]
    taken, told = [], ""
    for _ in range(1 if given.quick else 3):
        before = processor_seconds()
        told = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
        taken.append(processor_seconds() - before)
    counted = jobs(told)
    usual = durations(Path("results"), list(counted))
    rows = [{"rule": rule, "jobs": n, "median_s": usual.get(rule, np.nan)} for rule, n in counted.items()]
    rows.sort(key=lambda row: -row["jobs"])
    write("dag_rules", rows, quick=given.quick)
    short = sum(row["jobs"] for row in rows if row["median_s"] < SHORT)
    unknown = sum(row["jobs"] for row in rows if np.isnan(row["median_s"]))
    about = {"dry_run_s": statistics.median(taken), "jobs": sum(counted.values()), "rules": len(counted)}
    write(
        "dag",
        [{**about, "short_s": SHORT, "short": short, "unknown": unknown, **machine(torch.device("cpu"))}],
        quick=given.quick,
    )


if __name__ == "__main__":
    main()
