"""Forecasts the time of sample answers, custom evaluation sets, and comparisons with the base."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.settings.evaluation import samples_off
from arkor_dev.local.evaluation.general import TokenCounts, affordable, answerable
from arkor_dev.local.training.samples.budget import MOST_TOKENS, expected_seconds

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from arkor_dev.contract.shapes import JobConfig
    from arkor_dev.local.training.plan import Plan


SAMPLES: Final = 3
"""Number of held-out rows that are answered by default."""
SCORER_SECONDS: Final = 0.3
"""Seconds to start and stop a process that scores answers."""


@dataclass(frozen=True, slots=True)
class GenerationSpeed:
    """Costs in seconds: ``read`` per token of a question, padding included; ``step`` per token
    of a batch of answers, and ``row`` per token of each answer.

    Generating one token of each of n answers takes ``step + n * row``. ``prompt`` is the likely length of the
    longest sample prompt, in tokens.
    """

    read: float
    step: float
    row: float
    prompt: int

    @classmethod
    def of(
        cls, small: tuple[int, float, float], large: tuple[int, float, float], prompt: int
    ) -> GenerationSpeed:
        """Fit two measurements: answers, seconds to read their questions, seconds per token of each."""
        row = max(0.0, (large[2] - small[2]) / (large[0] - small[0]))
        return cls(large[1] / (large[0] * prompt), max(0.0, small[2] - small[0] * row), row, prompt)

    def first(self, rows: int, longest: int) -> float:
        """Return the seconds to read this many questions."""
        return self.read * rows * longest

    def token(self, rows: int) -> float:
        """Return the seconds to generate one token of each of this many answers."""
        return self.step + self.row * rows

    def batches(self, batches: Sequence[tuple[int, int, int]]) -> float:
        """Return the seconds for batches of answers, given as longest prompt, size, tokens per answer."""
        return sum(self.first(count, width) + tokens * self.token(count) for width, count, tokens in batches)

    def samples(self, config: JobConfig, plan: Plan, held_out: int, without_samples: float) -> float:
        """Return the seconds of all sample answers of a job that takes ``without_samples`` seconds."""
        samples = config.get("samples")
        if samples_off(samples):
            return 0.0
        count = min(SAMPLES, held_out) if samples is None else 1 if isinstance(samples, str) else len(samples)
        if not count:
            return 0.0
        saves = plan.steps // plan.save if plan.save else 0
        between = saves - (saves > 0 and plan.steps % plan.save == 0)
        return expected_seconds(between, without_samples, self.first(count, self.prompt), self.token(count))

    def answered(self, batches: Sequence[Sequence[tuple[int, int]]]) -> float:
        """Return the seconds to answer ``batches`` of ``(tokens, wanted tokens)`` by base and adapter.

        Assumes that the base's answers have the maximum length, and the adapter's the references' length.
        """
        seconds = 2 * SCORER_SECONDS if batches else 0.0
        for batch in batches:
            reading = self.first(len(batch), max(prompt for prompt, _ in batch))
            longest = min(MOST_TOKENS, max(expected for _, expected in batch))
            seconds += 2 * reading + (MOST_TOKENS + longest) * self.token(len(batch))
        return seconds


REPEATED: Final = -1


@dataclass(frozen=True, slots=True)
class ComparisonCosts:
    """``work`` is in tokens; ``held_out`` and ``question`` are the seconds of all held-out rows and of one
    question.

    ``keys`` are cache keys of the base's losses: 0 has the held-out rows', ``REPEATED`` that of their
    repeated measurement (which takes ``again`` seconds), and a number of general questions that of these
    questions. Keys in ``known`` are not measured again. ``own`` is the time of the job's custom sets with
    both models. ``longest_question`` is the length in tokens of the longest question to answer, 0 for none;
    ``answers`` are cache keys of the base's answers by number and length. A model with a thinking switch
    answers them in ``positions`` of it.
    """

    work: TokenCounts
    held_out: float
    again: float
    question: float
    keys: Mapping[int, str]
    known: frozenset[str] = frozenset()
    own: float = 0.0
    longest_question: int = 0
    answers: Mapping[str, str] = field(default_factory=dict)
    positions: int = 1

    def answering(self, steps: int, every: int, writing: GenerationSpeed | None) -> float:
        """Return the maximum seconds that a run of ``steps`` spends on general questions with both models."""
        if not self.longest_question or writing is None:
            return 0.0
        count, longest = answerable(self.work, steps, every)
        models = 1 + (self.answers.get(f"{count}/{longest}") not in self.known)
        seconds = writing.first(count, self.longest_question) + longest * writing.token(count)
        return models * self.positions * seconds

    def seconds(self, steps: int, every: int) -> float:
        """Return the seconds of a run of ``steps`` evaluated every ``every`` steps, without answers."""
        counts = sorted((count for count in self.keys if count > 0), reverse=True)
        count = affordable(self.work, counts, steps, every) if counts else 0
        base = self.held_out * (self.keys[0] not in self.known)
        base += self.again * (self.keys[REPEATED] not in self.known)
        questions = count * (1 + (self.keys.get(count) not in self.known))
        return base + questions * self.question + self.own

    def with_cached(self, cached: Collection[str]) -> ComparisonCosts:
        """Return a copy whose ``known`` has the cached keys."""
        keys = {*self.keys.values(), *self.answers.values()}
        return replace(self, known=frozenset(cached) & keys)

    def as_json(self) -> dict[str, object]:
        return {
            "work": list(self.work),
            "held_out": self.held_out,
            "again": self.again,
            "question": self.question,
            "keys": {str(count): key for count, key in self.keys.items()},
            "own": self.own,
            "longest_question": self.longest_question,
            "answers": dict(self.answers),
            "positions": self.positions,
        }

    @classmethod
    def of_json(cls, stored: Mapping[str, Any]) -> ComparisonCosts:
        """Parse stored JSON. Raises TypeError, KeyError or ValueError for another version's data."""
        keys = {int(count): str(key) for count, key in stored["keys"].items()}
        names = ("held_out", "again", "question", "own")
        held_out, again, question, own = (float(stored[name]) for name in names)
        answers = {str(size): str(key) for size, key in stored["answers"].items()}
        work = TokenCounts(*map(float, stored["work"]))
        return cls(
            work,
            held_out,
            again,
            question,
            keys,
            own=own,
            longest_question=int(stored["longest_question"]),
            answers=answers,
            positions=int(stored["positions"]),
        )
