"""Write files and folders completely or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gest.errors import UserError


@contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path to write to; rename the file when it is complete.

    It gets its final name only after it has been flushed to disk. The temporary path is in the same folder, which is
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
    """Check that a folder may be created or replaced; return its absolute path.

    Parameters
    ----------
    marker
        Name of a file that every folder of this kind holds. A folder with this file may be replaced.

    Raises
    ------
    UserError
        The path is a file, or a folder that is not empty and lacks the marker.
    """
    target = Path(folder).absolute()
    if target.is_file() or (target.is_dir() and any(target.iterdir()) and not (target / marker).is_file()):
        raise UserError(f"{target}: already exists without {marker}; choose another --out.")
    return target


@contextmanager
def whole_folder(folder: str | os.PathLike, marker: str | None = None) -> Iterator[Path]:
    """Yield a temporary folder; rename it to `folder` when it is complete.

    Parameters
    ----------
    marker
        Passed to `replaceable`, which is called first; with None, any existing folder is replaced.
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
