"""Reports a job's phase and its remaining time: docs/contract.md#phases-and-time-left.

The estimate uses what this run has measured: recent steps, the last evaluation and the last checkpoint. Work
after the last step (sample answers, the comparison with the base) adds its own estimates. Until the first
evaluation, reading rows is assumed to cost a third of a step on as many tokens.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.events import TRAINING_PHASE, TrainingPhase
from arkor_dev.local.evaluation.general import PASSES, WRITTEN, TokenCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from arkor_dev.contract.events import TrainingLog

    from .plan import Plan

LOADING: Final = "loading"
SAMPLING: Final = "sampling"
TRAINING: Final = "training"
EVALUATING: Final = "evaluating"
SAVING: Final = "saving"

RECENT: Final = 20
"""Number of recent steps over which the pace is averaged."""
OUTLIER: Final = 10
"""Maximum step duration, as a multiple of the median: a suspended laptop says nothing about the pace."""
BRIEF_SECONDS: Final = 1.0
"""Evaluations and checkpoints shorter than this are not announced between steps."""
DRIFT: Final = 0.15
DRIFT_SECONDS: Final = 2.0
"""An estimate is sent again if it has changed by both this fraction and this many seconds."""
FIXED: Final = 4
"""A token of n answers costs as much to generate as ``FIXED + n`` rows: the weights are read once."""


ADAPTED: Final = 1.8
"""Slowdown of generation with an unmerged adapter: measured 1.76 to 2.2 for LoRA on all linear layers of
SmolLM2, whose layers are so small that the additional products count.
"""


class Phases:
    """Announces phases through ``emit``, and estimates the seconds until the job ends.

    ``later`` is a list of functions that return the seconds of work after the last step. ``work`` is the size
    of the run in tokens, and ``generates`` says that its evaluations generate answers, which take longer
    than reading as many tokens. ``written`` is the size of the last batch of sample answers, its seconds per
    token, and whether an adapter was active.
    """

    def __init__(
        self,
        emit: Callable[[TrainingPhase], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._emit, self._clock = emit, clock
        self.later: list[Callable[[], float]] = []
        self.work = TokenCounts(0, 0, 0)
        self.generates = False
        self.written: tuple[int, float, bool] | None = None
        self._phase = ""
        self._sent: tuple[float, float] | None = None
        self._step, self._steps = 0, 0
        self._paces: deque[float] = deque(maxlen=RECENT)
        self._due = {EVALUATING: 0, SAVING: 0}
        self._took: dict[str, float] = {}
        self._nested = 0.0

    def start(self, plan: Plan, step: int) -> None:
        """Count the work that remains after ``step``."""
        self._step, self._steps = step, plan.steps
        evaluations = plan.steps // plan.evaluate - step // plan.evaluate if plan.evaluate else 0
        last = plan.evaluate and plan.steps % plan.evaluate and step < plan.steps
        saves = plan.steps // plan.save - step // plan.save if plan.save else 0
        self._due = {EVALUATING: evaluations + bool(last), SAVING: saves + 1}

    def record_step(self, step: int, seconds: float) -> None:
        self._step = step
        self._paces.append(seconds)

    def enter(self, phase: str) -> None:
        """Announce ``phase`` unless it is already the current one."""
        if phase != self._phase:
            self._announce(phase)

    def update(self) -> None:
        """Send the estimate again if the last one has become inaccurate."""
        seconds = self.seconds()
        if seconds is None or self._sent is None:
            return
        estimate, moment = self._sent
        expected = max(0.0, estimate - (self._clock() - moment))
        if abs(seconds - expected) > max(DRIFT_SECONDS, DRIFT * max(seconds, expected)):
            self._announce(self._phase)

    @contextmanager
    def during(self, phase: str, *, always: bool = False) -> Iterator[None]:
        """Enter ``phase`` for the duration of the block, and record the time taken.

        A brief phase is announced only if ``always``. Nested phases don't count towards it.
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

    def add_remaining(self, event: TrainingPhase | TrainingLog) -> None:
        """Add ``secondsLeft`` to an event that is about to be sent, if it is known."""
        seconds = self.seconds()
        if seconds is not None:
            self._sent = seconds, self._clock()
            event["secondsLeft"] = round(seconds, 1)

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
        """Return the seconds per token of a forward pass."""
        if EVALUATING in self._took and self.work.held_out and not self.generates:
            return self._took[EVALUATING] / self.work.held_out
        return self._pace / (PASSES * self.work.step) if self.work.step else 0.0

    def writing(self, count: int, tokens: int, adapted: bool) -> float:
        """Return the seconds to generate ``count`` answers of ``tokens`` together."""
        factor = ADAPTED if adapted else 1.0
        if self.written is None:
            return factor * WRITTEN * self.token * count * tokens
        rows, seconds, by_adapter = self.written
        factor /= ADAPTED if by_adapter else 1.0
        return factor * tokens * seconds * (FIXED + count) / (FIXED + rows)

    @property
    def _pace(self) -> float:
        # A process's first step also warms up.
        paces = list(self._paces)[1:] or list(self._paces)
        limit = OUTLIER * median(paces) if paces else 0.0
        return sum(min(pace, limit) for pace in paces) / max(1, len(paces))

    def _announce(self, phase: str) -> None:
        self._phase = phase
        event = TrainingPhase(type=TRAINING_PHASE, phase=phase)
        self.add_remaining(event)
        self._emit(event)
