"""How long a piece of work will still take, by how far it has come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

ENOUGH_SECONDS: Final = 2.0
"""Before that a rate says nothing."""


class Pace:
    """The rate of one piece of work after another; each begins with a new label."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._label: object = None
        self._began = 0.0
        self._from = 0.0

    def told(self, progress: dict[str, Any]) -> dict[str, Any]:
        """``progress`` with ``secondsLeft`` where it can be told."""
        now, done, total = self._clock(), progress["done"], progress["total"]
        if progress["label"] != self._label or done < self._from:
            self._label, self._began, self._from = progress["label"], now, done
        took, came = now - self._began, done - self._from
        if not total or took < ENOUGH_SECONDS or came <= 0:
            return progress
        return {**progress, "secondsLeft": round(max(0.0, total - done) * took / came, 1)}
