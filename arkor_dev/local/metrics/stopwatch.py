"""Where a run's time goes: a clock whose every lap is counted as one part of the work.

Reading a clock takes less than a microsecond. On a CUDA device the processor runs ahead of the GPU, so there
marks are put into the GPU's own queue and read later, all at once: nothing waits for them.
"""

from __future__ import annotations

import itertools
import time
from typing import Any, Final

import torch

PARTS: Final = ("data", "forward", "backward", "optimizer", "eval", "save", "other")
"""Those of ``secondsIn`` in the contract's ``RunMetrics``."""
PENDING: Final = 512
"""So many marks of a GPU wait to be read."""


class Stopwatch:
    """Counts seconds by part. :meth:`start` begins; each :meth:`lap` ends one part and begins the next.

    ``seconds`` may be set to what an earlier process has counted.
    """

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        self._on_gpu = False
        self._last = time.perf_counter()
        self._marks: list[tuple[str, Any]] = []

    def start(self, device: str) -> None:
        """Count from now on, where ``device`` (torch's word) computes."""
        self._on_gpu = device == "cuda"
        self._last = time.perf_counter()
        self._marks = [("", self._mark())] if self._on_gpu else []

    def lap(self, part: str) -> None:
        """All since the last lap was spent on ``part``."""
        if self._on_gpu:
            self._marks.append((part, self._mark()))
            if len(self._marks) >= PENDING:
                self._read()
        else:
            now = time.perf_counter()
            self.seconds[part] += now - self._last
            self._last = now

    def total(self) -> dict[str, float]:
        """Seconds by part until the last lap, to the millisecond."""
        if self._marks:
            self._read()
        return {part: round(seconds, 3) for part, seconds in self.seconds.items()}

    @staticmethod
    def _mark() -> Any:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _read(self) -> None:
        marks, self._marks = self._marks, self._marks[-1:]
        marks[-1][1].synchronize()
        for (_, before), (part, after) in itertools.pairwise(marks):
            self.seconds[part] += before.elapsed_time(after) / 1000
