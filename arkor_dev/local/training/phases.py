"""The phase that a job is in, and the time left until its end: docs/contract.md#phases-and-time-left.

The estimate rests on what this run has measured so far: its recent steps, its last evaluation and its last
checkpoint. What follows the last step (sample answers, the comparison with the base) adds its own share.
Until a run has evaluated, one pass over the rows is taken to cost a third of a step on as many tokens.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.events import TRAINING_PHASE
from arkor_dev.local.evaluation.general import PASSES, WRITTEN, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .plan import Plan

LOADING: Final = "loading"
SAMPLING: Final = "sampling"
TRAINING: Final = "training"
EVALUATING: Final = "evaluating"
SAVING: Final = "saving"

RECENT: Final = 20
"""Steps that the pace is the mean of."""
OUTLIER: Final = 10
"""A step counts as this many times the median at most: a laptop that slept says nothing about the pace."""
BRIEF_SECONDS: Final = 1.0
"""Evaluations and checkpoints between two steps that take less than this are not announced as a phase."""
DRIFT: Final = 0.15
DRIFT_SECONDS: Final = 2.0
"""An estimate is sent again when it differs from the one sent by this fraction, and by so many seconds."""
FIXED: Final = 4
"""A token of n answers written together costs as much as ``FIXED + n`` rows: the rest is reading weights."""


ADAPTED: Final = 1.8
"""An adapter that is not merged takes so many times as long to write a token as its base: measured 1.76 to
2.2 for LoRA on all linear layers of SmolLM2, where each layer is so small that its further products count."""


class Phases:
    """Announces phases through ``emit``, and estimates the seconds until the job ends.

    ``later`` has functions that return the seconds of what still has to follow the last step. ``work`` is the
    size of the run in tokens. ``written`` is how many sample answers were written together, the seconds of
    one token of all of them, and whether an adapter wrote them.
    """

    def __init__(
        self, emit: Callable[..., None] = lambda *_, **__: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._emit, self._clock = emit, clock
        self.later: list[Callable[[], float]] = []
        self.work = Work(0, 0, 0)
        self.written: tuple[int, float, bool] | None = None
        self._phase = ""
        self._sent: tuple[float, float] | None = None
        self._step, self._steps = 0, 0
        self._paces: deque[float] = deque(maxlen=RECENT)
        self._due = {EVALUATING: 0, SAVING: 0}
        self._took: dict[str, float] = {}
        self._nested = 0.0

    def start(self, plan: Plan, step: int) -> None:
        """Count what is due after ``step``."""
        self._step, self._steps = step, plan.steps
        evaluations = plan.steps // plan.evaluate - step // plan.evaluate if plan.evaluate else 0
        last = plan.evaluate and plan.steps % plan.evaluate and step < plan.steps
        saves = plan.steps // plan.save - step // plan.save if plan.save else 0
        self._due = {EVALUATING: evaluations + bool(last), SAVING: saves + 1}

    def made(self, step: int, seconds: float) -> None:
        """Note that ``step`` was made, in ``seconds``."""
        self._step = step
        self._paces.append(seconds)

    def enter(self, phase: str) -> None:
        """Announce ``phase``, unless the job is in it already."""
        if phase != self._phase:
            self._announce(phase)

    def update(self) -> None:
        """Send the estimate again where the one that was sent has turned out wrong."""
        seconds = self.seconds()
        if seconds is None or self._sent is None:
            return
        left, moment = self._sent
        expected = max(0.0, left - (self._clock() - moment))
        if abs(seconds - expected) > max(DRIFT_SECONDS, DRIFT * max(seconds, expected)):
            self._announce(self._phase)

    @contextmanager
    def during(self, phase: str, *, always: bool = False) -> Iterator[None]:
        """Be in ``phase`` for the body, and note how long one of its kind takes.

        A brief one is announced only where ``always`` is true. Phases inside the body don't count as its own.
        """
        if always or self._took.get(phase, BRIEF_SECONDS) >= BRIEF_SECONDS:
            self.enter(phase)
        outer, self._nested, began = self._nested, 0.0, self._clock()
        try:
            yield
        finally:
            seconds = self._clock() - began
            self._took[phase] = seconds - self._nested
            self._nested = outer + seconds
        if phase in self._due:
            self._due[phase] = max(0, self._due[phase] - 1)

    def left(self) -> dict[str, float]:
        """The field ``secondsLeft`` of an event; none while it can't be known."""
        seconds = self.seconds()
        if seconds is None:
            return {}
        self._sent = seconds, self._clock()
        return {"secondsLeft": round(seconds, 1)}

    def seconds(self) -> float | None:
        """Estimate the seconds until the job ends; None before the first step."""
        if not self._paces:
            return None
        between = self._due[EVALUATING] * self._took.get(EVALUATING, self.work.held_out * self.token)
        between += self._due[SAVING] * self._took.get(SAVING, 0.0)
        steps = max(0, self._steps - self._step) * self._pace
        return steps + between + sum(seconds() for seconds in self.later)

    @property
    def token(self) -> float:
        """Seconds in which a token of a row is read, without learning from it."""
        if EVALUATING in self._took and self.work.held_out:
            return self._took[EVALUATING] / self.work.held_out
        return self._pace / (PASSES * self.work.step) if self.work.step else 0.0

    def writing(self, count: int, tokens: int, adapted: bool) -> float:
        """Return the seconds of ``count`` answers of ``tokens`` that are written together."""
        factor = ADAPTED if adapted else 1.0
        if self.written is None:
            return factor * WRITTEN * self.token * count * tokens
        rows, seconds, by_adapter = self.written
        factor /= ADAPTED if by_adapter else 1.0
        return factor * tokens * seconds * (FIXED + count) / (FIXED + rows)

    @property
    def _pace(self) -> float:
        # The first step of a process also warms up.
        paces = list(self._paces)[1:] or list(self._paces)
        limit = OUTLIER * median(paces) if paces else 0.0
        return sum(min(pace, limit) for pace in paces) / max(1, len(paces))

    def _announce(self, phase: str) -> None:
        self._phase = phase
        fields: dict[str, Any] = self.left()
        self._emit(TRAINING_PHASE, phase=phase, **fields)
