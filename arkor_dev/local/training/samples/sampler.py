"""Answers a run's prompts when they are due, and sends the answers as events.

The base model answers before the first step, the final adapter after the last one, and checkpoints in between
as far as the time budget goes (``budget``). A checkpoint's answers are sent before the job counts it as a
resume point, so a killed job repeats the step together with its answers. A job that was paused during a round
repeats that round when it resumes; the backend knows which rounds were sent.
"""

from __future__ import annotations

import time
import traceback
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.events import (
    CHECKPOINT_SAVED,
    SAMPLE_CREATED,
    TRAINING_MESSAGE,
    TRAINING_RESUMED,
    TRAINING_STARTED,
)
from arkor_dev.local.training.phases import ADAPTED, SAMPLING

from .budget import MINIMUM_SECONDS, SHARE, SampleBudget
from .greedy import Answer, Watch, answers, switched_off
from .prompts import prompts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from arkor_dev.local.training.preparation import Preparation
    from arkor_dev.local.training.run import Run

MOST_ROUNDS: Final = 50
"""Of more checkpoints, every so many are asked."""
SKIPPED: Final = (
    "Sample prompts are answered at some of the checkpoints only, to keep the answers within "
    f"{100 * SHARE:.0f} % of the run's time ({MINIMUM_SECONDS:.0f} s of a short run)"
)
LEARNING: Final = 3
"""A token that is learned from costs about so many times one that is only read."""
SURE: Final = 0.5
"""Of the time that a run will take, so much counts before it has made a step: that is an estimate."""
ANSWER_TEXT: Final = 4000
"""Characters of an answer that are sent."""


