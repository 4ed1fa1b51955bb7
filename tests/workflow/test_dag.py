"""What the workflow would do, and what it refuses, by dry runs on links to this checkout."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.workflow


@pytest.fixture
def folder(tmp_path):
    for name in ("Snakefile", "workflow", "config", "profiles", "toy"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def snakemake(folder, *arguments):
    command = [sys.executable, "-m", "snakemake", *arguments]
    return subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def jobs(done):
    """How many jobs of each rule a dry run lists."""
    assert done.returncode == 0, done.stdout
    stats = done.stdout.rsplit("Job stats:", 1)[-1].split("\n\n")[0] if "Job stats:" in done.stdout else ""
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", stats, flags=re.M) if name != "total"}


def refused(folder, config, *arguments):
    """The one sentence that a configuration is refused with."""
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))
    done = snakemake(folder, "--dry-run", "--configfile", *arguments, "mine.yaml")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    return done.stdout


def own_dataset():
    """The five lines that the configuration's README shows."""
    text = (ROOT / "config" / "README.md").read_text()
    block = re.search(r"```yaml\n(.*?)```", text, flags=re.S).group(1)
    assert len(block.splitlines()) == 5
    assert block in (ROOT / "README.md").read_text()
    return yaml.safe_load(block)


def test_toy_runs_every_method_on_every_test_section(folder):
    toy = yaml.safe_load((ROOT / "config" / "toy.yaml").read_text())["datasets"]["tissue"]["sections"]
    methods = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())["generation"]["methods"]
    scored = len(toy["test"]) * len(methods)
    assert jobs(snakemake(folder, "--profile", "toy", "--dry-run")) == {
        "configuration": 6,
        "simulate_section": sum(map(len, toy.values())),
        "vocabulary": 1,
        "pretrain": 1,
        "crops": len(toy["test"]),
        "spatially_variable_genes": len(toy["test"]),
        "predict": scored,
        "score": scored,
        "generation": 1,
        "generation_genes": 1,
        "all": 1,
    }


def test_own_data_in_five_lines(folder):
    config = own_dataset()
    (folder / "brain.h5ad").touch()
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))
    done = snakemake(folder, "--dry-run", "--configfile", "mine.yaml", "--config", f"data_dir={folder}")
    counted = jobs(done)
    assert counted["import_section"] == 4
    assert "simulate_section" not in counted
    # The methods without a model do not wait for one.
    predictions = re.findall(r"by (\w+), seed.*\nReason: .*: (.*)", done.stdout)
    waiting = {method for method, files in predictions if "model-s0" in files}
    assert Counter(method for method, _ in predictions).keys() - waiting == {
        *("gp", "mlp", "mean_of_seen", "nearest_seen", "true_metacells")
    }


def test_paper_run_says_what_is_missing(folder):
    done = snakemake(folder, "--dry-run", "all")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    assert "--configfile config/toy.yaml" in done.stdout.strip().splitlines()[-1]


def test_missing_data_says_where_to_name_them(folder):
    said = refused(folder, own_dataset())
    assert "datasets.brain.path: there is no file data/brain.h5ad" in said
    assert "data_dir" in said


def test_misspelt_key_is_named(folder):
    said = refused(folder, {"pretraining": {"step": 5}})
    assert "Configuration, pretraining: " in said
    assert "'step' was unexpected" in said
    assert "steps, batch_size" in said


def test_test_section_in_training_is_refused(folder):
    config = own_dataset()
    config["datasets"]["brain"]["sections"]["train"].append("s4")
    assert "datasets.brain.sections: 's4' is both a test and a train section" in refused(folder, config)


def test_validation_section_in_training_is_refused(folder):
    config = own_dataset()
    config["datasets"]["brain"]["sections"]["train"].append("s3")
    assert "'s3' is both a validation and a train section" in refused(folder, config)


def test_unknown_simulated_section_is_refused(folder):
    config = {"datasets": {"tissue": {"sections": {"test": ["mouse3_1"]}}}}
    assert "'mouse3_1' is not among the simulated sections" in refused(folder, config, "config/toy.yaml")


def test_a_changed_key_remakes_what_read_it(folder):
    """Files stand in for results, so that nothing needs to be computed."""
    summary = snakemake(folder, "--profile", "toy", "--summary").stdout
    for name in re.findall(r"^(results/\S+)\t", summary, flags=re.M):
        path = folder / name
        path.mkdir(parents=True) if path.name == "model-s0" else path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_dir():
            path.touch()
    assert snakemake(folder, "--profile", "toy", "--touch", "--forceall").returncode == 0
    assert jobs(snakemake(folder, "--profile", "toy", "--dry-run")) == {}

    changed = {"generation": {"seeds": [0, 1]}}
    (folder / "changed.yaml").write_text(yaml.safe_dump(changed))
    again = jobs(snakemake(folder, "--profile", "toy", "--dry-run", "--configfile", "config/toy.yaml", "changed.yaml"))
    assert again == {
        "predict": 8,
        "score": 8,
        "generation": 1,
        "all": 1,
    }  # gest, gest_continued, gp and mlp, two sections

    (folder / "changed.yaml").write_text(yaml.safe_dump({"pretraining": {"steps": 7}}))
    again = jobs(snakemake(folder, "--profile", "toy", "--dry-run", "--configfile", "config/toy.yaml", "changed.yaml"))
    assert again["configuration"] == again["pretrain"] == 1
    assert again["predict"] == again["score"] == 4  # gest and gest_continued, two sections
    assert "vocabulary" not in again
