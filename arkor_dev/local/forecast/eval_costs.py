"""Measures what accompanies and follows a run's steps: evaluations, answers, the final comparison."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.evaluation.by_length import batches_by_length, lengths_of
from arkor_dev.local.evaluation.general import ANSWERS, PASSES, WRITTEN, fewer
from arkor_dev.local.evaluation.stage import PADDED, TOGETHER, again_of
from arkor_dev.local.training.final_evaluation.measure import all_questions, answers_of, base_losses, work_of
from arkor_dev.local.training.final_evaluation.own_sets import sets_of
from arkor_dev.local.training.samples.greedy import Watch, answers
from arkor_dev.local.workers.errors import JobFailure

from .answer_costs import AGAIN, Comparing, Writing
from .steps import Batch, question_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from arkor_dev.local.training.preparation import Preparation
    from arkor_dev.local.training.run import Run

FEW: Final = 4
MANY: Final = 8
"""Batch size for measuring the speed of generation."""
PACED: Final = 4
"""Timed tokens of each answer."""


class Afterwards:
    """Measures the ``run`` of ``preparation``, already begun, until ``deadline``.

    ``batches`` are the held-out ones.

    ``work`` returns a batch's work, ``seconds`` the time of a step with that work.
    """

    def __init__(
        self,
        preparation: Preparation,
        run: Run,
        deadline: float,
        work: Callable[[Batch], float],
        seconds: Callable[[float], float],
    ) -> None:
        self._preparation, self._run, self._deadline = preparation, run, deadline
        self._work, self._seconds = work, seconds
        self.batches: list[Batch] = []

    def writing(self) -> Writing | None:
        """Measure generation on a few tokens; None if no row has a prompt.

        Estimates from the reading speed if that would take too long.
        """
        rows = [*self._run.held_out, *self._run.train][:MANY]
        found = [asked for row in rows if (asked := question_of(row))]
        if not found:
            return None
        longest = max(map(len, found))
        step = self._seconds(self._work(rows))
        if time.monotonic() + step > self._deadline:
            read = step / PASSES / sum(row.tokens for row in rows)
            return Writing(read, 0.0, WRITTEN * read, longest)
        paces = {1: (0.0, 0.0)}  # the first tokens warm up
        for count in (1, FEW, MANY):

            def length(first: float, each: float, count: int = count) -> int:
                paces[count] = first, each
                return PACED

            some = [found[place % len(found)] for place in range(count)]
            answers(self._run.loss, self._run.base.tokenizer, [], some, Watch(length, lambda: False))
        return Writing.of((FEW, *paces[FEW]), (MANY, *paces[MANY]), longest)

    def evaluation(self, writing: Writing | None) -> dict[str, Any]:
        """Return the seconds of an evaluation, extrapolated from as many held-out rows as time allows; and of
        the last one.
        """
        run, held_out = self._run, list(self._run.held_out)
        places = batches_by_length(lengths_of(held_out), run.plan.batch_size)
        batches = self.batches = [[held_out[place] for place in some] for some in places]
        if not batches:
            return {"evaluation": 0.0, "comparing": None}
        works = [self._work(batch) for batch in batches]
        if written := run.loss.writes(held_out, learning=False):
            # Answers are generated instead of read, and at the end for both models.
            seconds = writing.batches(written) if writing else 0.0
            pace = self._seconds(1.0) / PASSES
            comparing = replace(self._comparing(batches, pace, 0.0), held_out=2 * seconds, again=seconds)
            own = self._own(pace, writing)
            return {"evaluation": seconds, "comparing": replace(comparing, own=own)}
        left = self._deadline - time.monotonic()
        count = 1
        while count < len(batches) and self._seconds(sum(works[: count + 1])) / 2 < left:
            count += 1
        run.held_out = [row for batch in batches[:count] for row in batch]
        began = time.monotonic()
        run.evaluate()
        seconds = time.monotonic() - began
        run.held_out = held_out
        pace = seconds / sum(works[:count])
        comparing = self._comparing(batches, pace, sum(works))
        own = self._own(pace, writing)
        return {"evaluation": pace * sum(works), "comparing": replace(comparing, own=own)}

    def _own(self, pace: float, writing: Writing | None) -> float:
        """Return the seconds of the job's own sets with both models."""
        seconds = 0.0
        for own in sets_of(self._preparation, self._run, lambda *_: None):
            with suppress(JobFailure):  # the run reports this and skips the set
                if own.is_loss:
                    rows = own.examples()
                    laid = [
                        [rows[place] for place in places]
                        for places in batches_by_length(lengths_of(rows), TOGETHER, PADDED)
                    ]
                    self.batches = [*self.batches, *laid]
                    seconds += 2 * pace * sum(map(self._work, laid))
                elif writing:
                    seconds += writing.answered(own.questions())
        return seconds

    def _comparing(self, batches: list[Batch], pace: float, work: float) -> Comparing:
        """Estimate the final comparison, at the evaluation's ``pace`` (seconds per unit of work)."""
        run, losses = self._run, base_losses(self._run)
        found, counts = all_questions(run)
        places, again = again_of(run.held_out, run.plan.batch_size)
        measured = [[run.held_out[places[place]] for place in some] for some in again]
        keys, asked = {0: losses.key(batches), AGAIN: losses.again().key(measured)}, 0.0
        for count in counts if found else ():
            some = fewer(found, count)
            laid = [
                [some[place] for place in places]
                for places in batches_by_length(lengths_of(some), TOGETHER, PADDED)
            ]
            keys[len(some)] = losses.key(laid)
            self.batches = [*self.batches, *laid]
            asked = asked or sum(map(self._work, laid)) / len(some)
        answered = {
            f"{count}/{longest}": answers_of(self._preparation, run, found, losses, (count, longest))
            for count, longest in ANSWERS
        }
        return Comparing(
            work_of(run, found),
            pace * work,
            pace * sum(map(self._work, measured)),
            pace * asked,
            keys,
            asked=max(each.longest_prompt for each in answered.values()),
            answers={name: each.key for name, each in answered.items()},
        )
