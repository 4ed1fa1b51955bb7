"""Errors that a user can fix, interrupted runs, and the exit codes of commands."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class UserError(ValueError):
    """A mistake in data, configuration or command that the user can fix.

    The message names the place, the value, what is expected, and the command or change that fixes it. The command line
    prints it without a traceback.
    """


class Interrupted(Exception):  # noqa: N818 (not an error)
    """A signal stopped the run after its state was saved.

    Running the same command again continues it.
    """


@contextmanager
def naming(section: Any) -> Iterator[None]:
    """Replace the prefix ``section:`` of UserErrors by the path of the section.

    Errors pass unchanged if `section` is not a path.
    """
    try:
        yield
    except UserError as error:
        message = str(error)
        if not (isinstance(section, str | os.PathLike) and message.startswith("section: ")):
            raise
        raise UserError(f"{section}: {message.removeprefix('section: ')}") from error


def first_line(error: Exception) -> str:
    """Return the first line of an exception's message.

    If the message is empty, return the name of the exception's class.
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def exit_code(error: Exception) -> int:
    """Return the exit code of a command that ends with an error.

    75 (EX_TEMPFAIL): the run was interrupted, run the command again. 2: a UserError or a training that diverged. 1: any
    other error.
    """
    if isinstance(error, Interrupted):
        return os.EX_TEMPFAIL
    return 2 if isinstance(error, UserError | FloatingPointError) else 1
