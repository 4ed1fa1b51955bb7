"""Packaged methods, each in an environment of its own.

The workflow makes ``.venvs/{name}`` out of ``envs/{name}.txt`` (rule ``environment``). The module of a method here is a
stand-alone script for the Python of that environment: it imports nothing of gest, reads arrays and writes a table.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from gest.errors import UserError

ENVIRONMENTS = Path(".venvs")  # in the working directory
# One thread adds numbers in one order, so that the same input gives the same bytes; a bar of progress moves every 10 s.
SETTINGS = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TQDM_DELAY": "10", "TQDM_MININTERVAL": "10"}


def run_isolated(name: str, **arrays: ArrayLike) -> pd.DataFrame:
    """Run a packaged method in its environment; what it says goes to this process's standard error.

    Parameters
    ----------
    name
        Of the method: its script beside this file, and its environment in the working directory's ``.venvs``.
    **arrays
        What the script reads.

    Returns
    -------
    pandas.DataFrame
        What the script wrote.

    Raises
    ------
    UserError
        If the environment is not there, or the method fails.
    """
    python = ENVIRONMENTS / name / "bin" / "python"
    if not python.exists():
        raise UserError(f"{name}: it has no {python} to run with; make it with `snakemake {python.parents[1]}`.")
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "given.npz"), Path(folder, "made.csv")
        np.savez(given, **arrays)
        # -I keeps the packages of this environment, and the script's own name, from being imported there.
        command = [python, "-I", "-W", "ignore", Path(__file__).with_name(f"{name}.py"), given, made]
        settings = {**os.environ, **SETTINGS}
        done = subprocess.run(command, env=settings, stdout=sys.stderr, stderr=sys.stderr, check=False)
        if done.returncode:
            raise UserError(
                f"{name}: it failed in {python.parents[1]} (exit status {done.returncode}); what it said stands above."
            )
        return pd.read_csv(made)
