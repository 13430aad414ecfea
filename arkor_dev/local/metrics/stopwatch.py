"""Measures how a run's time is spent: every lap counts as one part of the work.

Reading a clock takes less than a microsecond. On a CUDA device the CPU runs ahead of the GPU, so events are
recorded in the GPU's stream and read later, all at once, without synchronization.
"""

from __future__ import annotations

import itertools
import time
from typing import Final

import torch

PARTS: Final = ("data", "forward", "backward", "optimizer", "eval", "save", "other")
"""Keys of ``secondsIn`` in the contract's ``RunMetrics``."""
PENDING: Final = 512
"""Maximum number of unread GPU events."""


class Stopwatch:
    """Counts seconds by part: `start` begins a lap, `lap` ends it and begins the next."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._on_gpu = False
        self._last = time.perf_counter()
        self._marks: list[tuple[str, torch.cuda.Event]] = []

    def start(self, device: str) -> None:
        """Count from now on; ``device`` is torch's name of the device that computes."""
        self._on_gpu = device == "cuda"
        self._last = time.perf_counter()
        self._marks = [("", self._mark())] if self._on_gpu else []

    def lap(self, part: str) -> None:
        """Count everything since the last lap as ``part``."""
        if self._on_gpu:
            self._marks.append((part, self._mark()))
            if len(self._marks) >= PENDING:
                self._read()
        else:
            now = time.perf_counter()
            self.seconds[part] += now - self._last
            self._last = now

    def total(self) -> dict[str, float]:
        """Return the seconds of each part up to the last lap, rounded to milliseconds."""
        if self._marks:
            self._read()
        return {part: round(seconds, 3) for part, seconds in self.seconds.items()}

    @staticmethod
    def _mark() -> object:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _read(self) -> None:
        marks, self._marks = self._marks, self._marks[-1:]
        marks[-1][1].synchronize()
        for (_, before), (part, after) in itertools.pairwise(marks):
            self.seconds[part] += before.elapsed_time(after) / 1000
