"""Estimates the remaining time of a piece of work from its progress."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

ENOUGH_SECONDS: Final = 2.0
"""Shortest duration that gives a meaningful rate."""


class Pace:
    """Rate of successive pieces of work; a new label starts the next."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._label: object = None
        self._began = 0.0
        self._from = 0.0

    def told(self, progress: dict[str, Any]) -> dict[str, Any]:
        """Return ``progress``, with ``secondsLeft`` if it can be estimated."""
        now, done, total = self._clock(), progress["done"], progress["total"]
        if progress["label"] != self._label or done < self._from:
            self._label, self._began, self._from = progress["label"], now, done
        took, came = now - self._began, done - self._from
        if not total or took < ENOUGH_SECONDS or came <= 0:
            return progress
        return {**progress, "secondsLeft": round(max(0.0, total - done) * took / came, 1)}
