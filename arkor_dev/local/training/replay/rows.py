"""Replayed rows: chooses their prompts, gets their answers, and adds them to the steps."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from arkor_dev.data.sources import REPLAY
from arkor_dev.local.evaluation.answers import Stopped
from arkor_dev.local.evaluation.stage import texts_of
from arkor_dev.local.modeling.chat_template import end_ids
from arkor_dev.local.modeling.example import IGNORED, Example
from arkor_dev.local.training.greedy import GenerationLimit, answers
from arkor_dev.local.training.rows.encoding import Encoding, encode
from arkor_dev.local.training.rows.prompts import encode_prompt

from .prompts import built_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from arkor_dev.data.rows import Row
    from arkor_dev.local.evaluation.base_losses import BaseLosses
    from arkor_dev.local.modeling.base_model import Base
    from arkor_dev.local.training.greedy import Answering
    from arkor_dev.local.training.plan import Plan

SHARES: Final = ("replay", "baseKl")
SETTINGS: Final = (*SHARES, REPLAY)
"""Configuration fields for replay. They do not affect measurements of a base model."""
LONGEST: Final = 32
"""Maximum number of tokens in an answer."""
PENALIZED: Final = 0.2
"""The share of replayed rows in each step if only a penalty is set: the same as the default for replay."""
FIRST: Final = 4
"""Number of answers in the first batch, for which the first step waits."""
TOGETHER: Final = 48
"""Number of answers generated together in later batches."""
ROOM: Final = 0.5
"""Fraction by which a batch's tokens may grow: its size was chosen to fit the memory."""


