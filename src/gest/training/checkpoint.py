"""What a killed training resumes from: named by what decides its result, atomic, verified, owned by one training."""

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
from gest.training.distributed import ALONE, Processes
from gest.utils.files import whole_file
from gest.windows import Tokens

if TYPE_CHECKING:  # this file runs where only torch and numpy are
    from gest.vocabulary import Vocabulary

_KEPT = 2  # the newest, and the one before it in case the newest is damaged
_SECONDS = 300  # after which a state is due, however many steps there are between two


class Checkpoints:
    """A folder of numbered states. Use as a context: the folder belongs to one training at a time.

    Parameters
    ----------
    folder
        Made if it is not there.
    processes
        Those that train: the first alone touches the folder.

    Raises
    ------
    UserError
        Another training holds the folder.
    """

    FORMAT = 1
    """Raised when the content of a state changes, so that old states are not taken for new ones."""

    def __init__(self, folder: Path, processes: Processes = ALONE) -> None:
        self.folder, self.processes = folder, processes

    def __enter__(self) -> Self:
        self._saved_at = time.monotonic()
        if not self.processes.first:
            return self
        self.folder.mkdir(parents=True, exist_ok=True)
        # A lock by the file's mere existence would outlive a killed training.
        self._lock = FileLock(self.folder / "lock", blocking=False, fallback_to_soft=False)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise UserError(
                f"{self.folder}: another process is training this very model; wait for it or stop it."
            ) from error
        except OSError as error:
            raise UserError(
                f"{self.folder}: this file system cannot lock files ({error}); give a --state folder on one that can."
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        if self.processes.first:
            self._lock.release()

    def overdue(self) -> bool:
        """Whether so much time has passed since the last state that a kill would lose too much."""
        return time.monotonic() - self._saved_at > _SECONDS

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write the state of a step, with its hash, and drop older ones; errors as of `write`."""
        self._saved_at = time.monotonic()
        if not self.processes.first:
            return
        buffer = io.BytesIO()
        torch.save(state, buffer)
        content = buffer.getvalue()
        self.write(f"step-{step:09d}.pt", hashlib.sha256(content).digest() + content)
        for old in self._saved()[:-_KEPT]:
            old.unlink()

    def write(self, name: str, content: bytes) -> None:
        """Write a file that bears its name only when it is whole.

        Raises
        ------
        UserError
            It cannot be written, as when the disk is full; what was there is left as it is.
        """
        try:
            with whole_file(self.folder / name) as partial:
                partial.write_bytes(content)
        except OSError as error:
            raise UserError(
                f"{self.folder / name}: cannot be written ({error.strerror}), and what was saved before is kept; make "
                "room and start again."
            ) from error

    def newest(self) -> dict[str, Any] | None:
        """Read the newest state that is whole, onto the CPU of every process; None where there is none."""
        return self.processes.from_first(self._newest)

    def _newest(self) -> dict[str, Any] | None:
        for path in reversed(self._saved()):
            content = path.read_bytes()
            if hashlib.sha256(content[32:]).digest() == content[:32]:
                return torch.load(io.BytesIO(content[32:]), map_location="cpu", weights_only=True)
            print(f"pretrain: {path} is damaged and is passed over", file=sys.stderr)
            path.unlink()  # it would count among the newest, which are kept
        return None

    def _saved(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.pt"))


def run_key(
    config: Config, training: Sequence[Tokens], held_out: Sequence[Tokens], vocabulary: Vocabulary, seed: int
) -> str:
    """Name a training run by what decides its result: configuration, data, seed, and the format of the state."""
    settings = asdict(config)
    for section, key, usual in (
        ("model", "quantised", True),
        ("model", "spatial", True),
        ("pretraining", "target_cells", 0),
    ):
        if settings[section][key] == usual:
            del settings[section][key]  # as it was before there was a choice: no training is lost to it
    digest = hashlib.sha256(json.dumps([Checkpoints.FORMAT, settings, seed], sort_keys=True).encode())
    digest.update(vocabulary.digest())
    for group in (training, held_out):
        digest.update(str(len(group)).encode())
        for section in group:
            digest.update(np.ascontiguousarray(section.xy).tobytes() + section.tokens.tobytes())
            if not config.model.quantised:
                for array in (section.expression.data, section.expression.indices, section.expression.indptr):
                    digest.update(array)
    return digest.hexdigest()[:16]
