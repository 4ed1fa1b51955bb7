"""Kill commands at random moments: a workflow, or one process of a training.

A workflow is killed with all its processes. Of a training in two processes, one process or the launcher is killed, and
the others must end by themselves: if one still runs a minute later, the benchmark stops with an error.
"""

import hashlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import anndata

from gest.data.sources.simulate import simulate
from gest.training.vocabulary import fit_sections

REPOSITORY = Path(__file__).parents[1]
VOCABULARY = {"n_metacells": 20, "n_components": 10, "hierarchy": [6, 4, 2]}
WORKFLOW = """
run: faults
window: 300
data_dir: .
vocabulary: {n_metacells: 20, n_components: 10, hierarchy: [6, 4, 2]}
model: {layers: 2, heads: 2, width: 32}
pretraining: {steps: 200, batch_size: 4, warmup_steps: 20, validate_every: 100, checkpoint_every: 20}
generation: {methods: [gest, nearest_seen], crops: {n: 2, sides: [150, 200], min_cells: 5}}
svg: {method: morans_i, top: 10}
clustering: {datasets: []}
annotation: {datasets: []}
datasets:
  brain: {source: anndata, path: brain.h5ad, section_key: section, donor_key: donor,
          sections: {train: [s0], validation: [s1], test: [s2]}}
"""


def simulate_sections(n: int) -> list[anndata.AnnData]:
    """Simulate sections of 800 cells."""
    size = {"n_cells": 800, "width_um": 900, "height_um": 800, "n_genes": 40}
    return [simulate(f"s{i}", donor="a", seed=1, **size) for i in range(n)]


def digest(*files: Path) -> str:
    """Hash the content of files."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


class Workflow(NamedTuple):
    """A small workflow of one training, its predictions and their scores."""

    root: Path

    def prepare(self) -> list[str]:
        """Write the input files; return the command."""
        for name in ("workflow", "config"):
            shutil.copytree(REPOSITORY / name, self.root / name)
        shutil.copy(REPOSITORY / "Snakefile", self.root)
        (self.root / "faults.yaml").write_text(WORKFLOW)
        anndata.concat(simulate_sections(3), merge="first", index_unique="-").write_h5ad(self.root / "brain.h5ad")
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "faults.yaml", "--nolock"]
        return [*command, "--rerun-incomplete", "--quiet", "--", "generation"]

    def results(self) -> list[Path]:
        """List the results to compare."""
        names = ("brain/model-s0/model.safetensors", "scores/generation.csv")
        return [self.root / "results/faults" / name for name in names]

    def kill(self, process: subprocess.Popen, rng: random.Random) -> str:
        """Kill the workflow with all its processes; return what was killed."""
        os.killpg(process.pid, signal.SIGKILL)
        return "workflow"


class Pair(NamedTuple):
    """A training in two processes, launched by a third one."""

    root: Path
    config: dict

    def prepare(self) -> list[str]:
        """Write the input files; return the command."""
        sections = simulate_sections(3)
        for i, section in enumerate(sections):
            section.write_h5ad(self.root / f"s{i}.h5ad")
        fit_sections(sections, VOCABULARY).save(self.root / "v.npz")
        (self.root / "c.json").write_text(json.dumps(self.config))
        command = [sys.executable, "-m", "gest.cli", "pretrain", "s0.h5ad", "s1.h5ad", "--validation=s2.h5ad"]
        return [*command, "--vocabulary=v.npz", "--config=c.json", "--out=model", "--processes=2"]

    def results(self) -> list[Path]:
        """List the results to compare."""
        return [self.root / "model" / "model.safetensors"]

    def kill(self, process: subprocess.Popen, rng: random.Random) -> str:
        """Kill the launcher or one of its two processes; return what was killed."""
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        number = rng.randrange(-1, len(children))
        if number >= 0:
            with suppress(ProcessLookupError):  # it may have ended by itself
                os.kill(int(children[number]), signal.SIGKILL)
                return f"process {number} of two"
        os.kill(process.pid, signal.SIGKILL)
        return "launcher of two processes"


def kill_commands(
    name: str, kind: Callable[[Path], Workflow | Pair], *, folder: Path, kills: int, share: float, seed: int
) -> list[dict]:
    """Kill commands, and compare their results with those of an undisturbed one.

    Every command is started and killed up to five times; then it may end.

    Parameters
    ----------
    kind
        Creates a command that runs in a folder.
    kills
        Number of kills after which no further command is started.
    share
        Latest moment of a kill, as a share of the duration of the undisturbed command.
    """
    rng, duration, expected, rows = random.Random(seed), 0.0, "", []
    for number in itertools.count(-1):
        if len(rows) >= kills:
            return rows
        root = folder / f"{name}-{number}"
        root.mkdir(parents=True)
        command = kind(root)
        arguments = command.prepare()

        def start(root: Path = root, arguments: list[str] = arguments) -> subprocess.Popen:
            streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}  # closed by the last process to end
            return subprocess.Popen(arguments, cwd=root, start_new_session=True, **streams)

        chain: list[dict] = []
        while number >= 0 and len(chain) < 5:
            process, moment = start(), rng.uniform(0, duration * share)
            try:
                process.communicate(timeout=moment)
                break  # it ended before the kill
            except subprocess.TimeoutExpired:
                what = command.kill(process, rng)
            process.communicate(timeout=60)
            states = len(list(root.glob("**/step-*.pt")))
            chain.append({"what": what, "run": number, "signal": "SIGKILL", "seconds": moment, "states": states})
        started = time.perf_counter()
        process = start()
        (root / "err").write_bytes(process.communicate()[1])
        if number < 0:
            duration, expected = time.perf_counter() - started, digest(*command.results())
            continue
        same = process.returncode == 0 and digest(*command.results()) == expected
        rows += [row | {"same": same} for row in chain]
        print(f"{root.name}: {len(chain)} kills, same bytes: {same}", file=sys.stderr)