@dataclass
class Replay:
    """Adds replayed rows so that they make up ``share`` of each step's rows, above 0 and up to 0.5.

    ``learned``: the answers are learned like the data's. ``base_kl`` is the factor of a penalty: the mean
    divergence from the base per answer token.

    ``size`` is the maximum number of rows in a batch. A step's rows depend only on ``seed`` and the step's
    number, so a resumed run replays the same ones. ``examples`` are the rows with given answers, followed
    by those that the base answers, in ``batches`` of indices in the order in which the steps need them. Each
    batch is answered when a step first needs it, always with the same prompts, so an answer does not depend
    on when it is made. Until then its examples are placeholders of the maximum length, so that a run's cost
    can be forecast; ``waiting`` has their indices. The run's steps need the first ``used`` batches.
    """

    share: float
    size: int
    seed: int
    learned: bool = True
    base_kl: float = 0.0
    answered_rows: list[Example] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    batches: list[list[int]] = field(default_factory=list)
    waiting: set[int] = field(default_factory=set)
    used: int = 0

    @classmethod
    def of(
        cls, plan: Plan, base: Base, own: Sequence[Row] = (), encoding: Encoding | None = None
    ) -> Replay | None:
        """Choose as many prompts as the steps of ``plan`` need, and encode them; return None if the plan has
        neither replay nor a penalty.

        The prompts are the job's ``own``, or else the built-in ones. Raises :class:`JobFailure` if the
        model's template rejects one or a prompt is too long, with its location.
        """
        share, base_kl = (plan.method.get(field, 0) for field in SHARES)
        if not share and not base_kl:
            return None
        replay = cls(share or PENALIZED, plan.batch_size, plan.order_seed, bool(share), base_kl)
        pool, encoding = own or built_in(), encoding or Encoding(base.context)
        rows = plan.steps * plan.batch_size * plan.accumulation
        count = min(len(pool), math.ceil(replay._rows_per_step(rows)))
        order = list(range(len(pool)))
        random.Random(0).shuffle(order)  # noqa: S311 - a choice, no secret
        chosen = [pool[index] for index in sorted(order[:count])]
        for row in chosen:
            if _has_answer(row):
                examples = encode(base.tokenizer, row, encoding)[0]
                replay.answered_rows += [replay._replayed(example) for example in examples if example.learned]
        prompts = [
            encode_prompt(base.tokenizer, row, encoding.longest).ids for row in chosen if not _has_answer(row)
        ]
        replay.examples = [
            *replay.answered_rows,
            *(replay._placeholder(ids, number) for number, ids in enumerate(prompts, 1)),
        ]
        replay._wait_for(range(len(replay.answered_rows), len(replay.examples)), plan)
        return replay

    def _wait_for(self, indices: Iterable[int], plan: Plan) -> None:
        """Put the examples that the base answers into batches: in the order of their first use, then the
        others, which only a job that is extended may need.
        """
        self.waiting = set(indices)
        order: dict[int, None] = {}
        for step in range(1, plan.steps + 1):
            if len(order) == len(self.waiting):
                break
            used = self._indices(step, plan.batch_size * plan.accumulation)
            order |= dict.fromkeys(index for index in used if index in self.waiting)
        self.batches = list(_batches(list(order)))
        self.used = len(self.batches)
        self.batches += _batches(sorted(self.waiting - order.keys()))

    @property
    def to_answer(self) -> list[Example]:
        """The examples whose answers are not given."""
        return self.examples[len(self.answered_rows) :]

    def needed(self, step: int, rows: int) -> list[list[int]]:
        """Return the batches to answer before ``step``, which has ``rows`` rows of the data."""
        missing = self.waiting.intersection(self._indices(step, rows))
        return [batch for batch in self.batches if missing.intersection(batch)]

    @property
    def remaining(self) -> list[list[int]]:
        """The batches that are not answered completely, of those that the run's steps need."""
        return [batch for batch in self.batches[: self.used] if self.waiting.intersection(batch)]

    def rows_of(self, batch: Sequence[int]) -> list[Example]:
        return [self.examples[index] for index in batch]

    def answer(
        self,
        batch: Sequence[int],
        loss: Answering,
        base: Base,
        cache: BaseLosses,
        stopped: Callable[[], bool],
    ) -> None:
        """Generate the answers of a batch with the model of ``loss``, which must compute as its base.

        ``cache`` caches the answers. Raises :class:`Stopped`.
        """
        prompts = [_prompt(example) for example in self.rows_of(batch)]
        key = cache.answers_key([*prompts, [-LONGEST]], LONGEST)  # the verdict's answers have other keys
        ends, answered = end_ids(base.tokenizer, base.model), _known(cache.entry(key), len(prompts))
        if answered is None:
            watch = GenerationLimit(lambda first, _: LONGEST, stopped)
            generated = answers(loss, base.tokenizer, ends, prompts, watch, LONGEST)
            if watch.interrupted:
                raise Stopped
            # A truncated answer has no end token to learn.
            answered = [[*answer.ids, *(() if answer.end is None else (answer.end,))] for answer in generated]
            cache.put(key, answered)
        for index, prompt, answer in zip(batch, prompts, answered, strict=True):
            if index in self.waiting:
                self._take(index, prompt, answer)

    @property
    def longest_prompt(self) -> int:
        """The length in tokens of the longest prompt that the base answers."""
        return max(len(_prompt(example)) for example in self.to_answer)

    def state(self) -> list[tuple[list[int], list[int] | None]]:
        """Return the prompts that the base answers, with the answers so far, for a run's saved state.

        Given answers are not included: they are read from their file again.
        """
        first = len(self.answered_rows)
        return [
            (prompt := _prompt(example), None if index in self.waiting else example.ids[len(prompt) :])
            for index, example in enumerate(self.to_answer, first)
        ]

    def load_state(self, state: Sequence[tuple[list[int], list[int] | None]], plan: Plan) -> None:
        """Restore the prompts and answers returned by :meth:`state`, even of a ``plan`` with fewer steps."""
        first = len(self.answered_rows)
        prompts = [_prompt(example) for example in self.to_answer]
        if [prompt for prompt, _ in state] != prompts:
            placeholders = [self._placeholder(prompt, number) for number, (prompt, _) in enumerate(state, 1)]
            self.examples = [*self.answered_rows, *placeholders]
            self._wait_for(range(first, len(self.examples)), plan)
        for index, (prompt, answer) in enumerate(state, first):
            if answer is not None and index in self.waiting:
                self._take(index, prompt, answer)

    def join(self, step: int, batches: Sequence[Sequence[Example]]) -> list[list[Example]]:
        """Return the batches of ``step`` with its replayed rows.

        They are added to the step's own batches, because a batch of a few short rows is slow for its size. If
        those have no room, the rest get batches of their own.
        """
        joined = [list(batch) for batch in batches]
        room = [ROOM * sum(row.tokens for row in batch) for batch in joined]
        overflow: list[Example] = []
        for row in self.chosen(step, sum(map(len, batches))):
            if not row.learned:  # the base answered with nothing
                continue
            index = max(range(len(room)), key=room.__getitem__)
            (joined[index] if row.tokens <= room[index] else overflow).append(row)
            room[index] -= row.tokens if row.tokens <= room[index] else 0
        return [
            *joined,
            *(overflow[start : start + self.size] for start in range(0, len(overflow), self.size)),
        ]

    def chosen(self, step: int, rows: int) -> list[Example]:
        """Return the rows that ``step`` replays along with ``rows`` rows of the data."""
        return self.rows_of(self._indices(step, rows))

    def _indices(self, step: int, rows: int) -> list[int]:
        chance = random.Random(f"replay/{self.seed}/{step}")  # noqa: S311 - order, not secrecy
        count = int(self._rows_per_step(rows) + chance.random())
        return chance.sample(range(len(self.examples)), min(count, len(self.examples)))

    def penalty(self, batches: Iterable[Sequence[Example]]) -> float:
        """Return the factor by which a step's summed divergence is multiplied.

        A step of few rows may replay none. Those that do make up for the others.
        """
        examples = [row for batch in batches for row in batch]
        rows = sum(not row.replayed for row in examples)
        tokens = sum(row.learned for row in examples if row.replayed)
        return self.base_kl / min(1.0, self._rows_per_step(rows)) / tokens if tokens else 0.0

    def _rows_per_step(self, rows: int) -> float:
        """Return how many rows are replayed along with ``rows`` of the data, on average."""
        return rows * self.share / (1 - self.share)

    def _take(self, index: int, prompt: Sequence[int], answer: Sequence[int]) -> None:
        number = index - len(self.answered_rows) + 1
        self.examples[index] = self._example(prompt, answer, number)
        self.waiting.discard(index)

    def _placeholder(self, prompt: list[int], number: int) -> Example:
        return self._example(prompt, (prompt * LONGEST)[:LONGEST], number)

    def _example(self, prompt: Sequence[int], answer: Sequence[int], number: int) -> Example:
        labels = [IGNORED] * len(prompt) + list(answer)
        return self._replayed(Example([*prompt, *answer], labels, f"replayed prompt {number}"))

    def _replayed(self, example: Example) -> Example:
        return replace(
            example, same_row=False, counts=None if self.learned else 0, replayed=True, weights=None
        )


def _batches(indices: Sequence[int]) -> Iterator[list[int]]:
    starts = [0, *range(FIRST, len(indices), TOGETHER), len(indices)]
    return (list(indices[start:end]) for start, end in pairwise(starts) if start < end)


def _has_answer(row: Row) -> bool:
    return bool(texts_of(row)[1].strip() or row.messages[-1].get("tool_calls"))


def _prompt(example: Example) -> list[int]:
    return example.ids[: sum(label == IGNORED for label in example.labels)]


def _known(stored: object, count: int) -> list[list[int]] | None:
    """Parse cached answers; None if they are missing or were edited."""
    if not isinstance(stored, list) or len(stored) != count:
        return None
    sound = all(isinstance(ids, list) and all(type(token) is int for token in ids) for ids in stored)
    return stored if sound else None
