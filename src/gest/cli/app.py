"""The two applications of the command line: `app` holds the verbs of `gest`, `steps` those of `gest paper`."""

import logging
from importlib.metadata import version
from typing import Annotated, Any

from typer import Context, Exit, Option, Typer
from typer.core import TyperGroup

log = logging.getLogger("gest")

# The order in which `--help` lists verbs, roughly that of use.
ORDER = (
    *("prepare", "vocabulary", "pretrain", "embed", "cluster", "fit-annotator", "annotate", "generate", "perturb"),
    *("export", "simulate", "paper"),
    *(
        "download",
        "import",
        "import-atlas",
        "cut",
        "fixtures",
        "crops",
        "svg",
        "predict",
        "score",
        "represent",
        "group",
    ),
    *("learn-labels", "label", "score-labels", "perturb-ischemia"),
)


class _Verbs(TyperGroup):
    """A group of verbs, which lists each with the first line of its description."""

    def list_commands(self, ctx: Context) -> list[str]:
        """List the names of the verbs in order."""
        return sorted(self.commands, key=ORDER.index)

    def format_commands(self, ctx: Context, formatter: Any) -> None:
        """Write the list that `--help` shows."""
        with formatter.section("Verbs"):
            names = self.list_commands(ctx)
            formatter.write_dl([(name, self.commands[name].help.splitlines()[0]) for name in names])


def _application(epilog: str) -> Typer:
    """Make an application without verbs."""
    return Typer(
        cls=_Verbs,
        epilog=epilog,
        subcommand_metavar="VERB [ARGUMENTS]…",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )


app = _application(
    "`gest VERB --help` describes a verb. Lengths are in µm. docs/own_data.md leads from your file to results."
)
steps = _application("`gest paper VERB --help` describes a step.")
app.add_typer(steps, name="paper", help="Run one step of the workflow that reproduces the paper.")


def _print_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        print(f"gest {version('gest')}")
        raise Exit


@app.callback()
def describe(
    version: Annotated[
        bool, Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """GeST: a generative pre-trained transformer for spatial transcriptomics."""


def format_examples(*lines: str) -> str:
    """Format example commands, with indented remarks, for the end of a verb's help."""
    # Typer keeps the line breaks of a paragraph that begins with \b.
    return "\b\n" + "\n".join(("Examples:", *(f"  {line}" for line in lines)))
