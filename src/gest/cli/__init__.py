"""The command line: `gest <verb>`. What the workflow's rules call is what a user calls."""

import logging
import sys
import warnings

from typer import TyperException

from gest.cli import annotation, data, holdout, ischemia, learning, niches, own_data, perturbation, sharing  # noqa: F401
from gest.cli.app import app, log
from gest.errors import Interrupted, UserError, exit_code


def main() -> None:
    """Run one verb. A user's mistake is one sentence on stderr, and code 2; what was stopped ends with 75."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
    arguments = sys.argv[1:]
    if arguments in ([], ["paper"]):
        arguments.append("--help")
    try:
        sys.exit(app(arguments, standalone_mode=False))
    except (UserError, FloatingPointError, Interrupted) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(exit_code(error))
    except TyperException as error:
        told = " ".join(error.format_message().split()).rstrip(".")
        print(f"error: {told}; `gest --help` lists the verbs, `gest VERB --help` their options.", file=sys.stderr)
    sys.exit(2)
