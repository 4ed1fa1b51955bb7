"""`import gest` is light, and its public names do not depend on the order of imports."""

import ast
import importlib
import pkgutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

import gest

FUNCTIONS = ("annotate", "embed", "finetune", "fit_annotator", "generate", "load", "perturb", "pretrain")


def test_importing_the_package_needs_no_torch():
    code = "import sys, gest, gest.sections; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_module_can_hide_a_public_function():
    """Importing a submodule sets an attribute of its package: a module named after a function would replace it."""
    modules = {module.name for module in pkgutil.iter_modules(gest.__path__)}
    assert modules.isdisjoint(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_functions_stay_functions_once_their_module_is_imported(name):
    function = getattr(gest, name)
    assert isinstance(function, types.FunctionType)
    importlib.import_module(function.__module__)
    assert getattr(gest, name) is function


def test_every_public_name_exists():
    assert {name: getattr(gest, name) for name in gest.__all__}
    assert set(gest.__all__) <= set(dir(gest))
    with pytest.raises(AttributeError, match="has no attribute 'train'"):
        gest.train  # noqa: B018


def test_docstrings_begin_with_a_line_of_at_most_80_characters():
    long = []
    for path in Path(gest.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                first = (ast.get_docstring(node) or "").partition("\n")[0]
                if len(first) > 80:
                    long.append(f"{path}:{node.lineno}: {first}")
    assert long == []
