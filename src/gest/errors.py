"""What a user can mend, and what is to be started again; the exit codes of both."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class UserError(ValueError):
    """A mistake in data, config or command that its user can mend.

    The message is one sentence: what, where, what was allowed, and the command or key that mends it. The command
    line prints it without a traceback.
    """


class Interrupted(Exception):  # noqa: N818 (not an error)
    """What was told to stop has stopped, with nothing lost: the same command goes on from there."""


@contextmanager
def naming(given: Any) -> Iterator[None]:
    """Let errors that are about a `section:` name its file in that place, where it was given as a path."""
    try:
        yield
    except UserError as error:
        told = str(error)
        if not (isinstance(given, str | os.PathLike) and told.startswith("section: ")):
            raise
        raise UserError(f"{given}: {told.removeprefix('section: ')}") from error


def first_line(error: Exception) -> str:
    """Take the first line of what a foreign exception says, or its name where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def exit_code(error: Exception) -> int:
    """Exit code of a command that ends with this: 75 (EX_TEMPFAIL) says that it is to be started again."""
    if isinstance(error, Interrupted):
        return os.EX_TEMPFAIL
    return 2 if isinstance(error, UserError | FloatingPointError) else 1
