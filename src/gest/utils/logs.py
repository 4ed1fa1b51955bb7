"""Logging and error messages of the workflow's scripts."""

import logging
import sys
from types import TracebackType

from gest.errors import UserError


def log_to(path: str) -> None:
    """Log to a file.

    A UserError is reported in one line there and on stderr, without a traceback.
    """
    logging.basicConfig(filename=path, level=logging.INFO, format="%(message)s", force=True)
    sys.excepthook = _print_error


def _print_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, UserError):
        logging.error("error: %s", error)
        print(f"error: {error}", file=sys.stderr)
        return
    logging.error("failed", exc_info=(kind, error, trace))
    sys.__excepthook__(kind, error, trace)
