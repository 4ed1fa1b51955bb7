"""Packaged methods, each in an environment made for it.

The workflow makes ``.venvs/{name}`` out of ``envs/{name}.txt`` (rule ``environment``). The module of a method here is a
stand-alone script for the Python of that environment: it imports nothing of gest, reads arrays and writes arrays.
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gest.baselines import registry
from gest.errors import UserError

FOLDER = Path(".venvs")  # in the working directory
ENVIRONMENTS = registry.environments()
# One thread adds numbers in one order, so that the same input gives the same bytes (numba would give torch its own
# number of threads); a bar of progress moves every 10 s.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
SETTINGS = dict.fromkeys(THREADS, "1") | dict.fromkeys(("TQDM_DELAY", "TQDM_MININTERVAL"), "10")

# A method that is told to stop did not fail: a job that is cancelled says nothing of it (exit status, or a shell's).
ENDED = {stop + shell for stop in (signal.SIGINT, signal.SIGTERM) for shell in (0, 128)}


def run_isolated(method: str, **arrays: ArrayLike) -> dict[str, NDArray]:
    """Run a packaged method in its environment; what it says goes to this process's standard error.

    Parameters
    ----------
    method
        Its script stands beside this file, and its environment in the working directory's ``.venvs``.
    **arrays
        What the script reads.

    Returns
    -------
    dict
        The arrays that the script made, by name.

    Raises
    ------
    UserError
        If the environment is not there, or the method fails.
    SystemExit
        If it was ended from outside.
    """
    environment = FOLDER / ENVIRONMENTS[method]
    python = environment / "bin" / "python"
    if not python.exists():
        raise UserError(f"{method}: it has no {python} to run with; make it with `snakemake {environment}`.")
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "given.npz"), Path(folder, "made.npz")
        np.savez(given, **arrays)
        # -I keeps the packages of this environment, and the script's own name, from being imported there.
        script = [python, "-I", "-W", "ignore", Path(__file__).with_name(f"{method}.py"), given, made]
        # Between the two stands a shell, for the peak of memory of a process counts that of the one that started it.
        command = ["sh", "-c", '"$@"; exit', "sh", *script]
        settings = {**os.environ, **SETTINGS}
        done = subprocess.run(command, env=settings, stdout=sys.stderr, stderr=sys.stderr, check=False)
        if abs(done.returncode) in ENDED:
            sys.exit(f"{method}: it was ended from outside, in {environment}.")
        if done.returncode:
            killed = done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
            why = "killed, as when memory runs out" if killed else f"exit status {done.returncode}"
            raise UserError(f"{method}: it failed in {environment} ({why}); what it said stands above.")
        with np.load(made) as arrays_made:
            return dict(arrays_made)
