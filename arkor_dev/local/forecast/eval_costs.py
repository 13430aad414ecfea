"""Measures the cost of everything but a run's steps: evaluations, answers, and the final comparison."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypedDict

from arkor_dev.local.evaluation.budget import STEPS
from arkor_dev.local.evaluation.by_length import batches_by_length, lengths_of, measured
from arkor_dev.local.evaluation.general import ANSWERS, PASSES, WRITTEN, fewer
from arkor_dev.local.evaluation.stage import PADDED, TOGETHER, again_of, questions_with_ends, tokens_of
from arkor_dev.local.training.final_evaluation.budget import tokens_to_read
from arkor_dev.local.training.final_evaluation.measure import (
    all_questions,
    answers_of,
    labeler_of,
    picking,
    stopping,
    thinking_of,
)
from arkor_dev.local.training.final_evaluation.own_sets import sets_of
from arkor_dev.local.training.greedy import GenerationLimit, answers
from arkor_dev.local.workers.errors import JobFailure

from .answer_costs import REPEATED, ComparisonCosts, GenerationSpeed
from .steps import Batch, question_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from arkor_dev.local.training.preparation import RunPreparation
    from arkor_dev.local.training.run import TrainingLoop

SMALL_BATCH: Final = 4
LARGE_BATCH: Final = 8
"""Batch size used to measure the speed of generation."""
TIMED_TOKENS: Final = 4
"""Number of timed tokens per answer."""


class EvaluationFigures(TypedDict):
    """The seconds of an evaluation, and the costs of the last one; None without held-out rows."""

    evaluation: float
    comparing: ComparisonCosts | None


class EvaluationCosts:
    """Measures the ``run`` of ``preparation``, already begun, until ``deadline``.

    ``batches`` are the held-out batches. ``work`` returns a batch's work, ``seconds`` the time of a step with
    that work.
    """

    def __init__(
        self,
        preparation: RunPreparation,
        run: TrainingLoop,
        deadline: float,
        work: Callable[[Batch], float],
        seconds: Callable[[float], float],
    ) -> None:
        self._preparation, self._run, self._deadline = preparation, run, deadline
        self._work, self._seconds = work, seconds
        self.batches: list[Batch] = []

    def writing(self) -> GenerationSpeed | None:
        """Measure generation on a few tokens, or estimate it if that is slow; None without any prompt, and
        for a model that answers nothing in words.
        """
        rows = [*self._run.held_out, *self._run.train][:LARGE_BATCH]
        questions = [question for row in rows if (question := question_of(row))]
        if not questions or not self._run.method.answers:
            return None
        longest = max(map(len, questions))
        step = self._seconds(self._work(rows))
        if time.monotonic() + step > self._deadline:
            read = step / PASSES / sum(row.tokens for row in rows)
            return GenerationSpeed(read, 0.0, WRITTEN * read, longest)
        paces = {1: (0.0, 0.0)}  # the first tokens warm up
        for count in (1, SMALL_BATCH, LARGE_BATCH):

            def length(first: float, per_token: float, count: int = count) -> int:
                paces[count] = first, per_token
                return TIMED_TOKENS

            batch = [questions[index % len(questions)] for index in range(count)]
            watch = GenerationLimit(length, lambda: False)
            answers(self._run.loss, self._run.base.tokenizer, [], batch, watch, TIMED_TOKENS)
        return GenerationSpeed.of(
            (SMALL_BATCH, *paces[SMALL_BATCH]), (LARGE_BATCH, *paces[LARGE_BATCH]), longest
        )

    def evaluation(self, writing: GenerationSpeed | None) -> EvaluationFigures:
        """Return an evaluation's seconds, extrapolated from a few rows, and those of the last one."""
        run, held_out = self._run, list(self._run.held_out)
        indices = batches_by_length(lengths_of(held_out), run.measured_at_once)
        batches = self.batches = [[held_out[index] for index in group] for group in indices]
        if not batches:
            return {"evaluation": 0.0, "comparing": None}
        works = [self._work(batch) for batch in batches]
        if written := run.loss.writes(held_out, learning=False):
            # Here evaluating means generating answers, and the last evaluation does so for both models.
            seconds = writing.batches(written) if writing else 0.0
            pace = self._seconds(1.0) / PASSES
            comparing = replace(self._comparing(batches, pace, 0.0), held_out=2 * seconds, again=seconds)
            own = self._own_sets(pace, writing)
            return {"evaluation": seconds, "comparing": replace(comparing, own=own)}
        remaining = self._deadline - time.monotonic()
        count = 1
        while count < len(batches) and self._seconds(sum(works[: count + 1])) / 2 < remaining:
            count += 1
        some = [row for batch in batches[:count] for row in batch]
        started = time.monotonic()
        measured(run.loss.row_losses, some, run.measured_at_once)
        seconds = time.monotonic() - started
        pace = seconds / sum(works[:count])
        comparing = self._comparing(batches, pace, sum(works))
        own = self._own_sets(pace, writing) + self._choices(pace) + self._searching(pace) + self._budget(pace)
        return {"evaluation": pace * sum(works), "comparing": replace(comparing, own=own)}

    def _own_sets(self, pace: float, writing: GenerationSpeed | None) -> float:
        """Return the seconds of the job's custom evaluation sets with both models."""
        seconds = 0.0
        for own_set in sets_of(self._preparation, self._run, lambda *_: None):
            with suppress(JobFailure):  # the run reports this and skips the set
                if own_set.is_loss:
                    rows = own_set.examples()
                    batches = [
                        [rows[index] for index in indices]
                        for indices in batches_by_length(lengths_of(rows), TOGETHER, PADDED)
                    ]
                    self.batches = [*self.batches, *batches]
                    seconds += 2 * pace * sum(map(self._work, batches))
                elif writing:
                    seconds += writing.answered(own_set.questions())
        return seconds

    def _budget(self, pace: float) -> float:
        """Return the seconds in which the adapter's strength is chosen at most."""
        run = self._run
        if self._preparation.settings.get("maxHarm") is None:
            return 0.0
        questions = all_questions(run)[0]
        work = sum(map(self._work, ([row] for row in (*questions, *run.held_out))))
        tokens = tokens_of(questions) + tokens_of(run.held_out)
        steps = STEPS if picking(self._preparation) else 1
        return pace * work * tokens_to_read(questions, run.held_out, steps) / max(1, tokens)

    def _choices(self, pace: float) -> float:
        """Return the seconds in which the base chooses labels for a classifier's held-out rows."""
        labeler, padded = labeler_of(self._preparation, self._run), bool(self._run.loss.padded)
        if labeler is None:
            return 0.0
        # Packed, a prompt is read once for all labels.
        chosen = [row if padded else row[:1] for row in labeler.choices(padded=padded).values()]
        return pace * sum(map(self._work, chosen))

    def _searching(self, pace: float) -> float:
        """Return the seconds in which both models embed the job's corpus."""
        documents = self._preparation.corpus
        places = batches_by_length(lengths_of(documents), self._run.measured_at_once)
        return 2 * pace * sum(self._work([documents[place] for place in batch]) for batch in places)

    def _comparing(self, batches: list[Batch], pace: float, work: float) -> ComparisonCosts:
        """Estimate the final comparison, at the evaluation's ``pace`` (seconds per unit of work)."""
        run, losses = self._run, self._run.base_losses()
        questions, counts = all_questions(run)
        order, again = again_of(run.held_out, run.measured_at_once)
        repeated = [[run.held_out[order[index]] for index in group] for group in again]
        keys, seconds_per_question = {0: losses.key(batches), REPEATED: losses.again().key(repeated)}, 0.0
        for count in counts if questions else ():
            group = fewer(questions, count)
            ends = stopping(self._preparation, run, group)[0]
            examples, order_of = questions_with_ends(group, ends, packed=not run.loss.padded)
            laid = [[examples[index] for index in order] for order in order_of]
            keys[len(group)] = losses.key(laid)
            self.batches = [*self.batches, *laid]
            seconds_per_question = seconds_per_question or sum(map(self._work, laid)) / len(group)
        answered = {
            f"{count}/{longest}": answers_of(self._preparation, run, questions, losses, (count, longest))
            for count, longest in ANSWERS
        }
        thinks = thinking_of(run, next(iter(answered.values())), losses)
        return ComparisonCosts(
            run.work(questions),
            pace * work,
            pace * sum(map(self._work, repeated)),
            pace * seconds_per_question,
            keys,
            longest_question=max(answers_asked.longest_prompt for answers_asked in answered.values()),
            answers={name: answers_asked.key for name, answers_asked in answered.items()},
            positions=2 if thinks else 1,
        )
