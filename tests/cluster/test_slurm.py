"""Run a small workflow on a real Slurm: resources of jobs, and interrupted trainings."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import anndata
import pytest
import yaml

from gest.data.sources.simulate import simulate

ROOT = Path(__file__).parents[2]
SLURM = Path("/run/gest-slurm")
# These steps take over a minute; the first attempt has about thirty seconds, including the start of three processes.
STEPS = 5000
pytestmark = pytest.mark.cluster


class Site:
    """A folder on the cluster with links to the workflow and a separate profile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("Snakefile", "workflow", "config", "envs"):
            (folder / name).symlink_to(ROOT / name)
        (folder / "slurm").mkdir()

    def start(self, target: str, *, steps: int, **pretrain: object) -> subprocess.Popen:
        """Start Snakemake with the repository's profile, changed for trainings.

        `pretrain` holds resources of trainings, and `steps` is their length.
        """
        profile = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text())
        profile["set-resources"]["pretrain"] |= pretrain
        profile |= {"jobs": 2, "set-threads": {"pretrain": 1}}
        (self.folder / "slurm" / "config.yaml").write_text(yaml.safe_dump(profile))
        (self.folder / "steps.yaml").write_text(yaml.safe_dump({"pretraining": {"steps": steps}}))
        command = [sys.executable, "-m", "snakemake", "--profile", "slurm", target, "--config", "data_dir=."]
        command += ["--configfile", str(ROOT / "tests" / "cluster" / "config.yaml"), "steps.yaml"]
        with (self.folder / "snakemake.log").open("a") as log:
            return subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT)

    def finish(self, running: subprocess.Popen) -> None:
        """Wait until Snakemake ends, and check that it succeeded."""
        try:
            code = running.wait(timeout=1800)
        finally:
            if running.poll() is None:
                running.send_signal(signal.SIGINT)  # cancels its jobs
                running.wait()
        assert code == 0, (self.folder / "snakemake.log").read_text()[-3000:]

    def jobs(self, name: str) -> list[dict[str, str]]:
        """Return Slurm's records of the jobs of a rule or group, oldest first.

        Names are, for example, `pretrain/brain_1` and `generation`.
        """
        logs = (self.folder / "logs" / "slurm").glob(f"*_{name}*/**/*.log")
        ids = sorted(int(path.stem) for path in logs)
        return [dict(re.findall(r"(\S+?)=(\S*)", slurm("scontrol", "show", "job", str(number)))) for number in ids]


