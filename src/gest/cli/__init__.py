"""The command line: `gest <verb>`. What the workflow's rules call is what a user calls."""

import logging
import sys
import warnings

from typer import TyperException

from gest.cli import annotation, data, holdout, ischemia, learning, niches, own_data, perturbation, sharing  # noqa: F401
from gest.cli.app import app, log
from gest.errors import UserError


def main() -> None:
    """Run one verb. A user's mistake is one sentence on stderr, and exit code 2."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
    try:
        sys.exit(app(sys.argv[1:] or ["--help"], standalone_mode=False))
    except (UserError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
    except TyperException as error:
        told = " ".join(error.format_message().split()).rstrip(".")
        print(f"error: {told}; `gest --help` lists the verbs, `gest VERB --help` their options.", file=sys.stderr)
    sys.exit(2)
