"""docs/architecture.svg is current, and docs/architecture.md lists the rooms in the order of the import contracts."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
LAYERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]


@pytest.fixture(scope="module")
def architecture():
    return runpy.run_path(str(ROOT / "docs" / "architecture.py"))


def test_the_picture_is_current(architecture):
    committed = (ROOT / "docs" / "architecture.svg").read_text()
    assert architecture["render"]() == committed, "out of date; run: python docs/architecture.py"


def test_every_room_is_a_layer_of_the_contracts():
    rooms = {path.stem for path in (ROOT / "src" / "gest").iterdir() if path.is_dir() or path.suffix == ".py"}
    listed = {name for layer in LAYERS for name in re.findall(r"gest\.(\w+)", layer)}
    assert listed == rooms - {"__init__", "__pycache__", "gest"}


def test_the_page_lists_the_rooms_in_the_order_of_the_contracts():
    table = PAGE.partition("## The rooms")[2].partition("Outside the package")[0]
    rows = [re.findall(r"`(\w+)`", line.split("|")[1]) for line in table.splitlines() if line.startswith("| `")]
    assert [sorted(row) for row in rows] == [sorted(re.findall(r"gest\.(\w+)", layer)) for layer in LAYERS]


def test_an_arrow_that_others_imply_is_left_out(architecture):
    reduced = architecture["reduce_imports"]({"a": {"b", "c"}, "b": {"c"}, "c": set()})
    assert reduced == {"a": ["b"], "b": ["c"], "c": []}


def test_a_room_stands_below_all_that_import_it(architecture):
    imports = {"a": ["b", "c"], "b": ["d"], "c": [], "d": []}
    assert architecture["assign_rows"](imports) == {"a": 0, "b": 1, "c": 1, "d": 2}
    # An arrow over two rows passes the row between them beside the boxes.
    centres, arrows = architecture["place"]({"a": ["b"], "b": ["d"], "c": ["d"], "d": []})
    assert ["c", "c>d>1", "d"] in arrows
    assert abs(centres["c>d>1"][0] - centres["b"][0]) > architecture["WIDTH"] / 2


def test_imports_for_type_checking_do_not_count(architecture):
    imports = architecture["read_imports"]()
    assert "tasks" not in imports["data"]
    assert "model" not in imports["vocabulary"]
