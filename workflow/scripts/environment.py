"""An isolated environment: made, filled with its pins and proven by its check, or not there at all."""

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


pins, check = map(Path, snakemake.input)
environment, log = Path(snakemake.output[0]), Path(snakemake.log[0])
python = str(environment / "bin" / "python")

with tempfile.TemporaryDirectory() as folder, log.open("w") as said:
    first = Path(folder, "first.txt")
    pinned = pins.read_text().splitlines(keepends=True)
    first.write_text("".join(pin for pin in pinned if re.split("[=@ ]", pin)[0] in FIRST))
    hidden = ("CUDAHOME", "CUDA_HOME", "CUDA_PATH", "PYTHONPATH", "PYTHONHOME")
    settings = {key: value for key, value in os.environ.items() if key not in hidden}
    settings["PATH"] = without_nvcc(os.environ["PATH"], Path(folder))
    steps = {
        "made": (sys.executable, "-m", "venv", "--clear", str(environment)),
        "given what builds need": (python, *INSTALL, "-c", str(pins), "-r", str(first)),
        "given its packages": (python, *INSTALL, "--no-deps", "-r", str(pins)),
        "found complete": (python, *PIP, "check"),
        f"proven by {check}": (python, "-I", str(check)),
    }
    for step, command in steps.items():
        started = time.monotonic()
        done = subprocess.run(command, env=settings, stdout=said, stderr=subprocess.STDOUT, check=False)
        if done.returncode:
            shutil.rmtree(environment, ignore_errors=True)
            said.flush()
            reason = log.read_text().strip().splitlines()[-1]
            sentence = f"Error: {environment} could not be {step} ({reason}); see {log}, mend {pins} and run again."
            said.write(sentence + "\n")
            sys.exit(sentence)
        print(f"{environment}: {step}, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
