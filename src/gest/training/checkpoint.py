"""Training checkpoints: written atomically, verified on load, and locked to one run.

They are stored in a folder named after the key of the run (`run_key`), a hash of everything that affects its result.

A checkpoint is a file `step-NNNNNNNNN.pt`: first the sha256 of the content, then the content itself, a
`TrainingState.to_dict` written by `torch.save`.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from filelock import FileLock, Timeout

from gest.config import Config
from gest.errors import UserError
from gest.training.distributed import SINGLE_PROCESS, ProcessGroup
from gest.utils.files import whole_file
from gest.windows import Tokens

if TYPE_CHECKING:  # this module must work with torch and NumPy alone
    from gest.vocabulary import Vocabulary

_MAX_KEPT = 2  # checkpoints: the newest, and the one before it in case the newest is damaged
_MAX_SECONDS = 300  # between two checkpoints, however few the steps
_HASH_BYTES = 32


class Checkpoints:
    """A folder of checkpoints, locked to one training; use it as a context manager.

    Parameters
    ----------
    folder
        Created if needed.
    group
        The processes that train; only the first one reads and writes the folder.

    Raises
    ------
    UserError
        Another training has locked the folder, or its file system cannot lock files.
    """

    FORMAT = 1
    """Increase it when the content of a checkpoint changes, so that old ones are not read as new ones."""

    def __init__(self, folder: Path, group: ProcessGroup = SINGLE_PROCESS) -> None:
        self.folder, self.group = folder, group

    def __enter__(self) -> Self:
        self._saved_at = time.monotonic()
        if not self.group.is_first:
            return self
        self.folder.mkdir(parents=True, exist_ok=True)
        # A soft lock is the mere existence of a file, which would remain after a killed training.
        self._lock = FileLock(self.folder / "lock", blocking=False, fallback_to_soft=False)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise UserError(
                f"{self.folder}: another process is training this model; wait for it or stop it."
            ) from error
        except OSError as error:
            raise UserError(
                f"{self.folder}: this file system cannot lock files ({error}); choose a --state folder on one that can."
            ) from error
        for partial in self.folder.glob(".partial-*"):  # left by a training that was killed while writing
            partial.unlink()
        return self

    def __exit__(self, *_: object) -> None:
        if self.group.is_first:
            self._lock.release()

    def overdue(self) -> bool:
        """Return whether more than five minutes have passed without a checkpoint."""
        return time.monotonic() - self._saved_at > _MAX_SECONDS

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Save the state after a step; delete all but the two newest checkpoints.

        Raises
        ------
        UserError
            The file cannot be written (see `write`).
        """
        self._saved_at = time.monotonic()
        if not self.group.is_first:
            return
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        self.write(f"step-{step:09d}.pt", hashlib.sha256(content).digest() + content)
        for old in self.paths()[:-_MAX_KEPT]:
            old.unlink()

    def write(self, name: str, content: bytes) -> None:
        """Write a file completely or not at all.

        Raises
        ------
        UserError
            The file cannot be written, for example because the disk is full; an older file of that name is kept.
        """
        try:
            with whole_file(self.folder / name) as partial:
                partial.write_bytes(content)
        except OSError as error:
            raise UserError(
                f"{self.folder / name}: cannot be written ({error.strerror}); the checkpoint before it is kept. Free "
                "disk space and run the same command again."
            ) from error

    def newest(self) -> dict[str, Any] | None:
        """Return the newest undamaged state, if any, to every process, on the CPU."""
        return self.group.compute_on_first(self._read_newest)

    def _read_newest(self) -> dict[str, Any] | None:
        for path in reversed(self.paths()):
            saved = path.read_bytes()
            digest, content = saved[:_HASH_BYTES], saved[_HASH_BYTES:]
            if hashlib.sha256(content).digest() == digest:
                return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            print(f"pretrain: {path} is damaged; using the checkpoint before it, if any", file=sys.stderr)
            path.unlink()  # otherwise `save` might keep it instead of an undamaged one
        return None

    def paths(self) -> list[Path]:
        """List the files of all checkpoints, the newest last."""
        return sorted(self.folder.glob("step-*.pt"))


def run_key(
    config: Config, training: Sequence[Tokens], held_out: Sequence[Tokens], vocabulary: Vocabulary, seed: int
) -> str:
    """Compute the key of a run: a hash of everything that affects its result.

    This is the configuration, data, vocabulary and seed, and the format of the checkpoints.
    """
    settings = asdict(config)
    for section, key, default in (
        ("model", "quantised", True),
        ("model", "spatial", True),
        ("pretraining", "target_cells", 0),
    ):
        if settings[section][key] == default:
            del settings[section][key]  # so that runs from before this setting was added keep their key
    digest = hashlib.sha256(json.dumps([Checkpoints.FORMAT, settings, seed], sort_keys=True).encode())
    digest.update(vocabulary.digest())
    for sections in (training, held_out):
        digest.update(str(len(sections)).encode())
        for section in sections:
            digest.update(np.ascontiguousarray(section.xy).tobytes() + section.tokens.tobytes())
            if not config.model.quantised:
                for array in (section.expression.data, section.expression.indices, section.expression.indptr):
                    digest.update(array)
    return digest.hexdigest()[:16]
