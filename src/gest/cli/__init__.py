"""The command line: `gest <verb>`. What the workflow's rules call is what a user calls."""

import logging
import sys
import warnings

from gest.cli import annotation, data, holdout, ischemia, learning, niches, perturbation  # noqa: F401
from gest.cli.app import app
from gest.errors import Interrupted, UserError, exit_code


def main() -> None:
    """Run one verb. A user's mistake is one sentence on stderr, and code 2; what was stopped ends with 75."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
    try:
        app()
    except (UserError, FloatingPointError, Interrupted) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(exit_code(error))
