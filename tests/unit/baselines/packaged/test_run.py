"""Packaged methods run in isolated environments; in these tests, a script replaces the environment's Python."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

from gest.baselines import packaged, registry
from gest.baselines.packaged import run_packaged
from gest.errors import UserError


@pytest.fixture
def python(tmp_path, monkeypatch):
    """Write a script in place of the Python of an environment, in a temporary working directory."""
    monkeypatch.chdir(tmp_path)

    def write(environment, text):
        path = tmp_path / ".venvs" / environment / "bin" / "python"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        path.chmod(0o755)

    return write


def test_arrays_go_both_ways_through_the_methods_environment(python):
    python(
        "spatial",
        f"#!{sys.executable}\nimport os, sys\nimport numpy as np\nscript, arrays, output = sys.argv[-3:]\n"
        "threads = [os.environ[name] for name in os.environ if name.endswith('_NUM_THREADS')]\n"
        "np.savez(output, script=script, options=sys.argv[1:-3], threads=threads, **np.load(arrays))\n",
    )
    arrays = {"xy": np.array([[0.5, 2.0]]), "genes": np.array(["Sox2", "Tbr1"]), "k": 3}
    output = run_packaged("spagcn", **arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(output.pop(name), array)
    assert output.pop("script") == str(Path(packaged.__file__).with_name("spagcn.py"))
    assert output.pop("options").tolist() == ["-I", "-W", "ignore"]
    assert set(output.pop("threads").tolist()) == {"1"}
    assert not output


def test_the_peak_of_memory_is_the_methods_own(python):
    python(
        "stagate",
        f"#!{sys.executable}\nimport resource, sys\nimport numpy as np\n"
        "np.savez(sys.argv[-1], peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n",
    )
    ours = np.ones(2**26)  # 512 MB
    assert 5 < run_packaged("stagate")["peak_mb"] < 300 < ours.nbytes / 2**20


def test_mistakes_are_named(python):
    with pytest.raises(UserError, match=r"^graphst: .* not found; create it with `snakemake \.venvs/spatial`\.$"):
        run_packaged("graphst")
    python("spatial", "#!/bin/sh\nexit 3\n")
    with pytest.raises(UserError, match=r"^graphst: failed in \.venvs/spatial \(exit status 3\)"):
        run_packaged("graphst")


def test_scripts_stand_alone():
    """No script imports gest, which is not in its environment; every script has an environment."""
    scripts = [path for path in Path(packaged.__file__).parent.glob("*.py") if path.stem != "__init__"]
    assert {path.stem for path in scripts} <= set(registry.environments())
    for path in scripts:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or "."] if isinstance(node, ast.ImportFrom) else []
            names += [name.name for name in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in names if name.split(".")[0] in ("gest", "")], path


@pytest.mark.parametrize("ends", ["kill -TERM $$\nsleep 5", "exit 130"])
def test_a_method_that_is_stopped_from_outside_did_not_fail(python, ends):
    python("spatial", f"#!/bin/sh\n{ends}\n")
    with pytest.raises(SystemExit, match="graphst: stopped from outside"):
        run_packaged("graphst")


def test_a_method_that_runs_out_of_memory_says_so(python):
    python("spatial", "#!/bin/sh\nkill -KILL $$\n")
    with pytest.raises(UserError, match=r"graphst: failed in \.venvs/spatial \(killed, as when memory runs out\)"):
        run_packaged("graphst")
