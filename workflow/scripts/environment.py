"""Build an isolated environment from its pins, check it, and link to it; leave nothing behind on failure.

Environments are cached in ``~/.cache/gest/environments`` (or under ``XDG_CACHE_HOME``), keyed by the Python version and
the hash of their pins, so a fresh clone reuses them.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from filelock import FileLock

# Builds run without isolation, against the pinned versions; these packages are imported by others during their build.
BUILD_REQUIREMENTS = ("setuptools", "wheel", "numpy", "torch")
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")
# pip's cache is not used, as it may hold a broken wheel of an earlier build that failed without an error.
INSTALL = (*PIP, "install", "--no-build-isolation", "--no-cache-dir", "--progress-bar=off")
HIDDEN_VARIABLES = ("CUDAHOME", "CUDA_HOME", "CUDA_PATH", "PYTHONPATH", "PYTHONHOME")


def hide_nvcc(path: str, folder: Path) -> str:
    """Return PATH without nvcc, because some builds fail if they find it.

    A directory with nvcc is replaced by links to its other programs, made in `folder`.
    """
    visible = []
    for directory in map(Path, path.split(os.pathsep)):
        if (directory / "nvcc").exists():
            links = folder / f"path-{len(visible)}"
            links.mkdir()
            for program in directory.iterdir():
                if program.name != "nvcc":
                    (links / program.name).symlink_to(program.absolute())
            directory = links
        visible.append(str(directory))
    return os.pathsep.join(visible)


def run_steps(steps: dict[str, tuple[str, ...]], variables: dict[str, str]) -> str | None:
    """Run the commands in order, and log their output.

    On failure, return the step and the last line of its output; else None.
    """
    for step, command in steps.items():
        started = time.monotonic()
        with log.open("a") as output:
            output.write(f"{' '.join(command)}\n")
            output.flush()
            completed = subprocess.run(command, env=variables, stdout=output, stderr=subprocess.STDOUT, check=False)
        if completed.returncode:
            return f"{step} ({log.read_text().strip().splitlines()[-1]})"
        print(f"{environment}: {step}, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return None


pins, check = map(Path, snakemake.input)
environment, log = Path(snakemake.output[0]), Path(snakemake.log[0])
cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "gest" / "environments"
digest = hashlib.sha256(pins.read_bytes()).hexdigest()[:12]
cached = cache / f"{environment.name}-{sys.version_info.major}.{sys.version_info.minor}-{digest}"
building = cache / f"{cached.name}.making"
cache.mkdir(parents=True, exist_ok=True)
log.unlink(missing_ok=True)

# A second run waits, then uses the first's environment.
with tempfile.TemporaryDirectory() as folder, FileLock(f"{cached}.lock", fallback_to_soft=False):
    variables = {key: value for key, value in os.environ.items() if key not in HIDDEN_VARIABLES}
    variables["PATH"] = hide_nvcc(os.environ["PATH"], Path(folder))
    variables |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}  # as when methods run
    check_step = f"run {check}"
    cached_python = cached / "bin" / "python"
    if not cached_python.exists() or run_steps({check_step: (str(cached_python), "-I", str(check))}, variables):
        build_requirements = Path(folder, "build_requirements.txt")
        pinned = pins.read_text().splitlines(keepends=True)
        build_requirements.write_text("".join(pin for pin in pinned if re.split("[=@ ]", pin)[0] in BUILD_REQUIREMENTS))
        python = str(building / "bin" / "python")
        steps = {
            "create the environment": (sys.executable, "-m", "venv", "--clear", str(building)),
            "install build requirements": (python, *INSTALL, "-c", str(pins), "-r", str(build_requirements)),
            "install packages": (python, *INSTALL, "--no-deps", "-r", str(pins)),
            "verify dependencies": (python, *PIP, "check"),
            check_step: (python, "-I", str(check)),
        }
        if reason := run_steps(steps, variables):
            shutil.rmtree(building, ignore_errors=True)
            message = f"Error: {environment}: could not {reason}; see {log}, fix {pins} and run again."
            with log.open("a") as output:
                output.write(message + "\n")
            sys.exit(message)
        shutil.rmtree(cached, ignore_errors=True)  # its check failed
        building.rename(cached)
    environment.symlink_to(cached)
