"""Constants and functions that several tests share."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from gest.errors import UserError

TINY = {
    "window": 300,
    "model": {"layers": 2, "heads": 2, "width": 16},
    "pretraining": {
        "steps": 12,
        "batch_size": 4,
        "learning_rate": 3e-3,
        "warmup_steps": 2,
        "validate_every": 4,
        "checkpoint_every": 4,
    },
}

# Settings for fine-tuning in a few seconds.
QUICK = {"steps": 12, "batch_size": 8, "learning_rate": 3e-3, "validate_every": 4}

# (method, variant) of generation, in the order of tables and figures.
PAIRS = [("gest", "picking"), ("gest", "weighted"), ("gp", "default"), ("mlp", "default")]
PAIRS += [("mean_of_seen", "default"), ("nearest_seen", "default"), ("true_metacells", "default")]


def refused(call: Callable[[], object], *parts: str) -> str:
    """Check that a call raises a UserError with these parts, in this order, on one line; return its message."""
    with pytest.raises(UserError, match=".*".join(re.escape(part) for part in parts)) as error:
        call()
    message = str(error.value)
    assert "\n" not in message
    return message


def cells(markdown: str, name: str) -> list[str]:
    """Return the cells of the row of a Markdown table whose first cell begins with this name."""
    line = next(line for line in markdown.splitlines() if line.startswith(f"| {name} "))
    return [cell.strip() for cell in line.strip("|").split("|")]


def only_row(table: pd.DataFrame, **where: object) -> pd.Series:
    """Return the only row with these values."""
    for column, value in where.items():
        table = table[table[column] == value]
    assert len(table) == 1, table
    return table.iloc[0]


def snakemake(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in a folder; its stdout includes its stderr."""
    command = [sys.executable, "-m", "snakemake", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
