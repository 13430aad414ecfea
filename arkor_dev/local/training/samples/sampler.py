"""Generates sample answers when they are due, and sends them as events.

The final adapter answers after its verdict, and checkpoints before that if the time budget allows
(``budget``). The base model answers with the first of them, so that the first step does not wait for it, and
short answers of it are cached; a model that cannot compute as its base later answers before the first step. A
checkpoint's answers are sent before the job records it as a resume point, so a killed job repeats the step
together with its answers. A job that was paused during a round repeats that round when it resumes; the
backend knows which were sent.
"""

from __future__ import annotations

import time
import traceback
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final, NamedTuple

from arkor_dev.contract.events import (
    CHECKPOINT_SAVED,
    TRAINING_MESSAGE,
    TRAINING_RESUMED,
    TRAINING_STARTED,
    TrainingMessage,
)
from arkor_dev.local.training.greedy import GenerationLimit, GreedyAnswer, answers, switched_off
from arkor_dev.local.training.phases import ADAPTED, SAMPLING

from .budget import MINIMUM_SECONDS, MOST_TOKENS, SHARE, USEFUL_TOKENS, SampleBudget
from .prompts import prompts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from arkor_dev.contract.events import Event
    from arkor_dev.local.training.preparation import RunPreparation
    from arkor_dev.local.training.run import TrainingLoop

MOST_ROUNDS: Final = 50
"""Maximum number of rounds; with more checkpoints, only every nth one answers."""
SKIPPED: Final = (
    "Sample prompts are answered at some of the checkpoints only, to keep the answers within "
    f"{100 * SHARE:.0f} % of the run's time ({MINIMUM_SECONDS:.0f} s of a short run)"
)
LEARNING: Final = 3
"""Cost of training on a token, as a multiple of the cost of reading it."""
SURE: Final = 0.5
"""Factor applied to an estimated duration until the first step is measured."""
ANSWER_TEXT: Final = 4000
"""Maximum length of an answer that is sent, in characters."""


class Round(NamedTuple):
    """Answers of at most ``tokens``, each its text and whether it is truncated.

    Reading the prompts took ``first`` seconds, and a token of every answer ``token``.
    """

    first: float
    token: float
    tokens: int
    answers: Sequence[tuple[str, bool]]


