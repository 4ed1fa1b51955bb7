"""The examples in the docstrings of the package run, and every public function has one."""

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import gest

ROOT = Path(gest.__file__).parent
MODULES = [
    ".".join(("gest", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for path in sorted(ROOT.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]
NAMES = [name for name in gest.__all__ if not inspect.ismodule(getattr(gest, name)) and name != "UserError"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    failed, attempted = doctest.testmod(importlib.import_module(name))
    assert attempted > 0
    assert failed == 0


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_has_an_example(name):
    doctests = doctest.DocTestFinder().find(getattr(gest, name), name)
    assert any(test.examples for test in doctests), f"gest.{name} has no Examples in its docstring"
