"""Run packaged methods, each in its isolated environment.

The workflow's rule `environment` creates `.venvs/{name}` from `envs/{name}.txt`; `gest.baselines.registry` says which
method runs in which. The module of a method in this folder is a stand-alone script for the Python of its environment:
it imports nothing of gest, reads arrays from one file and writes arrays to another.
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
# One thread adds numbers in one order, so that the same input gives the same bytes (numba would give torch its number
# of threads); progress bars are updated every 10 s.
SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "TQDM_DELAY": "10",
    "TQDM_MININTERVAL": "10",
}
# Exit statuses of a method that was stopped from outside: negative signals, or a shell's 128 + signal.
STOPPED = (-signal.SIGINT, -signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGTERM)
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)


def environment_python(method: str) -> Path:
    """Return the Python of a packaged method's environment.

    The path is relative to the working directory.
    """
    return FOLDER / registry.environments()[method] / "bin" / "python"


def run_packaged(method: str, **arrays: ArrayLike) -> dict[str, NDArray]:
    """Run a packaged method in its environment.

    Its output goes to this process's standard error.

    Parameters
    ----------
    method
        Its script stands beside this file, its environment in the working directory's `.venvs`.
    **arrays
        Input of the script.

    Returns
    -------
    dict
        Output of the script, arrays by name.

    Raises
    ------
    UserError
        If the environment is missing, or the method fails.
    SystemExit
        If the method was stopped from outside.
    """
    python = environment_python(method)
    environment = python.parent.parent
    if not python.exists():
        raise UserError(f"{method}: {python} not found; create it with `snakemake {environment}`.")
    script = Path(__file__).with_name(f"{method}.py")
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder, "inputs.npz"), Path(folder, "outputs.npz")
        np.savez(inputs, **arrays)
        status = _run_script(python, script, inputs, outputs)
        if status in STOPPED:
            sys.exit(f"{method}: stopped from outside, in {environment}.")
        if status:
            reason = "killed, as when memory runs out" if status in KILLED else f"exit status {status}"
            raise UserError(f"{method}: failed in {environment} ({reason}); see its output above.")
        with np.load(outputs) as loaded:
            return dict(loaded)


def _run_script(python: Path, script: Path, inputs: Path, outputs: Path) -> int:
    """Run a script and return its exit status."""
    # -I: neither the packages of this environment nor the script's own name can be imported there.
    command = [python, "-I", "-W", "ignore", script, inputs, outputs]
    # A shell in between: the peak memory of a process includes that of the process that started it.
    shell = ["sh", "-c", '"$@"; exit', "sh"]
    settings = os.environ | SETTINGS
    return subprocess.run(
        [*shell, *command], env=settings, stdout=sys.stderr, stderr=sys.stderr, check=False
    ).returncode
