"""Sharing one loaded model between several answers: who may use it, and whose token is next.

Two questions, two locks, both first come first served. The *stage* decides which base model is loaded: a
request for another waits until the running ones are through, and those behind it wait too, so that nobody
is passed by for ever. The *fair lock* hands the model around between the answers on the stage every tenth of
a second, so that two columns of one page stream side by side.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

SLICE_SECONDS: Final = 0.1
TOGETHER: Final = 4


class Stage:
    """At most ``TOGETHER`` answers at once, all on the same base model."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        self._base: str | None = None
        self._active = 0

    def enter(self, base: str) -> None:
        """Wait for a place with ``base``; the caller that finds another one loaded loads its own."""
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            self._changed.wait_for(lambda: self._waiting[0] is ticket and self._fits(base))
            self._waiting.popleft()
            self._base = base
            self._active += 1
            self._changed.notify_all()

    def leave(self) -> None:
        with self._changed:
            self._active -= 1
            self._changed.notify_all()

    def _fits(self, base: str) -> bool:
        return self._active == 0 or (base == self._base and self._active < TOGETHER)


class FairLock:
    """A fair lock that is handed on by time."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._line: deque[object] = deque()
        self._since = 0.0

    def take(self) -> None:
        """Wait in line for the model."""
        ticket = object()
        with self._changed:
            self._line.append(ticket)
            self._changed.wait_for(lambda: self._line[0] is ticket)
            self._since = time.monotonic()

    def give(self) -> None:
        """Hand the model to the next in line."""
        with self._changed:
            self._line.popleft()
            self._changed.notify_all()

    def share(self) -> bool:
        """Let others have the model if they wait and the slice is used up; whether it was away."""
        with self._changed:
            if len(self._line) == 1 or time.monotonic() - self._since < SLICE_SECONDS:
                return False
        self.give()
        self.take()
        return True