def slurm(*command: str) -> str:
    """Run one of Slurm's commands and return its output."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Site:
    if not SLURM.is_dir():
        pytest.skip("no Slurm found; start one with `tests/cluster/slurm.sh start`")
    folder = tmp_path_factory.mktemp("site")
    sizes = {"n_cells": 600, "width_um": 800, "height_um": 600, "n_genes": 40, "seed": 1}
    sections = [simulate(f"s{i}", donor=f"d{i}", **sizes) for i in range(3)]
    anndata.concat(sections, merge="same").write_h5ad(folder / "brain.h5ad")
    return Site(folder)


def processes(command: str) -> dict[int, dict[str, str]]:
    """Find the processes whose command line contains a text: {process id: environment}."""
    environments = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if command in (process / "cmdline").read_bytes().replace(b"\0", b" ").decode():
                variables = (process / "environ").read_bytes().decode().split("\0")
                environments[int(process.name)] = dict(variable.split("=", 1) for variable in variables if variable)
        except (OSError, ValueError):  # the process has ended
            continue
    return environments


def wait_for(condition):
    end = time.monotonic() + 900
    while not (value := condition()):
        assert time.monotonic() < end, "timed out"
        time.sleep(0.5)
    return value


@pytest.fixture(scope="module")
def finished(site):
    """Run the workflow: one training first has one minute, the other is killed."""
    minutes = "attempt**2 if wildcards.model_seed == '0' else 20"
    running = site.start("generation", steps=STEPS, runtime=minutes, slurm_extra="'--signal=TERM@20'")
    log = site.folder / "logs" / "cluster" / "pretrain" / "brain-s1.log"
    try:
        wait_for(
            lambda: log.is_file() and int(re.findall(rf"\b(\d+)/{STEPS}", f"0/{STEPS}" + log.read_text())[-1]) > 150
        )
        ((training, site.seen),) = processes("--out results/cluster/brain/model-s1").items()
        os.kill(training, signal.SIGKILL)
    finally:
        site.finish(running)
    return site


@pytest.fixture(scope="module")
def undisturbed(finished, tmp_path_factory):
    """Run the same trainings outside Slurm and without interruption."""
    folder = tmp_path_factory.mktemp("undisturbed")
    brain = finished.folder / "results" / "cluster" / "brain"
    sections = [str(brain / "sections" / "s0.h5ad"), f"--validation={brain}/sections/s1.h5ad"]
    inputs = ["--vocabulary", str(brain / "vocabulary.npz"), "--config", str(brain / "config" / "pretraining.json")]
    environment = {**finished.seen, "CUDA_VISIBLE_DEVICES": ""}
    environment = {name: value for name, value in environment.items() if not name.startswith("SLURM")}
    trainings = [
        subprocess.Popen(
            [sys.executable, "-m", "gest.cli", "pretrain", *sections, *inputs, "--seed", seed, "--out", folder / seed],
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        for seed in "01"
    ]
    assert [training.wait() for training in trainings] == [0, 0]
    return folder


def weights(model):
    return (model / "model.safetensors").read_bytes()


def steps_of(model):
    return json.loads((model / "metrics.json").read_text())["steps"]


def test_every_job_ran_on_slurm(finished):
    states = [job["JobState"] for job in finished.jobs("")]
    assert 10 <= len(states) <= 25
    assert set(states) == {"COMPLETED", "FAILED"}
    assert (finished.folder / "results" / "cluster" / "tables" / "generation.csv").is_file()


def test_only_gest_has_a_gpu(finished):
    assert finished.seen["CUDA_VISIBLE_DEVICES"] in "0123"
    for name in ("pretrain", "generation"):
        assert "gres:gpu:1" in {job.get("TresPerJob") for job in finished.jobs(name)}
    groups = [job.get("TresPerJob") for job in finished.jobs("generation_predict_score")]
    assert sorted(map(str, groups)) == ["None", "gres:gpu:1"], "predictions of GeST, and of a method without a model"
    assert all("TresPerJob" not in job for job in finished.jobs("vocabulary"))


def test_a_prediction_and_its_scores_are_one_job(finished):
    grouped = finished.jobs("generation_predict_score")
    assert len(grouped) == 2
    assert {job["TimeLimit"] for job in grouped} == {"04:30:00"}, "240 and 30 minutes, one after the other"
    assert not finished.jobs("rule_score")


def test_a_job_that_ran_out_of_time_is_resubmitted_with_more(finished, undisturbed):
    attempts = finished.jobs("pretrain/brain_0")
    assert len(attempts) > 1
    limits = [f"00:{attempt**2:02}:00" for attempt in range(1, len(attempts) + 1)]
    assert [job["TimeLimit"] for job in attempts] == limits
    assert [job["JobState"] for job in attempts] == ["FAILED"] * (len(attempts) - 1) + ["COMPLETED"]
    log = (finished.folder / "logs" / "cluster" / "pretrain" / "brain-s0.log").read_text()
    stopped = re.findall(r"SIGTERM stopped it after step (\d+)", (finished.folder / "snakemake.log").read_text())
    assert re.search(r"resumed at step (\d+)", log)[1] == stopped[-1]
    assert weights(finished.folder / "results" / "cluster" / "brain" / "model-s0") == weights(undisturbed / "0")


def test_a_killed_job_ends_with_the_same_bits(finished, undisturbed):
    attempts = finished.jobs("pretrain/brain_1")
    assert [job["JobState"] for job in attempts] == ["FAILED", "COMPLETED"]
    log = (finished.folder / "logs" / "cluster" / "pretrain" / "brain-s1.log").read_text()
    assert int(re.search(r"resumed at step (\d+)", log)[1]) % 100 == 0
    assert weights(finished.folder / "results" / "cluster" / "brain" / "model-s1") == weights(undisturbed / "1")


def trained_by(running: subprocess.Popen, size: int) -> dict[str, tuple[str, str]]:
    """Collect the node and the GPUs of every process of a training, by rank."""
    ranks = {}
    while running.poll() is None and len(ranks) < size:
        for environment in processes("-m gest.cli pretrain").values():
            if {"RANK", "SLURM_NODEID"} <= set(environment):
                ranks[environment["RANK"]] = (environment["SLURM_NODEID"], environment["CUDA_VISIBLE_DEVICES"])
        time.sleep(0.2)
    return ranks


def test_two_gpus_of_one_node_train_one_model(finished):
    running = finished.start("results/cluster/brain/model-s3", steps=100, gpu=2)
    ranks = trained_by(running, 2)
    finished.finish(running)
    (job,) = finished.jobs("pretrain/brain_3")
    assert (job["NumNodes"], job["TresPerJob"]) == ("1", "gres:gpu:2")
    assert ranks == {"0": ("0", "0,1"), "1": ("0", "0,1")}
    assert steps_of(finished.folder / "results" / "cluster" / "brain" / "model-s3") == 100


def test_two_nodes_with_two_gpus_each_train_one_model(finished):
    running = finished.start(
        "results/cluster/brain/model-s2",
        steps=100,
        **{"gpu": 4, "gpu_model": "h100", "nodes": 2, "gres": "gpu:h100:2", "tasks": 2, "mpi": "srun"},
    )
    ranks = trained_by(running, 4)
    finished.finish(running)
    (job,) = finished.jobs("pretrain/brain_2")
    assert (job["NodeList"], job["TresPerNode"]) == ("n[1-2]", "gres:gpu:h100:2")
    assert ranks == {"0": ("0", "0,1"), "1": ("0", "0,1"), "2": ("1", "0,1"), "3": ("1", "0,1")}
    assert steps_of(finished.folder / "results" / "cluster" / "brain" / "model-s2") == 100
