"""What all verbs share: the application, their options, reading configurations, writing whole files."""

import inspect
import json
import logging
import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import yaml
from typer import Argument, Context, Exit, Option, Typer
from typer.core import TyperGroup

from gest.errors import UserError

log = logging.getLogger("gest")

VERBS = ("simulate", "prepare", "vocabulary", "pretrain", "embed", "cluster", "fit-annotator", "annotate")
VERBS += ("generate", "perturb", "export", "paper")


class _Verbs(TyperGroup):
    """The verbs in the order in which a user needs them, each with the first line of its description."""

    def list_commands(self, ctx: Context) -> list[str]:
        """List their names; the steps of the workflow, as they were defined."""
        return sorted(self.commands, key=lambda name: VERBS.index(name) if name in VERBS else len(VERBS))

    def format_commands(self, ctx: Context, formatter: Any) -> None:
        """Show them under one heading."""
        with formatter.section("Verbs"):
            names = self.list_commands(ctx)
            formatter.write_dl([(name, self.commands[name].help.splitlines()[0]) for name in names])


def _version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        print(f"gest {version('gest')}")
        raise Exit


SETTINGS = {
    "cls": _Verbs,
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
    "subcommand_metavar": "VERB [ARGUMENTS]…",
}
app = Typer(
    epilog="`gest VERB --help` describes a verb. Lengths are in µm. docs/own_data.md leads from your file to results.",
    **SETTINGS,
)
paper = Typer(
    help="Run one step of the workflow that reproduces the paper.",
    epilog="`gest paper VERB --help` describes a step.",
    **SETTINGS,
)
app.add_typer(paper, name="paper")


@app.callback()
def gest(
    version: Annotated[
        bool, Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """GeST: a generative pre-trained transformer for spatial transcriptomics."""


def examples(*lines: str) -> str:
    """Make the end of a verb's help: commands, and words on what comes of them, broken as they are here."""
    return "\b\n" + "\n".join(("Examples:", *(f"  {line}" for line in lines)))


def device_of(name: str) -> str:
    """Where models run: of `auto` a GPU where there is one."""
    import torch

    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"--device is '{name}', where auto, cpu or cuda is allowed.")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device is cuda, and PyTorch finds no CUDA device on this machine; leave it at auto, or cpu.")
    return ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name


OwnSection = Annotated[
    Path,
    Argument(
        help="Your section: an .h5ad (or SpatialData .zarr) with counts in X and coordinates in µm in "
        "obsm['spatial']. Genes are matched by var_names or a column of var."
    ),
]
Section = Annotated[Path, Argument(help="Section (.h5ad), as `gest prepare` or `gest paper import` writes it.")]
SectionName = Annotated[str, Option(help="Name of the section.")]
DatasetConfig = Annotated[Path, Option(help="YAML or JSON of one dataset's keys in config/config.yaml.")]
ConfigFile = Annotated[
    Path | None,
    Option(help="YAML or JSON with keys of config/config.yaml, such as config/own_data.yaml; the rest is default."),
]
ModelFolder = Annotated[
    str, Option(help="Model: a folder that `gest pretrain` or `gest export` wrote, a url, or hf://OWNER/NAME.")
]
VocabularyFile = Annotated[Path, Option(help="Vocabulary (.npz), as `gest vocabulary` writes it.")]
BatchSize = Annotated[int | None, Option(min=1, help="How many windows run together; changes speed, not results.")]
Device = Annotated[
    str, Option(callback=device_of, help="auto (a GPU where there is one), cpu or cuda.", show_default=True)
]
DryRun = Annotated[bool, Option("--dry-run", help="Check all inputs, say what would be done, and stop.")]
Seed = Annotated[int, Option(min=0, help="Seed of all randomness.")]
Out = Annotated[Path, Option(help="What to write.")]


def read_config(path: Path | None) -> dict[str, Any]:
    """Read a configuration, YAML or JSON; nothing where none is given."""
    if path is None:
        return {}
    try:
        text = path.read_text()
        # YAML takes JSON's 1e-05 for text.
        given = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path}: cannot be read as YAML or JSON ({reason}); config/own_data.yaml is an example."
        ) from error
    if not isinstance(given, dict):
        raise UserError(f"{path}: holds no keys and values; config/own_data.yaml is an example.")
    return given


def check_keys(settings: dict[str, Any], function: Callable[..., Any], path: Path | None) -> None:
    """Refuse keys that a function does not take, and miss those that it needs, before it is called."""
    parameters = inspect.signature(function).parameters
    if unknown := sorted(set(settings) - set(parameters)):
        raise UserError(f"{path}: '{unknown[0]}' is not a key; allowed are {', '.join(parameters)}.")
    needed = [name for name, parameter in parameters.items() if parameter.default is parameter.empty]
    if missing := [name for name in needed if name not in settings and name != "name"]:
        raise UserError(f"{path}: the key '{missing[0]}' is missing.")


def writable(out: Path, suffix: str = "") -> Path:
    """Check that a file of this name, and of this kind, can be written, before the work is done that it is to hold."""
    there = next(folder for folder in out.absolute().parents if folder.exists())
    if out.is_dir():
        raise UserError(f"{out}: this is a folder, where the name of a file to write is expected; give another --out.")
    if suffix and out.suffix not in ("", suffix):
        raise UserError(f"{out}: the file to write is of the kind {suffix}; give an --out that ends so.")
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise UserError(f"{out}: nothing can be written in {there}; give another --out, or make that folder writable.")
    return out


def write_whole(out: Path, write: Callable[[Path], None]) -> None:
    """Write under a temporary name, so that nothing half-written bears the final one."""
    from gest.utils.files import whole_file

    try:
        with whole_file(writable(out)) as partial:
            write(partial)
    except OSError as error:
        raise UserError(
            f"{out}: it cannot be written ({error.strerror or error}); make room, or give another --out."
        ) from error
