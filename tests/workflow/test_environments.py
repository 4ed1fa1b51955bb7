"""Isolated environments: created and checked by the workflow, cached by their pins; and SOMDE in its environment."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scanpy as sc

from gest.data.sources.simulate import simulate
from gest.errors import UserError
from gest.paper.scores.spatial_genes import spatially_variable_genes

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """Replace the user's cache of environments by an empty one, and return its folder."""
    with pytest.MonkeyPatch.context() as patched:
        folder = tmp_path_factory.mktemp("cache")
        patched.setenv("XDG_CACHE_HOME", str(folder))
        yield folder / "gest" / "environments"


def started(folder, *arguments, **settings):
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "1", *arguments],
        cwd=folder,
        env={**os.environ, **settings},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def snakemake(folder, *arguments, **settings):
    process = started(folder, *arguments, **settings)
    output, _ = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, output)


def linked(folder):
    """Make a folder like the checkout, with pins that can be edited."""
    folder.mkdir(exist_ok=True)
    for name in ("Snakefile", "config", "profiles", "toy"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("workflow", "envs"):  # through a link, the workflow would find the original pins
        shutil.copytree(ROOT / name, folder / name)
    return folder


def clone(folder, pins="# small\n", check="import sys\nassert sys.prefix != sys.base_prefix, 'this is no venv'\n"):
    """Make a folder like the checkout, with one more environment."""
    linked(folder)
    (folder / "envs" / "small.txt").write_text(pins)
    (folder / "envs" / "small.check.py").write_text(check)
    return folder


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """Make two clones that need the same environment at the same time; return them and their runs' output."""
    folders = [clone(tmp_path_factory.mktemp(name)) for name in ("first", "second")]
    processes = [started(folder, ".venvs/small") for folder in folders]
    output = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], output
    return folders, output


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Create SOMDE's environment where somoclu's build would find a broken nvcc and CUDA."""
    folder, cuda = linked(tmp_path_factory.mktemp("built")), tmp_path_factory.mktemp("cuda")
    for name in ("bin", "include", "lib"):
        (cuda / name).mkdir()
    (cuda / "bin" / "nvcc").write_text("#!/bin/sh\nexit 1\n")
    (cuda / "bin" / "nvcc").chmod(0o755)
    path = os.pathsep.join([os.environ["PATH"], str(cuda / "bin")])
    completed = snakemake(folder, ".venvs/somde", PATH=path, CUDAHOME=str(cuda))
    assert completed.returncode == 0, completed.stdout
    return folder


@pytest.fixture
def isolated(built, monkeypatch):
    monkeypatch.chdir(built)
    return built


@pytest.fixture(scope="module")
def section():
    return simulate("s", donor="d", n_cells=2000, width_um=9000, height_um=8000, n_genes=70)


def ranked(section):
    return spatially_variable_genes(section.X, section.obsm["spatial"], section.var_names, method="somde")


@pytest.mark.slow
def test_an_environment_is_remade_when_its_pins_or_its_check_change(built):
    assert "Nothing to be done" in snakemake(built, "--dry-run", ".venvs/somde").stdout
    for name in ("somde.txt", "somde.check.py"):
        text = (built / "envs" / name).read_text()
        (built / "envs" / name).write_text(text + "# changed\n")
        output = snakemake(built, "--dry-run", ".venvs/somde").stdout
        assert "environment 1" in " ".join(output.split())
        (built / "envs" / name).write_text(text)


def test_all_runs_share_an_environment(built):
    """An environment that another run created is current, although its log and benchmark are in that run's folders."""
    completed = snakemake(built, "--dry-run", ".venvs/somde", "--configfile", "config/toy.yaml")
    assert "Nothing to be done" in completed.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("method", "jobs"), [("somde", 1), ("morans_i", 0)])
def test_all_asks_for_the_environment_once(tmp_path, method, jobs):
    folder = linked(tmp_path)
    (folder / "mine.yaml").write_text(f"svg: {{method: {method}}}\n")
    completed = snakemake(folder, "--dry-run", "--configfile", "mine.yaml", "--", "all")
    assert completed.returncode == 0, completed.stdout
    assert completed.stdout.count("Isolated environment somde") == jobs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pins", "check", "reason"),
    [
        ("# none\n", 'raise ImportError("the extension is missing")\n', "ImportError: the extension is missing"),
        ("./missing-1.0-py3-none-any.whl\n", "", "ERROR: "),
    ],
)
def test_a_broken_environment_leaves_nothing_and_says_why(tmp_path, cache, pins, check, reason):
    folder = linked(tmp_path)
    (folder / "envs" / "broken.txt").write_text(pins)
    (folder / "envs" / "broken.check.py").write_text(check)
    completed = snakemake(folder, ".venvs/broken")
    assert completed.returncode != 0
    sentences = [line for line in completed.stdout.splitlines() if line.startswith("Error: .venvs/broken: could not ")]
    assert len(sentences) == 1
    assert reason in sentences[0]
    assert "see logs/paper/environment/broken.log, fix envs/broken.txt and run again." in sentences[0]
    assert (folder / "logs/paper/environment/broken.log").read_text().splitlines()[-1] == sentences[0]
    assert not list((folder / ".venvs").glob("*"))
    assert not [path for path in cache.glob("broken-*") if path.is_dir()]


