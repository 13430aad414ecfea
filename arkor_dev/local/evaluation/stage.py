"""Compares an adapter with its base, row by row: the last stage of a job, or on later request."""

from __future__ import annotations

import hashlib
import json
import math
import time
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from arkor_dev.local.workers.errors import JobFailure

from .answers import NOBODY, Stopped
from .budget import STRENGTHS
from .by_length import batches_by_length, by_row, lengths_of
from .end_marks import EndMarks
from .halves import key_of, text_of
from .paired import Comparison, compare, noise_floor
from .preferred import Preferred, preferred
from .rates import are_rates, compare_rates
from .words import DIGITS, GENERAL, HELD_OUT, TASK, beside_base, overall, part, success_measure, success_rates

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from arkor_dev.contract.shapes import (
        ChatMessage,
        Evaluation,
        EvaluationAnswer,
        EvaluationBudget,
        EvaluationChoice,
        EvaluationMeasure,
        EvaluationPart,
        EvaluationRow,
        EvaluationSplit,
        EvaluationWarning,
        EvaluationWatched,
    )
    from arkor_dev.data.rows import Row, RowMessage
    from arkor_dev.local.modeling.example import Example

    from .answers import Answers, MeasuredModel
    from .base_losses import BaseLosses
    from .results import Scores
    from .thinking import Thinking

TOGETHER: Final = 16
"""Maximum number of rows computed at once, except for the held-out ones and packed questions."""
PADDED: Final = 512
"""Maximum number of tokens in a batch of those rows, padding included, unless a single row is longer. It is
below what nearly any training step needs for its backward pass, so the peak is reached in training.
"""
PACKED: Final = 2048
"""Maximum number of tokens in a batch of rows that are packed, unless a single row is longer. SmolLM2 takes a
fifth less time than in batches of four rows of a hundred tokens; without gradients, such a batch needs about
as much memory as a training step on those four rows.
"""
MOST_ROWS: Final = 1000
AGAIN: Final = 12
"""Maximum number of held-out rows that are measured again on the base. The interval of fewer rows is wider,
so the noise floor is rather too high, unless the losses of few rows change at all: then none of them may be
among these, and the floor is 0.
"""
DRY: Final = "Dry run: every stage works. So few rows and steps say nothing about the adapter's quality."
TEXT: Final = 1000
"""Maximum length of a stored question or answer, in characters."""
CONVERSATION: Final = 4000
"""Maximum length of a stored conversation before a question, in characters of JSON."""
EXAMPLES: Final = 3
"""Number of rows that a warning shows."""


class NoCache:
    """Replaces the cache if nothing may be cached."""

    def get(self, _: Sequence[Sequence[Example]]) -> None:
        return None

    def keep(self, *_: object) -> None:
        return None


class Own(Protocol):
    """A custom evaluation set with ``count`` rows and a metric."""

    @property
    def name(self) -> str: ...

    @property
    def count(self) -> int: ...

    def cost(self) -> Cost:
        """Return the cost of measuring one model."""

    def measure(
        self, model: MeasuredModel, stopped: Callable[[], bool], done: Callable[[int], None]
    ) -> list[float]:
        """Return each row's loss or score. Raises :class:`Stopped`, and :class:`JobFailure` on failure."""

    def part(self, base: list[float], adapter: list[float], margin: float) -> EvaluationPart:
        """Return the contract's figures of both models; ``margin`` is the least relevant loss difference."""


class Cost(NamedTuple):
    """The number of tokens to ``read``, and for each batch of answers their number and token limit."""

    read: int
    written: Sequence[tuple[int, int]] = ()


class Judged(NamedTuple):
    """The contract's ``evaluation``, ``rows`` and ``answers``; ``scores`` is kept for later comparisons."""

    evaluation: Evaluation
    rows: list[EvaluationRow]
    scores: Scores
    answers: list[EvaluationAnswer]


