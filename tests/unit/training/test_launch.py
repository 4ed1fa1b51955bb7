"""Launching several processes: their number, their devices, and their common end."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from helpers import TINY

from gest.errors import UserError
from gest.training import launch as launching
from gest.training.distributed import ProcessGroup, process_group
from gest.training.launch import launch
from gest.training.pretrain import pretrain

module = sys.modules["gest.training.pretrain"]


@pytest.mark.parametrize(
    ("environment", "gpus", "asked", "sentence"),
    [
        ({"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}, 0, 4, "2 processes started, but --processes asks for 4"),
        ({"SLURM_GPUS_ON_NODE": "4"}, 4, None, "granted 4 GPUs on this machine, but 1 process started"),
        (
            {"WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "3"},
            2,
            3,
            "3 processes started on this machine, but it has 2 visible GPUs",
        ),
    ],
)
def test_processes_that_do_not_match_the_gpus(monkeypatch, environment, gpus, asked, sentence):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=sentence), process_group(asked):
        pass


def test_gpus_that_cannot_be_used_give_a_warning(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setenv("SLURM_GPUS_ON_NODE", "1")
    with (
        pytest.warns(UserWarning, match=r"Slurm granted 1 GPUs, but PyTorch 2\..* can use none"),
        process_group() as alone,
    ):
        assert alone.device == "cpu"


def test_a_process_without_windows_is_refused(tokens, vocabulary, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "process_group", lambda _: nullcontext(ProcessGroup(size=5)))
    with pytest.raises(UserError, match=r"'pretraining\.batch_size' is 4, too few for 5 processes"):
        pretrain(tokens, vocabulary, TINY, out=tmp_path / "m")


def test_launch_takes_every_gpu_that_slurm_granted(monkeypatch):
    """There is one launcher on each of two machines; they meet on the machine where srun was called."""
    from torch.distributed.launcher import api

    started = []
    monkeypatch.setattr(api, "elastic_launch", lambda config, *_: started.append(config) or (lambda *_: None))
    monkeypatch.setattr(launching.logging, "disable", lambda: None)
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.setenv("GEST_LAUNCHER", "unset again after the test")
    job = {"STEP_NUM_NODES": "2", "STEP_NUM_TASKS": "2", "GPUS_ON_NODE": "4", "JOB_ID": "40017", "NODEID": "1"}
    for name, value in job.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("SLURM_LAUNCH_NODE_IPADDR", "10.0.0.7")
    with pytest.raises(SystemExit):
        launch(None)
    (config,) = started
    assert (config.min_nodes, config.max_nodes, config.nproc_per_node, config.max_restarts) == (2, 2, 4, 0)
    assert 60 < config.shutdown_timeout < 120, "the profile sends the signal two minutes before the time limit"
    assert (config.rdzv_endpoint, config.rdzv_configs["rank"]) == ("10.0.0.7:15017", 1)
    assert os.environ["OMP_NUM_THREADS"] == "2"
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "8")
    with pytest.raises(UserError, match="8 tasks on 2 machines for 8 processes; start one task on each"):
        launch(None)
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.delenv("GEST_LAUNCHER")
    assert launch(8) is None, "it is one of the processes already"


def test_a_process_ends_if_its_launcher_was_killed_during_the_start(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("GEST_LAUNCHER", str(os.getpid()))  # not its parent
    prctl = launching.ctypes.CDLL(None).prctl
    try:
        with pytest.raises(SystemExit, match=r"^75$"):
            launch(2)
    finally:
        prctl(1, 0)


@pytest.mark.slow
def test_command_in_two_processes_stops_in_time_and_fails_as_one(sections, vocabulary, tmp_path):
    """In three runs, the command receives SIGTERM, one of its processes is killed, and the command is killed."""
    sections[0].write_h5ad(tmp_path / "s.h5ad")
    vocabulary.save(tmp_path / "v.npz")
    config = TINY | {"pretraining": TINY["pretraining"] | {"steps": 100_000, "checkpoint_every": 5}}
    (tmp_path / "c.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "gest.cli", "pretrain", "s.h5ad"]
    command += ["--vocabulary=v.npz", "--config=c.json", "--out=m", "--processes=2"]

    def started():
        earlier = set(tmp_path.glob("m.state/*/step-*"))
        run = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        while run.poll() is None and not set(tmp_path.glob("m.state/*/step-*")) - earlier:
            time.sleep(0.05)
        return run

    run = started()
    run.send_signal(signal.SIGTERM)
    assert "SIGTERM stopped it after step" in run.communicate()[1]
    assert run.returncode == 75
    run = started()
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    os.kill(int(children[1]), signal.SIGKILL)
    assert "process 1 of 2 was ended by SIGKILL" in run.communicate()[1]
    assert run.returncode == 1
    assert not any(os.path.exists(f"/proc/{child}") for child in children)
    run = started()
    run.kill()
    assert "SIGTERM stopped it after step" in run.communicate(timeout=60)[1], "its processes have ended"
    assert not (tmp_path / "m").exists()