@pytest.mark.slow
def test_one_is_made_where_two_are_asked_for(twins, cache):
    folders, output = twins
    links = [folder / ".venvs" / "small" for folder in folders]
    assert sorted("small: install packages" in text for text in output) == [False, True]
    assert links[0].is_symlink()
    assert links[0].resolve() == links[1].resolve()
    assert links[0].resolve().parent == cache
    code = "import sys; print(sys.prefix)"
    command = [links[0] / "bin" / "python", "-I", "-c", code]
    assert subprocess.run(command, text=True, capture_output=True, check=True).stdout.strip() == str(links[0])


def test_a_fresh_clone_proves_what_is_there_and_installs_nothing(twins, tmp_path):
    folder = clone(tmp_path, check="open('proof', 'w')\n")
    completed = snakemake(folder, ".venvs/small")
    assert completed.returncode == 0, completed.stdout
    assert "small: run envs/small.check.py" in completed.stdout
    assert (folder / "proof").exists()
    assert "pip" not in (folder / "logs/paper/environment/small.log").read_text()
    assert (folder / ".venvs" / "small").resolve() == (twins[0][0] / ".venvs" / "small").resolve()


@pytest.mark.slow
def test_other_pins_make_another(twins, cache):
    folder = twins[0][1]
    before = (folder / ".venvs" / "small").resolve()
    (folder / "envs" / "small.txt").write_text("# other\n")
    completed = snakemake(folder, ".venvs/small")
    assert completed.returncode == 0, completed.stdout
    assert (folder / ".venvs" / "small").resolve() != before
    assert (before / "bin" / "python").exists()
    assert len([path for path in cache.glob("small-*") if path.is_dir()]) == 2


@pytest.mark.slow
@pytest.mark.parametrize("part", ["pyvenv.cfg", "bin/python", ""])
def test_a_broken_one_is_made_again(twins, tmp_path, part):
    """This includes one that was removed from the cache while a link to it remains."""
    whole = (twins[0][0] / ".venvs" / "small").resolve()
    if part:
        (whole / part).unlink()
        folder = clone(tmp_path)
    else:
        shutil.rmtree(whole)
        folder = twins[0][0]
    completed = snakemake(folder, ".venvs/small")
    assert completed.returncode == 0, completed.stdout
    assert "small: install packages" in completed.stdout
    assert (folder / ".venvs" / "small").resolve() == whole
    assert (whole / "pyvenv.cfg").exists()


@pytest.mark.slow
def test_a_check_that_no_build_passes_leaves_others_theirs(twins, tmp_path, cache):
    folder = clone(tmp_path, check="raise ImportError('too strict')\n")
    completed = snakemake(folder, ".venvs/small")
    assert completed.returncode != 0
    assert "small: could not run envs/small.check.py (ImportError: too strict)" in completed.stdout
    assert not list((folder / ".venvs").glob("*"))
    assert (twins[0][0] / ".venvs" / "small" / "bin" / "python").exists()
    assert not list(cache.glob("*.making"))


def test_the_check_finds_a_missing_extension(built):
    """After a silent failure of somoclu's build, _somoclu_wrap cannot be imported."""
    code = "import runpy, sys; sys.modules['_somoclu_wrap'] = None; runpy.run_path('envs/somde.check.py')"
    command = [built / ".venvs" / "somde" / "bin" / "python", "-I", "-c", code]
    completed = subprocess.run(command, cwd=built, text=True, capture_output=True, check=False)
    assert completed.returncode != 0
    assert "_somoclu_wrap" in completed.stderr.splitlines()[-1]


@pytest.mark.slow
def test_planted_genes_come_before_null_ones(isolated, section):
    ranks = ranked(section).set_index("gene")["rank"]
    kind = section.var["kind"]
    planted, null = ranks[kind.index[kind.isin(["gradient", "regional"])]], ranks[kind.index[kind == "null"]]
    assert len(planted) == 30
    assert planted.median() < 25
    assert null.min() > planted.quantile(0.8)
    shuffled = section.copy()
    shuffled.obsm["spatial"] = np.random.default_rng(0).permutation(section.obsm["spatial"])
    assert ranked(section)["score"].head(10).min() > 3 * ranked(shuffled)["score"].max()


def test_agrees_with_morans_i_in_the_large(isolated, section):
    normalised = section.copy()
    sc.pp.normalize_total(normalised)
    sc.pp.log1p(normalised)
    other = spatially_variable_genes(normalised.X, section.obsm["spatial"], section.var_names)
    scores = pd.concat([table.set_index("gene")["score"] for table in (ranked(section), other)], axis=1)
    assert scores.corr(method="spearman").iloc[0, 1] > 0.6


def test_same_bytes_twice(isolated, section):
    assert ranked(section).to_csv(index=False) == ranked(section).to_csv(index=False)


def test_counts_that_somde_cannot_stabilise_are_named(isolated, capfd):
    """SOMDE cannot take the logarithm of counts that vary less than by chance, as they have no over-dispersion."""
    rng = np.random.default_rng(0)
    even = np.column_stack([rng.binomial(200, 0.99, 2000), rng.poisson(0.2, (2000, 20))]).astype(np.float32)
    with pytest.raises(UserError, match="see its output above"):
        spatially_variable_genes(even, rng.uniform(0, 1000, (2000, 2)), range(21), method="somde")
    assert "20 of 21 genes have no logarithm" in capfd.readouterr().err