class Samples:
    """Follows a run, and generates answers at the start, at checkpoints and at the end.

    ``stopped`` is checked between tokens: true if the job must end or pause. ``began`` is the time by
    ``clock`` at which the job started.
    """

    def __init__(
        self,
        preparation: RunPreparation,
        stopped: Callable[[], bool],
        began: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stopped, self._began, self._emit = stopped, began, preparation.emit
        self._clock = clock
        self._tokenizer = preparation.base.tokenizer
        self._prompts, self._ends = prompts_of(preparation)
        orders, points = preparation.continuation.options, preparation.continuation.points
        self._sent: set[int] = set(orders.get("sampled", ())) if points else set()
        self._run: TrainingLoop | None = None
        self._due: set[int] = set()
        self._said_skipped = False
        self._budget = SampleBudget()
        self._from, self._steps_began, self._passed = 0, began, 0

    def follow(self, run: TrainingLoop) -> None:
        """Generate answers of ``run`` as its events report progress."""
        if self._prompts:
            self._run = run
            run.emit.observers.append(self._note)
            run.phases.later.append(self._seconds_left)

    def end(self) -> bool:
        """Generate the final model's answers, after its verdict; return False if the job was stopped."""
        run = self._run
        if run:
            self._take(run, run.kept_step, "save")
            self._budget.required = 0
        missing = self._run is not None and self._run.kept_step not in self._sent
        return not (missing and self._stopped())

    def warm_cache(self, run: TrainingLoop) -> None:
        """Generate and cache answers of the base, as short as those of a short run, unless they are known."""
        if not self._prompts or _known(run.base_losses().entry(self._key(run)), len(self._prompts)):
            return
        if base := base_of(run):
            with base:
                self._generate(run, 0, lambda *_: USEFUL_TOKENS)

    def _note(self, event: Event) -> None:
        run = self._run
        if run is None:
            return
        if event["type"] == TRAINING_RESUMED:
            step = event["step"]
            self._sent = {sent for sent in self._sent if sent <= step} if step else set()
        elif event["type"] == TRAINING_STARTED:
            self._start(run)
        elif (
            event["type"] == CHECKPOINT_SAVED
            and event["step"] in self._due
            and event["step"] < run.plan.steps  # the last ones come after the verdict
            and self._fits_budget(run, event["step"])
        ):
            self._take(run, event["step"], "save")

    def _fits_budget(self, run: TrainingLoop, step: int) -> bool:
        """Return whether a checkpoint's answers fit the budget; those that do are spread over the run."""
        remaining = sum(step <= due < run.plan.steps for due in self._due)
        seconds = self._run_seconds(run)
        spare = self._budget.affordable(seconds, seconds / run.plan.steps)
        self._passed += 1
        if spare > 0 and self._passed >= (remaining + 1) / (spare + 1):
            self._passed = 0
            return True
        self._budget.skip()
        if not self._said_skipped:
            self._said_skipped = True
            self._emit(TrainingMessage(type=TRAINING_MESSAGE, message=SKIPPED))
        return False

    def _start(self, run: TrainingLoop) -> None:
        """Plan the rounds, and run one that a pause interrupted, or the base's if it is impossible later."""
        plan = run.plan
        checkpoints = range(plan.save, plan.steps + 1, plan.save) if plan.save else range(0)
        interval = max(1, -(-len(checkpoints) // MOST_ROUNDS))
        self._due = {0, plan.steps, *checkpoints[interval - 1 :: interval]}
        remaining = {step for step in self._due - self._sent if step >= run.step or not step}
        self._budget.required = len(remaining & {0, plan.steps})
        self._budget.optional = len(remaining - {0, plan.steps})
        self._from, self._steps_began = run.step, self._clock()
        ready = run.writer.has_checkpoint(run.step) if run.step else not switches_off(run)
        if ready and run.step in self._due and run.step < plan.steps:
            self._take(run, run.step, "other")

    def _take(self, run: TrainingLoop, step: int, before: str) -> None:
        """Generate answers after ``step``, and the base's first if they are due; an error loses only these.

        ``before`` is the activity on which the time since the last lap was spent.
        """
        run.clock.lap(before)
        try:
            if 0 not in self._sent and (base := base_of(run)):
                with base:
                    self._ask(run, 0)
            if step and step not in self._sent:
                self._ask(run, step)
        except Exception as error:  # noqa: BLE001 - an error may only lose the answers
            traceback.print_exc()
            self._run = None
            reason = str(error) or type(error).__name__
            text = f"The sample prompts could not be answered: {reason}"
            self._emit(TrainingMessage(type=TRAINING_MESSAGE, message=text))
        run.clock.lap("eval")

    def _ask(self, run: TrainingLoop, step: int) -> None:
        """Answer all prompts and send the answers, or nothing if the job is stopped."""
        if self._stopped():
            return
        with run.phases.during(SAMPLING, always=True):
            self._answer(run, step)

    def _answer(self, run: TrainingLoop, step: int) -> None:
        began, count = self._clock(), len(self._prompts)
        read = count * max(len(prompt.ids) for prompt in self._prompts)

        def limit(first: float, per_token: float) -> int:
            duration = self._run_seconds(run, first / read, self._clock() - began)
            return self._budget.limit(duration, first, per_token)

        known = None if step else _known(run.base_losses().entry(self._key(run)), count)
        if known and limit(known.first, known.token) != USEFUL_TOKENS:
            known = None  # there is time for longer ones
        round_ = known or self._generate(run, step, limit)
        if round_ is None:
            return
        run.phases.written = count, round_.token, step > 0 and run.plan.adapter is not None
        required = step in (0, run.plan.steps, run.kept_step)
        self._budget.finish(self._clock() - began, round_.tokens, required=required)
        if known:
            self._budget.last = known.first + known.tokens * known.token
        for prompt, (text, truncated) in zip(self._prompts, round_.answers, strict=True):
            self._emit(prompt.answered(step, text, truncated=truncated))
        self._sent.add(step)

    def _generate(self, run: TrainingLoop, step: int, limit: Callable[[float, float], int]) -> Round | None:
        """Generate all answers, and cache the base's; return None if the job is stopped."""
        paces, tokens = (0.0, 0.0), 0

        def length(first: float, per_token: float) -> int:
            nonlocal paces, tokens
            paces, tokens = (first, per_token), limit(first, per_token)
            return tokens

        watch = GenerationLimit(length, self._stopped, self._clock)
        prompts = [prompt.ids for prompt in self._prompts]
        written: list[GreedyAnswer] = answers(
            run.loss, self._tokenizer, self._ends, prompts, watch, MOST_TOKENS
        )
        if watch.interrupted:
            return None
        texts = [(answer.text[:ANSWER_TEXT], answer.truncated) for answer in written]
        if not step and tokens == USEFUL_TOKENS:
            run.base_losses().put(self._key(run), [*paces, texts])
        return Round(*paces, tokens or watch.tokens, texts)

    def _key(self, run: TrainingLoop) -> str:
        """Return the cache key of the base's answers of at most ``USEFUL_TOKENS``."""
        own = [-1]  # no answers of others have this key
        return run.base_losses().answers_key([*(prompt.ids for prompt in self._prompts), own], USEFUL_TOKENS)

    def _seconds_left(self) -> float:
        """Estimate the seconds of all remaining rounds, each as long as the last one."""
        if self._run is None:
            return 0.0
        seconds = self._run_seconds(self._run)
        optional = self._budget.affordable(seconds, seconds / self._run.plan.steps)
        # The base answers first, and faster than the adapter.
        slower = ADAPTED if self._sent == {0} and self._run.plan.adapter else 1.0
        return (self._budget.required + optional) * self._budget.last * slower

    def _run_seconds(self, run: TrainingLoop, token: float = 0.0, answering: float = 0.0) -> float:
        """Estimate the job's seconds without answers, from its start to its end.

        ``token`` is the time to read one token, which predicts the steps' time before any is measured. The
        last ``answering`` seconds were spent on answers and are not yet recorded.
        """
        now, plan = self._clock() - self._budget.spent - answering, run.plan
        done = run.step - self._from
        if done > 0:
            return now - self._began + (plan.steps - run.step) * (now - self._steps_began) / done
        learned = sum(row.tokens for row in run.train) * (plan.steps - run.step) / plan.per_epoch
        evaluations = plan.steps // plan.evaluate + 2 if plan.evaluate else 0
        held_out = sum(row.tokens for row in run.held_out) * evaluations
        return now - self._began + SURE * token * (LEARNING * learned + held_out)


def _known(stored: object, count: int) -> Round | None:
    """Parse the base's cached answers; None if they are missing or were edited."""
    match stored:
        case [float(first), float(token), [*answers]] if len(answers) == count and min(first, token) >= 0:
            known: list[tuple[str, bool]] = []
            for answer in answers:
                match answer:
                    case [str(text), bool(truncated)]:
                        known.append((text, truncated))
                    case _:
                        return None
            return Round(first, token, USEFUL_TOKENS, known)
    return None


def base_of(run: TrainingLoop) -> AbstractContextManager[None] | None:
    """Return a context in which the model of ``run`` computes as its base; None if that is impossible.

    An adapter initialised from parts of the base cannot be switched off without losing them.
    """
    if switches_off(run):
        return switched_off(run.model)
    return nullcontext() if run.step == 0 and run.parent is None else None


def switches_off(run: TrainingLoop) -> bool:
    """Return whether the model of ``run`` computes as its base once its adapter is switched off."""
    return run.plan.adapter is not None and not run.initial_weights
