"""Signals that announce the end of a job, handled once a step is finished."""

import signal
from types import FrameType
from typing import Self


class Interruption:
    """Record SIGTERM and SIGUSR1 instead of ending the process; use as a context.

    After a first signal, further ones are ignored, even once the context has ended: the process is about to end and
    must be able to report why.
    """

    signal_name = ""
    """Name of the last signal received; empty if there was none."""

    def __enter__(self) -> Self:
        self._handlers = {kind: signal.signal(kind, self._note) for kind in (signal.SIGTERM, signal.SIGUSR1)}
        return self

    def __exit__(self, *_: object) -> None:
        for kind, handler in self._handlers.items():
            signal.signal(kind, signal.SIG_IGN if self.signal_name else handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal_name = signal.Signals(number).name
