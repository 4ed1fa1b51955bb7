"""What a killed training run resumes from: atomic, verified, owned by one process."""

import fcntl
import hashlib
import io
import os
import sys
from pathlib import Path
from typing import Any, Self

import torch

from gest.errors import UserError

_KEPT = 2  # the newest, and the one before it in case the newest is damaged


class Checkpoints:
    """A folder of numbered states. Use as a context: the folder belongs to one process at a time.

    Parameters
    ----------
    folder
        Made if it is not there.

    Raises
    ------
    UserError
        Another process holds the folder.
    """

    FORMAT = 1
    """Raised when the content of a state changes, so that old states are not taken for new ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            if isinstance(error, BlockingIOError):
                sentence = "another process is training this very model; wait for it or stop it."
            else:
                sentence = f"this file system cannot lock files ({error}); give a --state folder on one that can."
            raise UserError(f"{self.folder}: {sentence}") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write the state of a step, with its hash, under its final name only when it is whole; drop older ones."""
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        partial = self.folder / "partial"
        with partial.open("wb") as file:
            file.write(hashlib.sha256(content).digest() + content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, self.folder / f"step-{step:09d}.pt")
        for old in self._saved()[:-_KEPT]:
            old.unlink()

    def newest(self) -> dict[str, Any] | None:
        """Read the newest state that is whole, onto the CPU; None where there is none."""
        for path in reversed(self._saved()):
            content = path.read_bytes()
            if hashlib.sha256(content[32:]).digest() == content[:32]:
                return torch.load(io.BytesIO(content[32:]), weights_only=True)
            print(f"pretrain: {path} is damaged and is passed over", file=sys.stderr)
        return None

    def _saved(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.pt"))
