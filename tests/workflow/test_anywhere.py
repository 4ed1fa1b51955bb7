"""The workflow runs from any folder: by its path, with another folder for results, as a local or remote module."""

import functools
import re
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from helpers import snakemake

ROOT = Path(__file__).parents[2]
TOY = ROOT / "config" / "toy.yaml"
pytestmark = [pytest.mark.workflow, pytest.mark.slow]

MODULE = """
configfile: "config/toy.yaml"

module gest:
    snakefile: "{snakefile}"
    config: config

use rule * from gest
"""


def succeed(folder, *arguments):
    """Run Snakemake in a folder, which must succeed, and return its output."""
    completed = snakemake(folder, *arguments)
    assert completed.returncode == 0, completed.stdout
    return completed.stdout


def jobs(output):
    """Count the jobs of each rule that a dry run lists."""
    assert "Job stats:" in output
    stats = output.rsplit("Job stats:", 1)[-1].split("\n\n")[0]
    return dict(re.findall(r"^(\w+) +(\d+)$", stats, flags=re.M))


def draws_figure_2c(folder, *arguments):
    """Draw Figure 2c, which takes seconds, and return whether its file exists."""
    succeed(folder, "--cores", 1, *arguments, "figure_2c")
    return (folder / "results" / "toy" / "figures" / "figure_2c.png").exists()


@pytest.fixture(scope="module")
def expected():
    """Return the jobs of the toy run, as listed in the repository's root."""
    return jobs(succeed(ROOT, "--dry-run", "--forceall", "--nolock", "--configfile", TOY, "--", "all"))


@pytest.fixture
def module(tmp_path):
    """Return a function that deploys the workflow as Snakedeploy does: config/ beside a Snakefile with a module."""

    def deploy(snakefile):
        shutil.copytree(ROOT / "config", tmp_path / "config")
        (tmp_path / "Snakefile").write_text(MODULE.format(snakefile=snakefile))
        return tmp_path

    return deploy


@pytest.mark.slow
@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_by_the_path_of_the_snakefile(tmp_path, expected, snakefile):
    arguments = ("--snakefile", ROOT / snakefile, "--configfile", TOY, "--")
    assert jobs(succeed(tmp_path, "--dry-run", *arguments, "all")) == expected
    assert jobs(succeed(tmp_path, "--dry-run", *arguments)) == expected, "`all` is the default"
    assert draws_figure_2c(tmp_path, *arguments)
    assert {path.name for path in tmp_path.iterdir()} == {".snakemake", "logs", "results"}


@pytest.mark.slow
def test_into_another_folder(tmp_path, expected):
    arguments = ("--directory", tmp_path, "--configfile", TOY, "--")
    assert jobs(succeed(ROOT, "--dry-run", *arguments, "all")) == expected
    succeed(ROOT, "--cores", 1, *arguments, "figure_2c")
    assert (tmp_path / "results" / "toy" / "figures" / "figure_2c.png").exists()


@pytest.mark.slow
def test_as_a_module_beside_a_copy_of_the_configuration(module, expected):
    folder = module(ROOT / "workflow" / "Snakefile")
    assert jobs(succeed(folder, "--dry-run", "all")) == expected
    assert draws_figure_2c(folder)


def test_as_a_module_with_other_names_of_rules_and_a_prefix(tmp_path):
    """The configuration names only the keys that differ from the defaults."""
    (tmp_path / "Snakefile").write_text(
        f"""
module gest:
    snakefile: "{ROOT / "workflow" / "Snakefile"}"
    config: {{"run": "mine"}}
    prefix: "gest"

use rule * from gest as gest_*
"""
    )
    output = succeed(tmp_path, "--dry-run", "gest_table_1", "gest_paper_map")
    assert {"gest_table_1", "gest_environment", "gest_represent", "gest_paper_map"} <= jobs(output).keys()
    assert "gest/results/mine/tables/table_1.csv" in output


@pytest.fixture
def address():
    """Serve the repository over HTTP on the local machine, and return its address."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=ROOT)
    with ThreadingHTTPServer(("localhost", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.slow
def test_as_a_remote_module(module, expected, address):
    """Snakemake fetches the files that the workflow names, one by one, into a cache."""
    folder = module(f"{address}/workflow/Snakefile")
    assert jobs(succeed(folder, "--dry-run", "all")) == expected
    assert draws_figure_2c(folder)
