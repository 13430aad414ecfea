"""Answers a run's prompts where they are due, and sends the answers as events.

That is before a checkpoint counts as one that the job can go on from. So a job that was killed makes the step
again with its answers, and one that was paused amid them makes up for them when it goes on: what has been
sent is known from the backend.
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

from .greedy import Answer, Watch, answers, switched_off
from .length import ENOUGH, MOST_TOKENS, SHARE, Length
from .prompts import prompts_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from arkor_dev.local.training.preparation import Preparation
    from arkor_dev.local.training.run import Run

MOST_ROUNDS: Final = 50
"""Of more checkpoints, every so many are asked."""
RARELY: Final = "The sample prompts are not answered at every checkpoint"
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
        self._said: set[str] = set()
        self._length = Length(0)
        self._from, self._steps_began, self._passed = 0, began, 0

    def follow(self, run: Run) -> Run:
        """Take the answers of ``run`` as its events show where it is; returns it."""
        if self._prompts:
            self._run, self._emit, run.emit = run, run.emit, self._note
        return run

    def end(self) -> bool:
        """Ask what the run has made in the end; false where the job was stopped meanwhile."""
        run = self._run
        if run:
            self._take(run, run.kept_step, "save")
        missing = self._run is not None and self._run.kept_step not in self._sent
        return not (missing and self._stopped())

    def _note(self, name: str, **fields: Any) -> None:
        self._emit(name, **fields)
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
        spare = self._length.affordable(self._whole(run), 2) - 1  # one is the end's
        self._passed += 1
        if spare > 0 and self._passed >= (left + 1) / (spare + 1):
            self._passed = 0
            return True
        self._length.done()
        self._say(RARELY)
        return False

    def _start(self, run: Run) -> None:
        """See when answers are due, and give those of the base, or those that a pause has broken off."""
        plan = run.plan
        checkpoints = range(plan.save, plan.steps + 1, plan.save) if plan.save else range(0)
        every = max(1, -(-len(checkpoints) // MOST_ROUNDS))
        self._due = {0, plan.steps, *checkpoints[every - 1 :: every]}
        self._length.rounds = sum(step == 0 or step >= run.step for step in self._due - self._sent)
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
        """Answer all prompts and send the answers, unless the job is stopped meanwhile: then none of them."""
        least = 1 if step and step in (run.plan.steps, run.kept_step) else 2
        before, found = self._length.tokens, None
        if self._length.affordable(self._whole(run), least) < least:
            self._say(RARELY)
            return
        while self._prompts and found is None:
            if self._stopped():
                return
            found = self._answers(run, least)
        if found is None:
            self._run = None
            self._say("No sample prompts are answered")
        if not found:
            return
        self._length.done()
        self._length.settled = True
        if (tokens := self._length.tokens) != before and tokens and tokens < MOST_TOKENS:
            self._say(f"Sample answers are cut after {tokens} tokens")
        for prompt, answer in zip(self._prompts, found, strict=True):
            cut = {"truncated": True} if answer.truncated else {}
            self._emit(SAMPLE_CREATED, step=step, **prompt.told, answer=answer.text[:ANSWER_TEXT], **cut)
        self._sent.add(step)

    def _answers(self, run: Run, least: int) -> list[Answer] | None:
        """An answer to each prompt, none where the job was stopped; None where fewer have to be asked.

        There has to be time for ``least`` rounds, this one among them.
        """
        began, prompts = self._clock(), [prompt.ids for prompt in self._prompts]
        read = len(prompts) * max(map(len, prompts))

        def whole(first: float) -> float:
            return self._whole(run, first / read, self._clock() - began)

        def length(first: float, each: float) -> int:
            return self._length.settle(whole(first), first, each, least)

        watch = Watch(length, self._stopped, self._clock)
        found = answers(run.loss, self._tokenizer, self._ends, prompts, watch)
        seconds = self._clock() - began
        self._length.took(seconds)
        if watch.broken_off:
            return []
        if not watch.too_long:
            return found
        count = self._length.fewer(len(prompts), least)
        if count > 0:
            self._say(f"Only {count} of {len(prompts)} sample prompts are answered")
        self._prompts = self._prompts[:count]
        return None

    def _say(self, what: str) -> None:
        """Tell once that less is answered, and why."""
        if what not in self._said:
            self._said.add(what)
            why = f"so that all answers take {100 * SHARE:.0f} % of the time at most, or {ENOUGH:.0f} s"
            self._emit(TRAINING_MESSAGE, message=f"{what}, {why}")

    def _whole(self, run: Run, token: float = 0.0, answering: float = 0.0) -> float:
        """Seconds of the work on the job without answers: since it began, and what is still to come.

        ``token`` is the time that one takes which is read; it tells of steps before any is made. The last so
        many seconds were spent on ``answering``, and do not count yet as such.
        """
        now, plan = self._clock() - self._length.spent - answering, run.plan
        done = run.step - self._from
        if done > 0:
            return now - self._began + (plan.steps - run.step) * (now - self._steps_began) / done
        learned = sum(len(row.ids) for row in run.train) * (plan.steps - run.step) / plan.per_epoch
        evaluations = plan.steps // plan.evaluate + 2 if plan.evaluate else 0
        held_out = sum(len(row.ids) for row in run.held_out) * evaluations
        return now - self._began + SURE * token * (LEARNING * learned + held_out)


def base_of(run: Run) -> AbstractContextManager[None] | None:
    """In which the model of ``run`` answers as its base does; None where it cannot any more.

    An adapter that began at parts of the base is switched off only together with them.
    """
    if run.plan.adapter and not run.begun:
        return switched_off(run.model)
    return nullcontext() if run.step == 0 and run.parent is None else None
