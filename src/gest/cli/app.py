"""What all verbs share: the application, their options, reading JSON, writing whole files."""

import inspect
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option, Typer

from gest.errors import UserError

log = logging.getLogger("gest")
app = Typer(
    help="GeST: a generative pre-trained transformer for spatial transcriptomics.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Section = Annotated[Path, Argument(help="Section (.h5ad), as `gest import` writes it.")]
SectionName = Annotated[str, Option(help="Name of the section.")]
DatasetConfig = Annotated[Path, Option(help="JSON of one dataset's keys in config/config.yaml.")]
ConfigFile = Annotated[
    Path | None, Option(help="JSON with keys of config/config.yaml; what is left out has its default.")
]
VocabularyFile = Annotated[Path, Option(help="Vocabulary (.npz), as `gest vocabulary` writes it.")]
Seed = Annotated[int, Option(min=0, help="Seed of all randomness.")]
Out = Annotated[Path, Option(help="What to write.")]


def read_json(path: Path | None) -> dict[str, Any]:
    """Read a configuration; nothing where none is given."""
    if path is None:
        return {}
    try:
        return json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read as JSON ({error}); the workflow writes it from config/*.yaml."
        ) from error


def check_keys(settings: dict[str, Any], function: Callable[..., Any], path: Path | None) -> None:
    """Refuse keys that a function does not take, and miss those that it needs, before it is called."""
    parameters = inspect.signature(function).parameters
    if unknown := sorted(set(settings) - set(parameters)):
        raise UserError(f"{path}: '{unknown[0]}' is not a key; allowed are {', '.join(parameters)}.")
    needed = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]
    if missing := [name for name in needed if name not in settings and name != "name"]:
        raise UserError(f"{path}: the key '{missing[0]}' is missing.")


def device() -> str:
    """Where models run."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def write_whole(out: Path, write: Callable[[Path], None]) -> None:
    """Write under a temporary name, so that nothing half-written bears the final one."""
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".partial-{out.name}")
    try:
        write(partial)
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)