@dataclass
class _Set:
    """Examples, their batches, and the known mean losses of their rows by both models.

    ``general`` sets are measured by cross entropy, regardless of the training method.
    """

    examples: Sequence[Example]
    batches: list[list[int]]
    general: bool = False
    adapter: list[float] | None = None
    base: list[float] | None = None
    base_of_examples: list[float] | None = None

    @property
    def laid(self) -> list[list[Example]]:
        return [[self.examples[index] for index in places] for places in self.batches]

    def in_order(self, losses: Sequence[float]) -> list[float]:
        """Reorder losses from batch order to the examples' order."""
        ordered = [0.0] * len(self.examples)
        for index, loss in zip((index for places in self.batches for index in places), losses, strict=True):
            ordered[index] = loss
        return ordered

    def by_row(self, losses: Sequence[float]) -> list[float]:
        """Return the rows' losses in order, given the examples' losses in batch order."""
        ordered = self.in_order(losses)
        if not any(example.same_row for example in self.examples):
            return ordered
        weights = [example.weight for example in self.examples]
        sums = [(loss * weight, weight) for loss, weight in zip(ordered, weights, strict=True)]
        return by_row(self.examples, sums)

    def take_base(self, losses: Sequence[float]) -> None:
        """Store the base's losses, in batch order."""
        self.base_of_examples, self.base = self.in_order(losses), self.by_row(losses)


