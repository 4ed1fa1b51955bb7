"""The scripts of NicheCompass, scANVI and CellTypist; tests that run them need their environments."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

import gest
from gest.baselines import registry

ROOT = Path(__file__).parents[4]
SCRIPTS = Path(gest.__file__).parent / "baselines/packaged"
ENVIRONMENTS = {method: registry.environments()[method] for method in ("nichecompass", "scanvi", "celltypist")}
N_GENES = 12


def python(method):
    return ROOT / ".venvs" / ENVIRONMENTS[method] / "bin" / "python"


def runs(*methods):
    """Run a test for each method whose environment exists; skip the others."""
    return pytest.mark.parametrize(
        "method",
        [
            pytest.param(method, marks=pytest.mark.skipif(not python(method).exists(), reason=f"no {python(method)}"))
            for method in methods
        ],
    )


def run(method, working_directory, **arrays):
    inputs, outputs = working_directory / "inputs.npz", working_directory / "outputs.npz"
    np.savez(inputs, **arrays)
    command = [python(method), "-I", "-W", "ignore", SCRIPTS / f"{method}.py", inputs, outputs]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    completed = subprocess.run(
        command, env=environment, cwd=working_directory, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stderr
    return dict(np.load(outputs))


def counts_of(groups, rng):
    """Return counts in which each of three groups has four marker genes."""
    counts = csr_matrix(rng.poisson(np.where(groups[:, None] == np.arange(N_GENES) // 4, 6, 0.5)).astype(np.float32))
    return counts, {name: getattr(counts, name) for name in ("data", "indices", "indptr")}


@pytest.mark.parametrize("method", ENVIRONMENTS)
def test_a_script_stands_alone(method):
    tree = ast.parse((SCRIPTS / f"{method}.py").read_text(encoding="utf-8"))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    pinned = (ROOT / "envs" / f"{ENVIRONMENTS[method]}.txt").read_text(encoding="utf-8").lower().replace("-", "_")
    for name in sorted({module.split(".")[0] for module in imported} - sys.stdlib_module_names):
        package = {"sklearn": "scikit_learn", "scvi": "scvi_tools"}.get(name, name)
        assert f"\n{package}==" in pinned, f"{method}.py imports {name}, which its environment does not pin"


@pytest.mark.parametrize("name", sorted(set(ENVIRONMENTS.values())))
def test_every_package_is_pinned(name):
    lines = (ROOT / "envs" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert lines[0].startswith("#")
    assert all(pin.count("==") == 1 and not set(pin) & set("@ +;<>") for pin in pins)
    assert len({pin.split("==")[0].lower() for pin in pins}) == len(pins)
    assert "torch==2.13.0" in pins


@runs("scanvi", "celltypist")
def test_labels_of_other_sections_are_carried_over(method, tmp_path):
    rng = np.random.default_rng(0)
    groups, others = np.repeat([0, 1, 2], 60), rng.integers(3, size=90)
    shared = {"genes": [f"g{i}" for i in range(N_GENES)], "seeds": [0, 1], "folder": str(tmp_path / "models")}
    labels = np.char.add("layer ", groups.astype(str))
    labels[7] = "rare"  # a label of a single cell
    labels[groups == 2] = "Unknown"  # a label like any other
    names = np.array(["layer 0", "layer 1", "Unknown"])
    reference = {**counts_of(groups, rng)[1], "labels": labels, "sections": np.tile(["a", "b"], 90)}
    fitted = run(method, tmp_path, **shared, **reference)
    assert sorted(fitted) == ["peak_mb", "seconds", "version"]
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["0", "1"]

    counts, _ = counts_of(others, rng)
    counts = csr_matrix(counts.toarray() * (np.arange(90) > 0)[:, None])  # the first cell has no counts
    test = {f"test_{name}": getattr(counts, name) for name in ("data", "indices", "indptr")}
    output = run(method, tmp_path, **shared, **test)
    assert output["predicted"].shape == (2, 90)
    assert output["seconds"].shape == (2,)
    assert (output["seconds"] > 0).all()
    assert 50 < output["peak_mb"] < 5000
    assert str(output["version"]).split()[-1][0].isdigit()
    assert set(output["predicted"].ravel()) <= set(labels)
    right = output["predicted"] == names[others]
    assert right[:, 1:].mean() > 0.9
    np.testing.assert_array_equal(
        run(method, tmp_path, **{**shared, "seeds": [1]}, **test)["predicted"][0], output["predicted"][1]
    )


@runs("scanvi", "celltypist")
def test_a_single_label_is_given_to_every_cell(method, tmp_path):
    counts, arrays = counts_of(np.zeros(20), np.random.default_rng(0))
    shared = {"genes": [f"g{i}" for i in range(N_GENES)], "seeds": [0], "folder": str(tmp_path / "models")}
    run(method, tmp_path, **shared, **arrays, labels=np.repeat("façade", 20), sections=np.repeat("a", 20))
    test = {f"test_{name}": getattr(counts[:5], name) for name in ("data", "indices", "indptr")}
    assert run(method, tmp_path, **shared, **test)["predicted"].tolist() == [["façade"] * 5]


@runs("nichecompass")
def test_niches_come_out_of_the_latent_space(method, tmp_path):
    rng = np.random.default_rng(0)
    xy = rng.random((150, 2)) * 1000
    groups = (xy[:, 0] // 334).astype(int)
    arrays = {
        **counts_of(groups, rng)[1],
        **{"genes": [f"g{i}" for i in range(N_GENES)], "xy": xy, "ligands": ["g0", "g0", "g4"]},
        **{"receptors": ["g1", "g2", "g5"]},
    }
    output = run(method, tmp_path, **arrays, seeds=[0, 1])
    assert output["embedding"].shape == (2, 150, 2 + 100)  # the programmes of two ligands, and 100 de novo ones
    assert output["embedding"].dtype == np.float32
    assert output["seconds"].shape == (2,)
    for embedding in output["embedding"]:
        centres = np.stack([embedding[groups == group].mean(axis=0) for group in range(3)])
        nearest = np.linalg.norm(embedding[:, None] - centres, axis=2).argmin(axis=1)
        assert (nearest == groups).mean() > 0.8
    assert (output["embedding"][0] != output["embedding"][1]).any()
    np.testing.assert_array_equal(run(method, tmp_path, **arrays, seeds=[1])["embedding"][0], output["embedding"][1])
