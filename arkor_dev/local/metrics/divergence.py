"""Detects a diverging loss early enough to stop.

The rule: the median of the last ten logged losses is more than 1.5 times the lowest median of any ten
consecutive ones so far, and more than 0.5 above it. Single batches do not move a median; the absolute
difference prevents a tiny loss from counting as diverging.
"""

from __future__ import annotations

import math
from collections import deque
from statistics import median
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.events import TRAINING_LOG, TRAINING_MESSAGE, TrainingMessage
from arkor_dev.contract.shapes import DIVERGING

if TYPE_CHECKING:
    from arkor_dev.contract.events import Event

WINDOW: Final = 10
TIMES: Final = 1.5
ABOVE: Final = 0.5


class DivergenceMonitor:
    """Watches a run's events, and reports divergence only once."""

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=WINDOW)
        self._best = math.inf
        self._best_step = 0
        self._reported = False

    def record(self, event: Event) -> TrainingMessage | None:
        """Record an event; return the message if the loss has started to diverge."""
        if event["type"] != TRAINING_LOG or self._reported:
            return None
        loss, step = event.get("loss"), event["step"]
        if loss is None or not math.isfinite(loss):
            return None
        self._last.append(loss)
        if len(self._last) < WINDOW:
            return None
        middle = median(self._last)
        if middle < self._best:
            self._best, self._best_step = middle, step
        if middle <= TIMES * self._best or middle - self._best <= ABOVE:
            return None
        self._reported = True
        return TrainingMessage(
            type=TRAINING_MESSAGE,
            message=(
                f"The loss is rising: the median of the last {WINDOW} logged values is {middle:.3f}, and was "
                f"{self._best:.3f} at step {self._best_step}. A lower learning_rate, or a warmup, may help"
            ),
            code=DIVERGING,
            step=step,
        )
