"""Errors that a user can fix, runs that are to be started again, and the exit codes of both."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class UserError(ValueError):
    """A mistake in data, configuration or command that its user can fix.

    The message names where, which value, what is expected, and the command or change that fixes it. The command line
    prints it without a traceback.
    """


class Interrupted(Exception):  # noqa: N818 (not an error)
    """A signal stopped the run after its state was saved.

    Running the same command again continues it.
    """


@contextmanager
def naming(section: Any) -> Iterator[None]:
    """Make errors that begin with ``section:`` begin with its file instead.

    They do only if the section was given as a path.
    """
    try:
        yield
    except UserError as error:
        message = str(error)
        if not (isinstance(section, str | os.PathLike) and message.startswith("section: ")):
            raise
        raise UserError(f"{section}: {message.removeprefix('section: ')}") from error


def first_line(error: Exception) -> str:
    """Return the first line of a foreign exception's message.

    Without a message, it is the exception's name.
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def exit_code(error: Exception) -> int:
    """Return the exit code of a command that ends with an error.

    75 (EX_TEMPFAIL) means: run it again.
    """
    if isinstance(error, Interrupted):
        return os.EX_TEMPFAIL
    return 2 if isinstance(error, UserError | FloatingPointError) else 1