class Samples:
    """Follows a run, and asks its model at the beginning, at checkpoints and at its end.

    ``stopped`` is asked between tokens: whether the job is to end or to pause. ``began`` is when the work on
    the job did, by ``clock``.
    """

    def __init__(
        self,
        preparation: Preparation,
        stopped: Callable[[], bool],
        began: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stopped, self._began, self._emit = stopped, began, preparation.emit
        self._clock = clock
        self._tokenizer = preparation.base.tokenizer
        self._prompts, self._ends = prompts_of(preparation)
        orders, points = preparation.continuation.orders, preparation.continuation.points
        self._sent: set[int] = set(orders.get("sampled", ())) if points else set()
        self._run: Run | None = None
        self._due: set[int] = set()
        self._said_skipped = False
        self._budget = SampleBudget()
        self._from, self._steps_began, self._passed = 0, began, 0

    def follow(self, run: Run) -> None:
        """Take the answers of ``run`` as its events show where it is."""
        if self._prompts:
            self._run = run
            run.emit.observers.append(self._note)
            run.phases.later.append(self._seconds_left)

    def end(self) -> bool:
        """Ask what the run has made in the end; false where the job was stopped meanwhile."""
        run = self._run
        if run:
            self._take(run, run.kept_step, "save")
            self._budget.required = 0
        missing = self._run is not None and self._run.kept_step not in self._sent
        return not (missing and self._stopped())

    def _note(self, name: str, fields: Mapping[str, Any]) -> None:
        run = self._run
        if run is None:
            return
        if name == TRAINING_RESUMED:
            step = fields["step"]
            self._sent = {sent for sent in self._sent if sent <= step} if step else set()
        elif name == TRAINING_STARTED:
            self._start(run)
        elif name == CHECKPOINT_SAVED and fields["step"] in self._due and self._affords(run, fields["step"]):
            self._take(run, fields["step"], "save")

    def _affords(self, run: Run, step: int) -> bool:
        """Whether a checkpoint is one of those that there is time for, which are spread over the run."""
        if step == run.plan.steps:
            return True
        left = sum(step <= each < run.plan.steps for each in self._due)
        spare = self._budget.affordable(self._whole(run))
        self._passed += 1
        if spare > 0 and self._passed >= (left + 1) / (spare + 1):
            self._passed = 0
            return True
        self._budget.skip()
        if not self._said_skipped:
            self._said_skipped = True
            self._emit(TRAINING_MESSAGE, message=SKIPPED)
        return False

    def _start(self, run: Run) -> None:
        """See when answers are due, and give those of the base, or those that a pause has broken off."""
        plan = run.plan
        checkpoints = range(plan.save, plan.steps + 1, plan.save) if plan.save else range(0)
        every = max(1, -(-len(checkpoints) // MOST_ROUNDS))
        self._due = {0, plan.steps, *checkpoints[every - 1 :: every]}
        left = {step for step in self._due - self._sent if step >= run.step or not step}
        self._budget.required = len(left & {0, plan.steps})
        self._budget.optional = len(left - {0, plan.steps})
        self._from, self._steps_began = run.step, self._clock()
        if run.step in self._due and (not run.step or run.keeper.has_checkpoint(run.step)):
            self._take(run, run.step, "other")

    def _take(self, run: Run, step: int, before: str) -> None:
        """Ask after ``step``, and the base first if that is still due; a fault costs the answers alone.

        The time since the last lap was spent on ``before``.
        """
        run.clock.lap(before)
        try:
            if 0 not in self._sent and (base := base_of(run)):
                with base:
                    self._ask(run, 0)
            if step and step not in self._sent:
                self._ask(run, step)
        except Exception as error:  # noqa: BLE001 - whatever it was, the training goes on
            traceback.print_exc()
            self._run = None
            reason = str(error) or type(error).__name__
            self._emit(TRAINING_MESSAGE, message=f"The sample prompts could not be answered: {reason}")
        run.clock.lap("eval")

    def _ask(self, run: Run, step: int) -> None:
        """Answer all prompts and send the answers, or none of them where the job is stopped meanwhile."""
        if self._stopped():
            return
        with run.phases.during(SAMPLING, always=True):
            self._answer(run, step)

    def _answer(self, run: Run, step: int) -> None:
        adapted = step > 0 and run.plan.adapter is not None
        began, prompts = self._clock(), [prompt.ids for prompt in self._prompts]
        read, tokens = len(prompts) * max(map(len, prompts)), 0

        def limit(first: float, each: float) -> int:
            nonlocal tokens
            whole = self._whole(run, first / read, self._clock() - began)
            tokens = self._budget.limit(whole, first, each)
            run.phases.written = len(prompts), each, adapted
            return tokens

        watch = Watch(limit, self._stopped, self._clock)
        found: list[Answer] = answers(run.loss, self._tokenizer, self._ends, prompts, watch)
        if watch.interrupted:
            return
        required = step in (0, run.plan.steps, run.kept_step)
        self._budget.finish(self._clock() - began, tokens or watch.made, required=required)
        for prompt, answer in zip(self._prompts, found, strict=True):
            cut = {"truncated": True} if answer.truncated else {}
            self._emit(SAMPLE_CREATED, step=step, **prompt.told, answer=answer.text[:ANSWER_TEXT], **cut)
        self._sent.add(step)

    def _seconds_left(self) -> float:
        """Seconds of all rounds that are still to come, each taken to last as long as the one before."""
        if self._run is None:
            return 0.0
        optional = self._budget.affordable(self._whole(self._run)) if self._budget.optional else 0
        # The base answers first, and quicker.
        slower = ADAPTED if self._sent == {0} and self._run.plan.adapter else 1.0
        return (self._budget.required + optional) * self._budget.last * slower

    def _whole(self, run: Run, token: float = 0.0, answering: float = 0.0) -> float:
        """Seconds of the work on the job without answers: since it began, and what is still to come.

        ``token`` is the time that one takes which is read; it tells of steps before any is made. The last so
        many seconds were spent on ``answering``, and do not count yet as such.
        """
        now, plan = self._clock() - self._budget.spent - answering, run.plan
        done = run.step - self._from
        if done > 0:
            return now - self._began + (plan.steps - run.step) * (now - self._steps_began) / done
        learned = sum(row.tokens for row in run.train) * (plan.steps - run.step) / plan.per_epoch
        evaluations = plan.steps // plan.evaluate + 2 if plan.evaluate else 0
        held_out = sum(row.tokens for row in run.held_out) * evaluations
        return now - self._began + SURE * token * (LEARNING * learned + held_out)


def base_of(run: Run) -> AbstractContextManager[None] | None:
    """In which the model of ``run`` answers as its base does; None where it cannot any more.

    An adapter that began at parts of the base is switched off only together with them.
    """
    if run.plan.adapter and not run.begun:
        return switched_off(run.model)
    return nullcontext() if run.step == 0 and run.parent is None else None
