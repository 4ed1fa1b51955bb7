"""An isolated environment: found in the cache or made there, proven by its check, and linked; or not there at all.

The cache is ``~/.cache/gest/environments`` (``XDG_CACHE_HOME`` in the place of ``~/.cache``). What it holds goes by the
version of Python and the hash of its pins, so that a fresh clone makes nothing again.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Packages that others import while they are built, which happens without isolation, against the pinned versions.
FIRST = ("setuptools", "wheel", "numpy", "torch")
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")
# Without pip's cache, which would hand out again what an earlier build, broken in silence, left there.
INSTALL = (*PIP, "install", "--no-build-isolation", "--no-cache-dir", "--progress-bar=off")


def without_nvcc(path: str, folder: Path) -> str:
    """Hide nvcc from PATH, for builds that find it and fail; other programs beside it stay, as links in `folder`."""
    kept = []
    for place in map(Path, path.split(os.pathsep)):
        if (place / "nvcc").exists():
            links = folder / f"path-{len(kept)}"
            links.mkdir()
            for program in place.iterdir():
                if program.name != "nvcc":
                    (links / program.name).symlink_to(program.absolute())
            place = links
        kept.append(str(place))
    return os.pathsep.join(kept)


def failure(steps: dict[str, tuple[str, ...]], settings: dict[str, str]) -> str | None:
    """Run the steps' commands up to one that fails: which it is, and the last that it said."""
    for step, command in steps.items():
        started = time.monotonic()
        with log.open("a") as said:
            said.write(f"{' '.join(command)}\n")
            said.flush()
            done = subprocess.run(command, env=settings, stdout=said, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            return f"{step} ({log.read_text().strip().splitlines()[-1]})"
        print(f"{environment}: {step}, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    return None


pins, check = map(Path, snakemake.input)
environment, log = Path(snakemake.output[0]), Path(snakemake.log[0])
cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute() / "gest" / "environments"
digest = hashlib.sha256(pins.read_bytes()).hexdigest()[:12]
cached = cache / f"{environment.name}-{sys.version_info.major}.{sys.version_info.minor}-{digest}"
aside = cache / f"{cached.name}.making"
cache.mkdir(parents=True, exist_ok=True)
log.unlink(missing_ok=True)

with tempfile.TemporaryDirectory() as folder, Path(f"{cached}.lock").open("w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)  # who comes second finds what the first made
    hidden = ("CUDAHOME", "CUDA_HOME", "CUDA_PATH", "PYTHONPATH", "PYTHONHOME")
    settings = {key: value for key, value in os.environ.items() if key not in hidden}
    settings["PATH"] = without_nvcc(os.environ["PATH"], Path(folder))
    settings |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}  # as methods are run in it
    proven = f"proven by {check}"
    made = cached / "bin" / "python"
    if not made.exists() or failure({proven: (str(made), "-I", str(check))}, settings):
        first = Path(folder, "first.txt")
        pinned = pins.read_text().splitlines(keepends=True)
        first.write_text("".join(pin for pin in pinned if re.split("[=@ ]", pin)[0] in FIRST))
        python = str(aside / "bin" / "python")
        steps = {
            "made": (sys.executable, "-m", "venv", "--clear", str(aside)),
            "given what builds need": (python, *INSTALL, "-c", str(pins), "-r", str(first)),
            "given its packages": (python, *INSTALL, "--no-deps", "-r", str(pins)),
            "found complete": (python, *PIP, "check"),
            proven: (python, "-I", str(check)),
        }
        if reason := failure(steps, settings):
            shutil.rmtree(aside, ignore_errors=True)
            sentence = f"Error: {environment} could not be {reason}; see {log}, mend {pins} and run again."
            with log.open("a") as said:
                said.write(sentence + "\n")
            sys.exit(sentence)
        shutil.rmtree(cached, ignore_errors=True)  # one that is broken
        aside.rename(cached)
    environment.symlink_to(cached)
