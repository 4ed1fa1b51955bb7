"""Write files and folders whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gest.errors import UserError


@contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a path to write to.

    The file takes its final name once it is whole and on the disk. The temporary path lies in the same folder, which is
    created if needed, and has the same suffix.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def replaceable(folder: str | os.PathLike, marker: str) -> Path:
    """Resolve the path of a folder to write; refuse to replace one of another kind.

    Parameters
    ----------
    marker
        A file that only folders of this kind hold: an older one may be replaced.

    Raises
    ------
    UserError
        A file has that name, or a folder with something else in it.
    """
    target = Path(folder).absolute()
    if target.is_file() or (target.is_dir() and any(target.iterdir()) and not (target / marker).is_file()):
        raise UserError(f"{target}: already exists without {marker}; choose another --out.")
    return target


@contextmanager
def whole_folder(folder: str | os.PathLike, marker: str | None = None) -> Iterator[Path]:
    """Give a folder to write into; it takes its final name once it is whole.

    Parameters
    ----------
    marker
        As of `replaceable`, which is called first; None replaces any folder.
    """
    target = Path(folder).absolute() if marker is None else replaceable(folder, marker)
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
