"""Run packaged methods, each in its isolated environment.

The workflow's rule `environment` creates `.venvs/{name}` from `envs/{name}.txt`; `gest.baselines.registry` names the
environment of each method. Each module in this folder is the stand-alone script of one method and runs on the Python of
that environment: it imports nothing from gest, reads arrays from one file and writes arrays to another.
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
# A single thread adds numbers in a fixed order, so that the same input gives the same bytes. Numba is limited too: it
# would otherwise set torch's number of threads. Progress bars are updated every 10 s.
SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "TQDM_DELAY": "10",
    "TQDM_MININTERVAL": "10",
}
# Exit statuses of a script that a signal stopped: the negative signal number, or a shell's 128 + signal.
STOPPED = (-signal.SIGINT, -signal.SIGTERM, 128 + signal.SIGINT, 128 + signal.SIGTERM)
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)


def environment_python(method: str) -> Path:
    """Return the Python of a packaged method's environment.

    The path is relative to the working directory.
    """
    return FOLDER / registry.environments()[method] / "bin" / "python"


def run_packaged(method: str, **arrays: ArrayLike) -> dict[str, NDArray]:
    """Run a packaged method in its environment.

    What the script prints goes to this process's standard error.

    Parameters
    ----------
    method
        Name of the method. Its script is beside this file, its environment in `.venvs` of the working directory.
    **arrays
        Input arrays of the script, by name.

    Returns
    -------
    dict
        Output arrays of the script, by name.

    Raises
    ------
    UserError
        The environment is missing, or the script fails.
    SystemExit
        An interrupt or termination signal stopped the script.
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
    # -I: the script can import neither the packages of this environment nor the files beside it.
    command = [python, "-I", "-W", "ignore", script, inputs, outputs]
    # A shell starts the script, because the peak memory of a process includes that of the process that started it.
    shell = ["sh", "-c", '"$@"; exit', "sh"]
    settings = os.environ | SETTINGS
    return subprocess.run(
        [*shell, *command], env=settings, stdout=sys.stderr, stderr=sys.stderr, check=False
    ).returncode
