"""Signals by which a scheduler tells that it is about to end a job: held back until a step is finished."""

import signal
from types import FrameType
from typing import Self


class Interruption:
    """Use as a context: within it SIGTERM and SIGUSR1 are noted, and do not end the process.

    Once one has come they never do: the process is ending, and what it has to say of it is not to be cut short.
    """

    name = ""
    """Of the signal that came; empty until one does."""

    def __enter__(self) -> Self:
        self._before = {kind: signal.signal(kind, self._note) for kind in (signal.SIGTERM, signal.SIGUSR1)}
        return self

    def __exit__(self, *_: object) -> None:
        for kind, handler in self._before.items():
            signal.signal(kind, signal.SIG_IGN if self.name else handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.name = signal.Signals(number).name
