"""Folders that are written whole or not at all: those of models, of annotators, of what was learnt."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gest.errors import UserError


def replaceable(folder: str | os.PathLike, marker: str) -> Path:
    """Resolve where a folder is to be written.

    Parameters
    ----------
    marker
        The file by which an older folder of this kind is known, which may be replaced.

    Raises
    ------
    UserError
        There is a file of that name, or a folder with something else in it.
    """
    target = Path(folder).absolute()
    if target.is_file() or (target.is_dir() and any(target.iterdir()) and not (target / marker).is_file()):
        raise UserError(
            f"{target}: there is something here without {marker}, and it is left alone; give another --out."
        )
    return target


@contextmanager
def whole_folder(folder: str | os.PathLike, marker: str) -> Iterator[Path]:
    """Give a folder to write into, which bears its name only once it is whole; arguments as of `replaceable`."""
    target = replaceable(folder, marker)
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if target.exists():
            shutil.rmtree(target)
        os.replace(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
