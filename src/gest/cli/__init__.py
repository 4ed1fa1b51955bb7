"""The command line: `gest VERB` for your own data, `gest paper VERB` for the steps of the workflow.

Each verb of `gest` is in the module of the same name; the steps are in `gest.cli.paper`. `app` holds the two
applications that verbs and steps register with, `options` the options that they share.
"""

import logging
import sys
import warnings

from typer import TyperException

from gest.cli import (  # noqa: F401 (each module registers its verb)
    annotate,
    cluster,
    embed,
    export,
    fit_annotator,
    generate,
    paper,
    perturb,
    prepare,
    pretrain,
    simulate,
    vocabulary,
)
from gest.cli.app import app, log
from gest.errors import Interrupted, UserError, exit_code


def main() -> None:
    """Run one verb.

    A user's mistake prints one sentence to stderr and exits with 2; a stopped run that can be resumed exits with 75.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
    arguments = sys.argv[1:]
    if arguments in ([], ["paper"]):
        arguments = [*arguments, "--help"]
    try:
        sys.exit(app(arguments, standalone_mode=False))
    except (UserError, FloatingPointError, Interrupted) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(exit_code(error))
    except TyperException as error:
        message = " ".join(error.format_message().split()).rstrip(".")
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "gest"
        print(f"error: {message}; see `{command} --help`.", file=sys.stderr)
    sys.exit(2)
