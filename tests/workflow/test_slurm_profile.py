"""Jobs that the Slurm profile submits, tested with fake Slurm commands that never finish a job."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROFILE = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text())
pytestmark = pytest.mark.workflow

SLURM = {
    "sbatch": 'echo "$@" >> sent && wc -l < sent',
    "squeue": 'for job in $(seq $(wc -l < sent)); do echo "$job|RUNNING"; done',
    "scontrol": "echo MinJobAge = 3600 sec",
    "sinfo": "echo 'all*'",
    "sacct": "exit 1",
    "scancel": "",
}
JOBS = """
rule all:
    input:
        expand("job{i}", i=range(6)),

rule job:
    output:
        "job{i}",
    resources:
        runtime=lambda wildcards: 720 + 720 * int(wildcards.i),
    shell:
        "touch {output}"
"""


def test_long_jobs_run_side_by_side_and_none_asks_for_more_than_the_longest(tmp_path, monkeypatch):
    """`resources` caps every job; by default Snakemake would also read it as the total of all running jobs."""
    (tmp_path / "bin").mkdir()
    for name, script in SLURM.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "slurm").symlink_to(ROOT / "profiles" / "slurm")
    (tmp_path / "Snakefile").write_text(JOBS)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=":")
    command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "all"]
    with (tmp_path / "log").open("w") as log:
        running = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    sent, end = tmp_path / "sent", time.monotonic() + 30
    while running.poll() is None and time.monotonic() < end:
        if sent.is_file() and len(sent.read_text().splitlines()) == 6:
            break
        time.sleep(0.2)
    running.kill()
    running.wait()
    times = [int(time) for time in re.findall(r" -t (\d+) ", sent.read_text())]
    assert sorted(times) == [720, *[1440] * 5], (tmp_path / "log").read_text()[-2000:]


def test_no_group_of_jobs_asks_for_more_than_the_longest():
    """Snakemake caps single jobs, not the sum of a group, whose jobs run one after the other."""
    rules = "".join(path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    groups = {}
    for name, group in PROFILE["groups"].items():
        minutes = int(re.search(rf"\nrule {name}:\n.*?runtime=growing\((\d+)\)", rules, flags=re.S)[1])
        groups.setdefault(group, []).append(min(minutes * (1 + PROFILE["retries"]), PROFILE["resources"]["runtime"]))
    assert len(groups["variant"]) == len(groups["generation"]) == 2
    assert max(map(sum, groups.values())) <= PROFILE["resources"]["runtime"], groups
