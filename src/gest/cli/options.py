"""Options that several verbs share, and checks of the files that they name."""

import inspect
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import yaml
from typer import Argument, Option

from gest.errors import UserError
from gest.utils.files import whole_file


def choose_device(name: str) -> str:
    """Choose the device of a model: `auto` is a GPU if there is one, else the CPU."""
    import torch

    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"--device: unknown value '{name}' (choose auto, cpu or cuda).")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device: PyTorch finds no CUDA device on this machine; choose auto or cpu.")
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


OwnSection = Annotated[
    Path,
    Argument(help="Your section: an .h5ad or SpatialData .zarr with counts in X and µm in obsm['spatial']."),
]
Section = Annotated[Path, Argument(help="Section (.h5ad) from `gest prepare` or `gest paper import`.")]
SectionName = Annotated[str, Option(help="Name of the section.")]
DatasetConfig = Annotated[Path, Option(help="YAML or JSON with the keys of one dataset in config/config.yaml.")]
ConfigFile = Annotated[
    Path | None, Option(help="YAML or JSON with keys of config/config.yaml; those left out take their defaults.")
]
ModelFolder = Annotated[
    str, Option(help="Model: a folder from `gest pretrain` or `gest export`, a URL, or hf://OWNER/NAME.")
]
VocabularyFile = Annotated[Path, Option(help="Vocabulary (.npz) from `gest vocabulary`.")]
BatchSize = Annotated[int | None, Option(min=1, help="Windows per batch; changes the speed, not the results.")]
Device = Annotated[str, Option(callback=choose_device, help="auto (a GPU if there is one), cpu or cuda.")]
DryRun = Annotated[bool, Option("--dry-run", help="Check all inputs, report what would be done, and stop.")]
Seed = Annotated[int, Option(min=0, help="Seed of the random numbers.")]
Out = Annotated[Path, Option(help="File to write.")]


def read_config(path: Path | None) -> dict[str, Any]:
    """Read a configuration, YAML or JSON; without a path it is empty."""
    if path is None:
        return {}
    try:
        text = path.read_text()
        # YAML reads JSON's 1e-05 as text.
        config = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path}: cannot be read as YAML or JSON ({reason}); config/own_data.yaml is an example."
        ) from error
    if not isinstance(config, dict):
        kind = type(config).__name__
        raise UserError(f"{path}: expected keys and values, got a {kind}; config/own_data.yaml is an example.")
    return config


def check_keys(settings: dict[str, Any], function: Callable[..., Any], path: Path | None) -> None:
    """Check that settings are parameters of a function, and include all required ones.

    Only `name` may be missing.
    """
    parameters = inspect.signature(function).parameters
    if unknown := sorted(set(settings) - set(parameters)):
        raise UserError(f"{path}: unknown key '{unknown[0]}' (choose {', '.join(parameters)}).")
    required = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]
    if missing := [name for name in required if name not in settings and name != "name"]:
        raise UserError(f"{path}: the key '{missing[0]}' is missing.")


def check_writable(out: Path, suffix: str = "") -> Path:
    """Check that a file can be written, before any work is done for it.

    Its name must end in `suffix`, or have no suffix.
    """
    existing = next(folder for folder in out.absolute().parents if folder.exists())
    if out.is_dir():
        raise UserError(f"{out}: is a folder (expected the name of a file); choose another --out.")
    if suffix and out.suffix not in ("", suffix):
        raise UserError(f"{out}: expected a file name that ends in {suffix}; choose another --out.")
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise UserError(f"{out}: {existing} is not a writable folder; choose another --out, or make it writable.")
    return out


def write_whole(out: Path, write: Callable[[Path], None]) -> None:
    """Write a file under a temporary name, and rename it once it is complete.

    If writing fails, the UserError names the file.
    """
    try:
        with whole_file(check_writable(out)) as partial:
            write(partial)
    except OSError as error:
        reason = error.strerror or error
        raise UserError(f"{out}: cannot be written ({reason}); free some space, or choose another --out.") from error
