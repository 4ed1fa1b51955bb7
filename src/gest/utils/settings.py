"""Read settings into dataclasses; errors name the key, its value and the allowed values.

A dataclass declares its fields with `setting`, which stores their bounds and choices. `read_settings` checks keys and
types, and `check_bounds`, which the dataclass calls when an instance is created, checks the values.
"""

import operator
from collections.abc import Collection, Iterable, Mapping
from dataclasses import field, fields
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from gest.errors import UserError

Settings = TypeVar("Settings")

_BOUNDS = {"at_least": operator.ge, "above": operator.gt, "at_most": operator.le, "below": operator.lt}


def setting(default: Any, *, choices: Collection[str] = (), **bounds: float) -> Any:
    """Declare a field of a settings dataclass.

    Parameters
    ----------
    choices
        The allowed values; by default, any value.
    bounds
        Any of `at_least`, `above`, `at_most` and `below`.
    """
    return field(default=default, metadata={"choices": choices, "bounds": bounds})


def read_settings(kind: type[Settings], values: Mapping[str, Any], where: str) -> Settings:
    """Make a dataclass of settings from a mapping.

    Parameters
    ----------
    where
        Name of the section of the configuration, for error messages.

    Raises
    ------
    UserError
        A key is unknown, or a value has another type than its field.
    """
    if not isinstance(values, Mapping):
        raise UserError(f"{where}: {values!r} is not a mapping of keys to values.")
    refuse_unknown(values, [declared.name for declared in fields(kind)], where)
    types = get_type_hints(kind)
    return kind(**{key: convert(value, types[key], f"{where}.{key}") for key, value in values.items()})


def refuse_unknown(keys: Iterable[str], known: Collection[str], where: str) -> None:
    """Raise UserError if a key is not among the known ones."""
    if unknown := sorted(set(keys) - set(known)):
        raise UserError(f"{where}.{unknown[0]}: unknown key (choose {', '.join(known)}).")


def convert(value: Any, kind: Any, where: str) -> Any:
    """Check the type of a value and return it; lists become tuples.

    NumPy scalars and arrays become plain Python values. An integer is accepted where a float is expected; it is
    converted to float only within a tuple. Raise UserError if the value has another type.
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if get_origin(kind) is tuple and isinstance(value, list | tuple):
        item_type = get_args(kind)[0]
        if all(_is_a(item, item_type) for item in value):
            return tuple(item_type(item) for item in value)
    options = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    if any(_is_a(value, option) for option in options if get_origin(option) is None):
        return value
    hint = " (YAML reads 1e-3 as text: write 1.0e-3)" if isinstance(value, str) and float in options else ""
    raise UserError(f"{where}: {value!r} is not of type {_type_name(kind)}{hint}.")


def _is_a(value: Any, kind: type) -> bool:
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)


def _type_name(kind: Any) -> str:
    if get_origin(kind) is tuple:
        return f"list of {get_args(kind)[0].__name__}"
    if isinstance(kind, UnionType):
        return " or ".join("null" if option is type(None) else option.__name__ for option in get_args(kind))
    return kind.__name__


def check_bounds(settings: Any, where: str = "") -> None:
    """Raise UserError if a setting is not an allowed value or is out of bounds."""
    for declared in fields(settings):
        value = getattr(settings, declared.name)
        key = f"{where}.{declared.name}" if where else declared.name
        choices, bounds = declared.metadata.get("choices"), declared.metadata.get("bounds", {})
        if choices and value not in choices:
            raise UserError(f"{key}: unknown value {value!r} (choose {' or '.join(choices)}).")
        if value is not None and not all(_BOUNDS[name](value, bound) for name, bound in bounds.items()):
            allowed = " and ".join(f"{name.replace('_', ' ')} {bound:g}" for name, bound in bounds.items())
            raise UserError(f"{key}: {value} is out of range (expected {allowed}).")
