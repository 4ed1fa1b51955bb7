"""Signals that announce the end of a job, handled once a step is finished."""

import signal
from types import FrameType
from typing import Self


class Interruption:
    """Note SIGTERM and SIGUSR1 instead of ending the process. Use as a context.

    Once a signal has come, further ones are ignored also after the context: the process is ending, and must be able to
    report why.
    """

    signal_name = ""
    """The signal that came; empty until one does."""

    def __enter__(self) -> Self:
        self._handlers = {kind: signal.signal(kind, self._note) for kind in (signal.SIGTERM, signal.SIGUSR1)}
        return self

    def __exit__(self, *_: object) -> None:
        for kind, handler in self._handlers.items():
            signal.signal(kind, signal.SIG_IGN if self.signal_name else handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal_name = signal.Signals(number).name
