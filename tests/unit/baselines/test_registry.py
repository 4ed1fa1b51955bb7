"""The registry of methods agrees with the scripts, environments, configuration and documents that rely on it."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gest.baselines import packaged, registry
from gest.errors import UserError
from gest.paper.methods.generation import VARIANTS
from gest.tasks.annotation.annotator import POOLS

ROOT = Path(__file__).parents[3]
TASKS = ("generation", "clustering", "annotation", "svg")


def test_it_imports_neither_torch_nor_snakemake():
    code = "import sys, gest.baselines.registry; print(sorted({'torch', 'snakemake', 'numpy'} & set(sys.modules)))"
    completed = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True)
    assert completed.stdout == "[]\n"


def test_methods_of_gest_run_first():
    assert registry.names("generation")[:2] == ("gest", "gest_continued")
    assert registry.names("clustering")[:3] == ("gest", "gest_continued", "graphst")
    assert registry.names("annotation") == ("gest", "scanvi", "celltypist", "majority")


def test_tables_list_the_papers_rows_first():
    labels = list(registry.labels("generation").values())
    assert labels[:4] == ["GeST", "GeST-W", "GP", "MLP"]
    assert labels[-3:] == ["mean of seen", "nearest seen", "true meta cells"]
    assert list(registry.labels("clustering").values())[-3:] == [
        "GeST-FT (transductive)",
        "coordinates alone",
        "shuffled labels",
    ]


@pytest.mark.parametrize("task", TASKS)
def test_names_and_labels_are_unique(task):
    assert len(set(registry.names(task))) == len(registry.names(task))
    rows = [row for method in registry.methods(task) for row in method.rows]
    assert len({row.label for row in rows}) == len(rows)


def test_variants_of_gest_are_those_that_it_predicts():
    for method in registry.methods("generation"):
        if method.needs_model:
            assert {row.variant for row in method.rows} == set(VARIANTS)
    assert [row.variant for row in registry.method("annotation", "gest").rows] == list(POOLS)


def test_every_packaged_method_has_a_script_and_pins():
    scripts = {path.stem for path in Path(packaged.__file__).parent.glob("*.py")} - {"__init__"}
    assert scripts == set(registry.environments())
    for method in registry.METHODS:
        if method.environment:
            assert (ROOT / "envs" / f"{method.environment}.txt").exists()
            assert (ROOT / "envs" / f"{method.environment}.check.py").exists()
            assert method.threads == 1


def test_functions_can_be_imported():
    for method in registry.METHODS:
        if method.function:
            assert callable(registry.load_function(method))


def test_an_unknown_method_is_refused_in_one_sentence():
    with pytest.raises(UserError, match=r"annotation: unknown method 'knn' \(choose gest, .* or majority\)"):
        registry.method("annotation", "knn")


def test_the_default_configuration_lists_every_method():
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    for task in ("generation", "clustering", "annotation"):
        assert set(config[task]["methods"]) == set(registry.names(task))


def test_values_of_the_paper_are_of_known_methods():
    allowed = {method.name for method in registry.METHODS} | {"ica_degs"}  # a baseline of the ischemia experiment
    values = yaml.safe_load((ROOT / "config" / "paper_values.yaml").read_text())
    assert set(methods_in(values)) <= allowed


def methods_in(node):
    """Yield the value of every key `method` below a node."""
    if isinstance(node, list):
        for item in node:
            yield from methods_in(item)
    elif isinstance(node, dict):
        if "method" in node:
            yield node["method"]
        yield from methods_in(list(node.values()))


@pytest.mark.parametrize("document", ["README.md", "docs/reproduction.md"])
def test_documents_name_every_packaged_method(document):
    text = (ROOT / document).read_text()
    for task in ("clustering", "annotation"):
        for method in registry.methods(task):
            if method.environment:
                assert method.rows[0].label in text