@dataclass
class Stage:
    """The measurements of one evaluation: of the held-out ``rows``, encoded as ``held_out``, and of
    ``general`` questions.

    ``groups`` has each row's group: rows of one group are not independent. ``split`` describes how they were
    separated from the training rows, if known. If the adapter was chosen among several, ``choice`` says how,
    and the rows that ``chose`` take no part in the verdict (see ``halves``), nor those of ``compared_by`` in
    comparisons with other adapters. If the run could end at any evaluation, ``watched`` says so, and the
    held-out rows' interval has a ``share`` of the error. If the general questions chose the adapter's
    strength, ``budget`` says how, and their interval allows for every strength. ``stops`` are examples in
    which only the answer's end mark is learned, and ``marks`` counts the training rows that teach it.

    ``batch`` held-out rows are measured at once; some general questions are also ``answered``, by a model
    with a ``thinking`` switch in both of its positions. ``known`` has the adapter's losses on the held-out
    rows if they have been measured already; ``cache`` caches the base's.
    ``own`` are the job's custom sets; ``failed(name, why)`` is called for one that cannot be measured. A
    ``dry`` run gets no verdict. ``measure`` is the training method's name for its loss. If ``higher`` is set,
    more is better: the losses are negated rewards of answers, generated in the batches ``written`` (number of
    answers, tokens per answer), and are never cached; ``rewards`` names the sets that were trained for, and
    ``acts`` says that they reward episodes.
    ``preference`` is the kind of preference in a held-out row, and ``relative`` is true if margins are
    already relative to the start: see `Method`. ``progress`` receives the number of finished rows of both
    models, ``cancelled`` is checked between batches. ``called`` describes the rows for the user;
    ``questions`` is the total number of general questions if only some are used. ``margin`` is the smallest
    loss difference that matters; ``remeasuring`` makes a model compute as if in another dtype, to measure the
    noise floor. ``packed``: the model computes rows without padding.

    After :meth:`prepare`, ``to_read`` is the number of tokens left to read, and ``to_write`` lists the
    batches of answers left to generate, as in `Cost`, each with whether the adapter generates it.
    """

    rows: Sequence[Row]
    groups: Sequence[int]
    held_out: Sequence[Example]
    general: Sequence[Example]
    batch: int
    progress: Callable[[str, float, float | None, str], None]
    cancelled: Callable[[], bool]
    known: Sequence[float] | None = None
    cache: BaseLosses | None = None
    called: str = HELD_OUT
    questions: int = 0
    margin: float = 0.0
    remeasuring: Callable[[MeasuredModel], AbstractContextManager[MeasuredModel]] = nullcontext
    packed: bool = False
    own: Sequence[Own] = ()
    answered: Answers = NOBODY
    thinking: Thinking | None = None
    failed: Callable[[str, str], None] = lambda name, why: None
    dry: bool = False
    measure: EvaluationMeasure | None = None
    written: Sequence[tuple[int, int]] = ()
    rewards: Collection[str] = ()
    acts: bool = False
    preference: str = ""
    relative: bool = False
    split: EvaluationSplit | None = None
    choice: EvaluationChoice | None = None
    chose: Sequence[bool] = ()
    compared_by: Sequence[bool] = ()
    watched: EvaluationWatched | None = None
    share: float = 1.0
    budget: EvaluationBudget | None = None
    stops: Sequence[Example] = ()
    marks: EndMarks = field(default_factory=EndMarks)
    began: float = field(default_factory=time.monotonic)
    to_read: int = 0
    to_write: list[tuple[int, int, bool]] = field(default_factory=list)
    _sets: list[_Set] = field(default_factory=list)
    _generated: tuple[Mapping[str, str], Mapping[str, str]] = field(default_factory=lambda: ({}, {}))
    _done: int = 0
    _total: int = 0

    def prepare(self) -> None:
        """Determine what is already known and what must be measured."""
        held_out = self._held_out = _Set(
            self.held_out, batches_by_length(lengths_of(self.held_out), self.batch)
        )
        general = self._general = _Set(
            *questions_with_ends(self.general, self.stops, packed=self.packed), general=True
        )
        self._sets = [measured_set for measured_set in (held_out, general) if measured_set.examples]
        held_out.adapter = list(self.known) if self.known is not None and not self._higher else None
        for measured_set in self._sets:
            if cached := self._cached(measured_set).get(measured_set.laid):
                measured_set.take_base(cached)
        self._places, again = again_of(self.held_out, self.batch)
        self._kept_again = self.cache.again() if self.cache and not self._higher else None
        floor = self._floor = _Set([self.held_out[index] for index in self._places], again)
        if cached := self._kept_again.get(floor.laid) if self._kept_again else None:
            floor.base_of_examples = floor.in_order(cached)
        passes = [
            (measured_set, (measured_set.adapter is None) + (measured_set.base is None))
            for measured_set in self._sets
        ]
        passes.append((floor, int(floor.base_of_examples is None)))
        if self.preference:
            passes.append((held_out, 1 if self.relative else 2))
        self._total = sum(times * len(measured_set.examples) for measured_set, times in passes)
        self._total += 2 * sum(own.count for own in self.own) + sum(asked.total for asked in self._asked)
        self._costs = {own.name: own.cost() for own in self.own}
        self.to_read = sum(times * tokens_of(measured_set.examples) for measured_set, times in passes)
        self.to_read += 2 * sum(cost.read for cost in self._costs.values())
        self.to_write = [
            (*batch, adapted)
            for cost in self._costs.values()
            for batch in cost.written
            for adapted in (True, False)
        ]
        self.to_write += [batch for asked in self._asked for batch in asked.batches]
        self.to_write += [(*batch, adapted) for batch in self.written for adapted in (True, False)]

    def run(
        self,
        adapter: MeasuredModel,
        base: AbstractContextManager[MeasuredModel],
        report: Callable[[Judged], None] = lambda _: None,
    ) -> Judged:
        """Measure both models and compare them.

        ``base`` is entered after the adapter has been measured (it may be the same model with its adapter
        off), and only if something about it is unknown. General questions are answered last: they take as
        long as all else and only illustrate the verdict, so ``report`` receives it before them, if there are
        any. Raises :class:`Stopped`, and :class:`JobFailure` for a non-finite loss.
        """
        if not self._sets:
            self.prepare()
        floor = self._floor
        for measured_set in self._sets:
            if measured_set.adapter is None:
                measured_set.adapter = measured_set.by_row(self._losses(adapter, measured_set))
        after = self._wrote(adapter, adapted=True)
        margins = self._margins(adapter) if self.preference else []
        start = [0.0] * len(margins)
        scores = [(own, self._own(own, adapter, adapted=True)) for own in self.own]
        pairs: list[tuple[Own, list[float], list[float]]] = []
        with ExitStack() as stack:
            missing = [measured_set for measured_set in self._sets if measured_set.base is None]
            needed = bool(missing or self.own) or floor.base_of_examples is None
            needed = needed or any(asked.needs_base for asked in self._asked)
            needed = needed or (bool(self.preference) and not self.relative)
            model = stack.enter_context(base) if needed else adapter
            for measured_set in missing:
                self._measure_base(model, measured_set)
            self._generated = self._wrote(model, adapted=False), after
            if floor.base_of_examples is None:
                self._measure_floor(model)
            if self.preference and not self.relative:
                start = self._margins(model)
            for own, figures in scores:
                before = None if figures is None else self._own(own, model, adapted=False)
                if before is not None and figures is not None:
                    pairs.append((own, before, figures))
            noise = self._noise()
            if any(asked.prompts for asked in self._asked):
                report(self._compared(noise, (start, margins), pairs))
            self._answer(model, adapted=False)
        self._answer(adapter, adapted=True)
        return self._compared(noise, (start, margins), pairs)

    def _compared(
        self,
        noise: float,
        margins: tuple[list[float], list[float]],
        pairs: Sequence[tuple[Own, list[float], list[float]]],
    ) -> Judged:
        """Return the result of all that has been measured and answered so far."""
        general = self._general
        judged = self._judged(
            self._held_out.base or [], self._held_out.adapter or [], general, noise, margins
        )
        if pairs:
            margin = judged.evaluation["margin"]
            judged.evaluation["sets"] = [own.part(before, now, margin) for own, before, now in pairs]
        if self.stops and general.base and general.adapter:
            of_base, of_adapter = (
                _split(self.general, self.stops, losses)[1] for losses in (general.base, general.adapter)
            )
            judged.evaluation["stopping"] = self.marks.compared(compare(of_base, of_adapter))
        if self.thinking and (thoughts := self.thinking.measured()):
            judged.evaluation["thinking"] = thoughts.to_wire()
        if warning := self._warning(judged):
            judged.evaluation["warning"] = warning
        judged.evaluation["seconds"] = round(time.monotonic() - self.began, 2)
        return judged

    def warm_cache(self, base: MeasuredModel) -> None:
        """Measure what can be cached of the base before there is an adapter. Raises :class:`Stopped`, and
        :class:`JobFailure` for a non-finite loss.
        """
        self.prepare()
        for measured_set in self._sets:
            if measured_set.base is None and not isinstance(self._cached(measured_set), NoCache):
                self._measure_base(base, measured_set)
        if self._kept_again and self._floor.base_of_examples is None:
            self._measure_floor(base)
        self._answer(base, adapted=False)

    def held_out_base(self, base: AbstractContextManager[MeasuredModel]) -> tuple[Sequence[float], float]:
        """Return the base's losses on the held-out rows and the smallest difference that matters, measured
        unless they are cached.

        Raises :class:`Stopped`, and :class:`JobFailure` for a non-finite loss.
        """
        self.prepare()
        if self._held_out.base is None or self._floor.base_of_examples is None:
            with base as model:
                if self._held_out.base is None:
                    self._measure_base(model, self._held_out)
                if self._floor.base_of_examples is None:
                    self._measure_floor(model)
        return self._held_out.base or [], max(self.margin, self._noise())

    def _noise(self) -> float:
        """Return the noise floor, from the base's two measurements."""
        measured = self._held_out.base_of_examples or []
        again = self._floor.base_of_examples or []
        return noise_floor([measured[index] for index in self._places], again)

    def _measure_base(self, model: MeasuredModel, measured_set: _Set) -> None:
        measured_set.take_base(losses := self._losses(model, measured_set))
        self._cached(measured_set).keep(measured_set.laid, losses)

    def _measure_floor(self, model: MeasuredModel) -> None:
        with self.remeasuring(model) as anew:
            losses = self._losses(anew, self._floor)
        self._floor.base_of_examples = self._floor.in_order(losses)
        if self._kept_again:
            self._kept_again.keep(self._floor.laid, losses)

    @property
    def _higher(self) -> str:
        """The name of a measure for which more is better; empty for a loss."""
        return self.measure["label"] if self.measure and self.measure.get("higher") else ""

    def _cached(self, measured_set: _Set) -> BaseLosses | NoCache:
        """Return the cache for the base's losses on a set. Rewards are not cached: they may have changed."""
        anew = self._higher and not measured_set.general
        return NoCache() if self.cache is None or anew else self.cache

    def _wrote(self, model: MeasuredModel, *, adapted: bool) -> Mapping[str, str]:
        """Return the answers generated by the last measurement of held-out rows, by the rows' locations."""
        for batch in self.written:
            self.to_write.remove((*batch, adapted))
        return model.pop_answers() if self._higher else {}

    def _warning(self, judged: Judged) -> EvaluationWarning | None:
        """Return a warning if the adapter no longer stops, if its thinking switch no longer works, if its
        answers repeat themselves, or if the reward rose while something else got worse.

        The examples are the longest answers, those with or without thoughts unlike the base's, those that
        repeat themselves, or those whose reward rose most.
        """
        evaluation = judged.evaluation
        if cause := evaluation.get("stopping", {}).get("cause"):
            longest = sorted(judged.answers, key=lambda answer: len(answer["base"]) - len(answer["adapter"]))
            goes_on: list[EvaluationAnswer] = [
                {"question": answer["question"], "base": answer["base"], "adapter": answer["adapter"]}
                for answer in longest[:EXAMPLES]
            ]
            return {
                "sentence": f"The adapter continues where an answer is complete. {cause}.",
                "examples": goes_on,
            }
        if self.thinking and (broken := self.thinking.warning(EXAMPLES)):
            return broken
        if repetition := self.answered.repetition(EXAMPLES):
            return repetition
        if not self._higher or evaluation["heldOut"]["verdict"] != "better":
            return None
        parts = [part for part in evaluation.get("sets", ()) if part["name"] not in self.rewards]
        if "general" in evaluation:
            parts.append(evaluation["general"])
        worse = [part["name"] for part in parts if part["verdict"] == "worse"]
        if not worse:
            return None
        gained = sorted(judged.rows, key=lambda row: row["base"] - row["adapter"])
        examples: list[EvaluationAnswer] = [
            {"question": row["question"], "base": row["baseAnswer"], "adapter": row["adapterAnswer"]}
            for row in gained[:EXAMPLES]
        ]
        sentence = (
            f"The reward rose while the result on {' and '.join(worse)} got worse. The adapter may earn it "
            "in a way that you did not intend (reward hacking): read the answers that gained most."
        )
        return {"sentence": sentence, "examples": examples}

    def _own(self, own: Own, model: MeasuredModel, *, adapted: bool) -> list[float] | None:
        """Return one model's figures on a custom set; if it cannot be measured, report it and return None."""

        def done(rows: int) -> None:
            self._done = min(self._total, self._done + rows)
            self.progress("Evaluating", self._done, self._total, "rows")

        try:
            return own.measure(model, self.cancelled, done)
        except JobFailure as failure:
            self.failed(own.name, str(failure))
            return None
        finally:
            self.to_read -= self._costs[own.name].read
            for batch in self._costs[own.name].written:
                self.to_write.remove((*batch, adapted))

    @property
    def _asked(self) -> list[Answers]:
        """The questions to answer; those of the thinking switch may be the same."""
        asked = [self.answered]
        if self.thinking:
            asked += [each for each in (self.thinking.on, self.thinking.off) if each is not self.answered]
        return asked

    def _answer(self, model: MeasuredModel, *, adapted: bool) -> None:
        for asked in self._asked:
            answer = asked.of_adapter if adapted else asked.of_base
            if count := answer(model, self.cancelled):
                self._done += count
                self.to_write.remove(next(batch for batch in asked.batches if batch[2] == adapted))
                self.progress("Evaluating", self._done, self._total, "rows")

    def _margins(self, model: MeasuredModel) -> list[float]:
        """Return each held-out row's margin, summed over the row's examples."""
        margins: list[float] = []
        for batch in self._held_out.laid:
            if self.cancelled():
                raise Stopped
            margins += model.margins(batch)
            self._done += len(batch)
            self.to_read -= tokens_of(batch)
            self.progress("Evaluating", self._done, self._total, "rows")
        rows: list[float] = []
        for example, margin in zip(self.held_out, self._held_out.in_order(margins), strict=True):
            rows.append(margin + (rows.pop() if example.same_row else 0.0))
        return rows

    def _lengths(self) -> list[int]:
        """Return how many tokens longer each pair's chosen answer is; empty for rows with a single answer."""
        lengths: list[int] = []
        for example in self.held_out:
            for other in example.others:
                longer = example.learned - other.learned
                lengths.append(longer + (lengths.pop() if example.same_row else 0))
        return lengths

    def _judged(
        self,
        before: list[float],
        after: list[float],
        general: _Set,
        noise: float,
        margins: tuple[list[float], list[float]],
    ) -> Judged:
        margin = max(self.margin, noise)
        compared_losses, task_sentence = self._task(before, after, margin)
        task_part = part(self.called, compared_losses, task_sentence)
        task: Comparison | Preferred = compared_losses
        if self.preference:
            task = preferred(
                self.preference, compared_losses, *margins, self.groups, self._lengths(), self.chose
            )
            task.add_to(task_part)
            task_part["sentence"] = task.sentence(dry=self.dry)
        if self.measure:
            task_part["measure"] = self.measure
            if self._higher and are_rates(before, after):
                task_part["measure"] = success_measure(self.measure, acts=self.acts)
        compared, general_part = None, None
        if general.base and general.adapter:
            of_base, of_adapter = (
                _split(self.general, self.stops, losses)[0] for losses in (general.base, general.adapter)
            )
            # any of the adapters that were tried could have been the result
            share = 1 / len(STRENGTHS) / self.budget.get("steps", 1) if self.budget else 1.0
            compared = compare(of_base, of_adapter, margin=margin, share=share)
            general_sentence = beside_base(
                GENERAL, compared, self.questions, self.answered.length, dry=self.dry
            )
            general_part = part(GENERAL, compared, general_sentence, self.questions)
            if answers := self.answered.figures():
                general_part["answers"] = answers
        verdict, sentence = overall(task, compared, TASK if self.called == HELD_OUT else f"on {self.called}")
        if self.dry:
            verdict, sentence = "unclear", DRY
        elif self.budget and not self.budget["kept"]:
            sentence = f"{sentence} Over the forgetting budget."
        evaluation: Evaluation = {
            "verdict": verdict,
            "sentence": sentence,
            "margin": round(margin, DIGITS),
            "noiseFloor": round(noise, DIGITS),
            "heldOut": task_part,
        }
        if self.split:
            evaluation["split"] = self.split
        if self.choice:
            evaluation["choice"] = self.choice
        if self.watched:
            evaluation["watched"] = self.watched
        if self.budget:
            evaluation["budget"] = self.budget
        if general_part:
            evaluation["general"] = general_part
        rows, scores = list(self._measured_rows(before, after)), self._scores(after, margin)
        return Judged(evaluation, rows, scores, self.answered.side_by_side())

    def _of_task(self, task: EvaluationPart, compared: Comparison, *conclusions: str) -> Evaluation:
        """Return the evaluation of an adapter that is compared at its ``task`` alone.

        The ``conclusions`` follow the verdict's sentence.
        """
        verdict, sentence = overall(compared, on=TASK if self.called == HELD_OUT else f"on {self.called}")
        if self.dry:
            verdict, conclusions, sentence = "unclear", (), DRY
        evaluation: Evaluation = {
            "verdict": verdict,
            "sentence": " ".join([sentence, *conclusions]),
            "margin": round(self.margin, DIGITS),
            "heldOut": task,
        }
        if self.split:
            evaluation["split"] = self.split
        if self.choice:
            evaluation["choice"] = self.choice
        evaluation["seconds"] = round(time.monotonic() - self.began, 2)
        return evaluation

    def _task(self, before: Sequence[float], after: Sequence[float], margin: float) -> tuple[Comparison, str]:
        """Compare both models' losses on the held-out rows: rewards that are 0 or 1 as success rates."""
        if self._higher and are_rates(before, after):
            base, adapter = ([-loss for loss in losses] for losses in (before, after))
            rates = compare_rates(base, adapter, self.groups, margin, self.chose)
            rates = replace(rates, higher=self._higher)
            return rates, success_rates(self.called, rates, acts=self.acts, dry=self.dry)
        compared = compare(before, after, self.groups, margin, chose=self.chose, share=self.share)
        compared = replace(compared, higher=self._higher)
        return compared, beside_base(self.called, compared, dry=self.dry)

    def _losses(self, model: MeasuredModel, measured_set: _Set) -> list[float]:
        """Return the mean loss of each example of a set, in batch order."""
        losses: list[float] = []
        for batch in measured_set.laid:
            if self.cancelled():
                raise Stopped
            self.progress("Evaluating", self._done, self._total, "rows")
            measured = model.cross_entropy(batch) if measured_set.general else model.row_losses(batch)
            losses += [loss / weight for loss, weight in measured]
            self._done += len(batch)
            self.to_read -= tokens_of(batch)
        if not all(map(math.isfinite, losses)):
            raise JobFailure("The loss of a row is not a number")
        if self._done == self._total:
            self.progress("Evaluating", self._total, self._total, "rows")
        return losses

    def _scores(self, losses: Sequence[float], margin: float) -> Scores:
        """Return the adapter's loss on every row, and a fingerprint that identifies the rows."""
        places: dict[int, int] = {}
        texts, tokens = hashlib.sha256(), hashlib.sha256()
        keys = []
        for row in self.rows:
            texts.update(text_of(row) + b"\n")
            keys.append(key_of(row))
        for example in self.held_out:
            for sequence in example.sequences:
                tokens.update(json.dumps([sequence.ids, sequence.labels, sequence.weights]).encode() + b"\n")
        scores: Scores = {
            "rows": texts.hexdigest(),
            "keys": keys,
            "tokens": tokens.hexdigest(),
            "groups": [places.setdefault(group, len(places)) for group in self.groups],
            "adapter": [round(loss, 6) for loss in losses],
            "margin": margin,
        }
        if chose := self.chose or self.compared_by:
            scores["chose"] = list(chose)
        if self._higher:
            scores["higher"] = self._higher
        if self.acts:
            scores["acts"] = True
        return scores

    def _measured_rows(self, base: Sequence[float], adapter: Sequence[float]) -> Iterator[EvaluationRow]:
        """Yield each row's figures; of very many rows, only those that changed most in either direction."""
        learned: list[int] = []
        for example in self.held_out:
            learned.append(example.learned)
            if example.same_row:
                learned[-2:] = [sum(learned[-2:])]
        order = sorted(range(len(base)), key=lambda index: adapter[index] - base[index])
        if len(order) > MOST_ROWS:
            order = order[: MOST_ROWS // 2] + order[-MOST_ROWS // 2 :]
        sign, (before, after) = (-1 if self._higher else 1), self._generated
        for index in sorted(order):
            row = self.rows[index]
            question, reference = self._texts_of(row)
            measured: EvaluationRow = {
                "row": index + 1,
                "where": row.where,
                "group": self.groups[index],
                "tokens": learned[index],
                "base": round(sign * base[index], 5),
                "adapter": round(sign * adapter[index], 5),
                "question": _cut(question),
                "wanted": _cut(reference),
            }
            if self._higher:
                measured["baseAnswer"] = _cut(before.get(row.where, ""))
                measured["adapterAnswer"] = _cut(after.get(row.where, ""))
            if self.chose and self.chose[index]:
                measured["chose"] = True
            if (context := context_of(row)) is not None:
                measured["messages"] = context
            yield measured

    def _texts_of(self, row: Row) -> tuple[str, str]:
        """Return a row's prompt and reference answer."""
        return texts_of(row)


def questions_with_ends(
    questions: Sequence[Example], stops: Sequence[Example], *, packed: bool
) -> tuple[list[Example], list[list[int]]]:
    """Return ``questions``, each followed by its example in ``stops``, and their batches.

    Of the two, which differ only in what is learned, a packed batch computes the tokens once.
    """
    ends = {example.where: example for example in stops}
    examples: list[Example] = []
    lengths: list[int] = []
    for question in questions:
        pair = [question, ends[question.where]] if question.where in ends else [question]
        examples += pair
        lengths += [question.tokens] * len(pair)
    size, tokens = (len(examples), PACKED) if packed else (TOGETHER, PADDED)
    return examples, batches_by_length(lengths, size, tokens)


def _split(
    questions: Sequence[Example], stops: Sequence[Example], losses: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Split the losses of `questions_with_ends` into those of the questions and of the end marks."""
    ended = {example.where for example in stops}
    of_questions, of_ends, rest = list[float](), list[float](), iter(losses)
    for question in questions:
        of_questions.append(next(rest))
        if question.where in ended:
            of_ends.append(next(rest))
    return of_questions, of_ends


def again_of(held_out: Sequence[Example], batch: int) -> tuple[list[int], list[list[int]]]:
    """Select the held-out rows to measure again, with their batches.

    Each row gets new neighbours: batches of the same size, shifted by half a batch.
    """
    count = min(AGAIN, len(held_out))
    places = [number * len(held_out) // count for number in range(count)]
    lengths = lengths_of([held_out[index] for index in places])
    order = [index for batch_rows in batches_by_length(lengths, batch) for index in batch_rows]
    half = min(batch, len(order)) // 2
    moved = [order[:half], *(order[start : start + batch] for start in range(half, len(order), batch))]
    return places, [batch_rows for batch_rows in moved if batch_rows]


def texts_of(row: Row) -> tuple[str, str]:
    """Return a row's prompt and reference answer; of a conversation, the last question and its answer."""
    if row.text is not None:
        return "", row.text
    last = max(index for index, turn in enumerate(row.messages) if turn["role"] == "assistant")
    questions = [turn for turn in row.messages[:last] if turn["role"] == "user"]
    return _content(questions[-1]) if questions else "", _content(row.messages[last])


def context_of(row: Row) -> list[ChatMessage] | None:
    """Return the messages before the last answer, empty if too long; None if they are only a question."""
    last = max((index for index, turn in enumerate(row.messages) if turn["role"] == "assistant"), default=0)
    before = row.messages[:last]
    if len(before) < 2 and all(turn["role"] == "user" for turn in before):
        return None
    turns = [_as_chat(turn) for turn in before]
    return turns if len(json.dumps(turns)) <= CONVERSATION else []


def _as_chat(turn: RowMessage) -> ChatMessage:
    message: ChatMessage = {"role": turn["role"], "content": turn["content"]}
    if "tool_calls" in turn:
        message["tool_calls"] = list(turn["tool_calls"])
    if "tool_call_id" in turn:
        message["tool_call_id"] = turn["tool_call_id"]
    return message


def tokens_of(examples: Sequence[Example]) -> int:
    """Count the tokens of encoded rows."""
    return sum(example.tokens for example in examples)


def _content(turn: RowMessage) -> str:
    return turn["content"]


def _cut(text: str) -> str:
    return text if len(text) <= TEXT else f"{text[: TEXT - 1]}…"
