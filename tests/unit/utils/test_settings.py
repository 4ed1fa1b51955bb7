"""Reading settings: the key of a mistake is named, and values keep their types."""

from dataclasses import dataclass

import numpy as np
import pytest

from gest.errors import UserError
from gest.utils.settings import check_bounds, read_settings, setting


@dataclass(frozen=True, kw_only=True)
class Example:
    n: int = setting(3, at_least=1)
    share: float = setting(0.5, above=0, at_most=1)
    kind: str = setting("a", choices=("a", "b"))
    parts: tuple[float, ...] = (1.0, 2.0)
    limit: int | None = setting(None, at_least=1)
    on: bool = False

    def __post_init__(self):
        check_bounds(self, "example")


def test_values_replace_defaults():
    assert read_settings(Example, {}, "example") == Example()
    values = {"n": 5, "share": 1, "kind": "b", "parts": [1, 0], "limit": 2, "on": True}
    read = read_settings(Example, values, "example")
    assert read == Example(n=5, share=1, kind="b", parts=(1.0, 0.0), limit=2, on=True)
    assert isinstance(read.parts[0], float)
    assert read_settings(Example, {"limit": None}, "example").limit is None


def test_numpy_values_are_read_as_python_values():
    values = {"n": np.int64(5), "share": np.float32(0.25), "parts": np.array([1, 0]), "on": np.True_}
    read = read_settings(Example, values, "example")
    assert read == Example(n=5, share=0.25, parts=(1.0, 0.0), on=True)
    assert {type(value) for value in (read.n, read.share, *read.parts, read.on)} == {int, float, bool}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"m": 1}, "example.m: unknown key (choose n, share, kind, parts, limit, on)."),
        (["n"], "example: ['n'] is not a mapping of keys to values."),
        ({"n": "3"}, "example.n: '3' is not of type int."),
        ({"n": True}, "example.n: True is not of type int."),
        ({"on": 1}, "example.on: 1 is not of type bool."),
        ({"share": "1e-3"}, "example.share: '1e-3' is not of type float (YAML reads 1e-3 as text: write 1.0e-3)."),
        ({"parts": [1, "x"]}, "example.parts: [1, 'x'] is not of type list of float."),
        ({"limit": 1.5}, "example.limit: 1.5 is not of type int or null."),
        ({"limit": 0}, "example.limit: 0 is out of range (expected at least 1)."),
        ({"n": 0}, "example.n: 0 is out of range (expected at least 1)."),
        ({"share": 0.0}, "example.share: 0.0 is out of range (expected above 0 and at most 1)."),
        ({"share": float("nan")}, "example.share: nan is out of range (expected above 0 and at most 1)."),
        ({"kind": "c"}, "example.kind: unknown value 'c' (choose a or b)."),
    ],
)
def test_a_mistake_names_its_key(values, message):
    with pytest.raises(UserError) as error:
        read_settings(Example, values, "example")
    assert str(error.value) == message
