"""The commands and the Python of the tutorial run as printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import anndata as ad
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.workflow


def blocks():
    """Return the kind and text of every block of code, in order."""
    code = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "docs" / "tutorial.md").read_text(), flags=re.M | re.S)
    assert {kind for kind, _ in code} == {"bash", "python"}
    return code


@pytest.mark.slow
def test_the_tutorial_runs_as_it_stands(tmp_path, monkeypatch):
    repository, desk = tmp_path / "repository", tmp_path / "desk"
    for folder in (repository, desk):
        folder.mkdir()
    for name in ("Snakefile", "workflow", "config", "profiles", "envs", "toy"):
        (repository / name).symlink_to(ROOT / name)
    monkeypatch.chdir(desk)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"GEST": str(repository), "PATH": path}
    python: dict = {}
    for kind, text in blocks():
        if kind == "python":
            exec(compile(text, "docs/tutorial.md", "exec"), python)
            continue
        completed = subprocess.run(["bash", "-euc", text], env=environment, capture_output=True, text=True, check=False)
        assert completed.returncode == 0, f"{text}\n{completed.stderr}"
        assert "warning" not in completed.stderr

    assert python["adata"].obsm["X_gest"].shape == (1800, 32)
    section = ad.read_h5ad(desk / "generated.h5ad")
    assert python["hole"].sum() == (((section.obsm["spatial"] - (600, 500)) ** 2).sum(1) <= 80**2).sum()
    assert len(pd.read_csv(desk / "perturbed" / "deg.csv")) == 60
    for job in ("vocabulary", "pretrain", "cluster", "learn_labels", "generation"):
        assert re.search(rf"^{job} +\d+$", completed.stdout + completed.stderr, flags=re.M)


def test_the_example_is_described_in_the_readme_of_the_configuration():
    assert "own_data.yaml" in (ROOT / "config" / "README.md").read_text()
    assert "own_data.yaml" in (ROOT / "README.md").read_text()
