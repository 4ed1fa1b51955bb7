"""Helpers for rules: patterns, options, resources, source files, and errors of one sentence."""

import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from gest.errors import UserError
from gest.paper.pipeline.part import Part
from gest.paper.pipeline.rules import Stopping, growing, node_launcher, none_of, one_of, options, source_file


class Source(str):
    """A path as `workflow.source_path` returns it."""

    flags: dict = {}  # noqa: RUF012

    def new_from(self, value):
        return Source(value)


def cached(path, origin):
    source = Source(path)
    source.flags = {"sourcecache_entry": str(origin)}
    return source


def test_the_pipeline_imports_neither_snakemake_nor_torch():
    code = "import sys, gest.paper.pipeline.run; print(sorted({'torch', 'snakemake', 'scanpy'} & set(sys.modules)))"
    completed = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert completed.stdout == "[]\n"


def test_patterns_match_whole_names():
    assert re.fullmatch(one_of(["a", "b.c"]), "b.c")
    assert not re.fullmatch(one_of(["a", "b.c"]), "bxc")
    assert not re.fullmatch(one_of([]), "")
    assert re.fullmatch(none_of(["left"]) + r"\.h5ad", "left_half.h5ad")
    assert not re.fullmatch(none_of(["left"]) + r"\.h5ad", "left.h5ad")
    assert re.fullmatch(none_of([]) + r"\.h5ad", "left.h5ad")


def test_options_repeat_their_name():
    assert options("model", ["a", "b"]) == ["--model=a", "--model=b"]


def test_every_attempt_asks_for_more():
    assert [growing(1000)(None, attempt) for attempt in (1, 2, 3)] == [1000, 2000, 3000]


def test_a_job_of_several_nodes_starts_one_task_on_each():
    class Resources(SimpleNamespace):
        def get(self, name, default):
            return getattr(self, name, default)

    assert node_launcher(Resources(), threads=8) == ""
    command = node_launcher(Resources(nodes=2, gpu=16, mpi="srun"), threads=4)
    assert command.startswith("srun --nodes=2 --ntasks=2 --ntasks-per-node=1 --gpus-per-node=8 --cpus-per-task=4 ")


def test_a_file_below_the_working_directory_is_named_relative_to_it(tmp_path, monkeypatch):
    """Therefore results are not remade after the checkout is moved."""
    (tmp_path / "config").mkdir()
    (tmp_path / "workflow").mkdir()
    (tmp_path / "config" / "values.yaml").touch()
    source = cached("/cache/1/values.yaml", tmp_path / "workflow" / ".." / "config" / "values.yaml")
    monkeypatch.chdir(tmp_path)
    assert source_file(source) == "config/values.yaml"
    assert source_file(source).flags["sourcecache_entry"] == "config/values.yaml"
    monkeypatch.chdir(tmp_path / "workflow")
    assert source_file(source) == str(tmp_path / "config" / "values.yaml")


def test_a_file_behind_a_link_is_found(tmp_path):
    (tmp_path / "real" / "workflow").mkdir(parents=True)
    (tmp_path / "real" / "values.yaml").touch()
    (tmp_path / "workflow").symlink_to(tmp_path / "real" / "workflow")
    source = cached("/cache/1/values.yaml", tmp_path / "workflow" / ".." / "values.yaml")
    assert source_file(source) == str((tmp_path / "real" / "values.yaml").resolve())


def test_a_file_of_a_remote_workflow_is_read_from_the_cache():
    source = cached("/cache/1/values.yaml", "https://example.org/values.yaml")
    assert source_file(source) is source
    assert source_file("plain") == "plain"


def test_a_user_error_stops_with_one_sentence():
    class Failing(Part):
        def files(self, name):
            raise UserError(f"{name}: not found")

    class Run:
        part = Failing(config={}, datasets={})
        names = ("a", "b")

    run = Stopping(Run())
    assert run.names == ("a", "b")
    with pytest.raises(SystemExit, match=r"^Error: brain: not found$"):
        run.part.files("brain")
