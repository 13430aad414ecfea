"""How fast a model writes answers, and what those take that a job asks for: samples, and its own sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.settings.evaluation import asks_nothing
from arkor_dev.local.training.samples.budget import MOST_TOKENS, expected_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from arkor_dev.local.training.plan import Plan

SAMPLES: Final = 3
"""Held-out rows that are asked unless a job says otherwise."""
SCORING: Final = 0.3
"""Seconds in which a process that scores answers starts and ends."""


@dataclass(frozen=True, slots=True)
class Writing:
    """Seconds: ``read`` a token of a question, padding included; ``step`` and ``row`` a token of each answer.

    A token of all of some answers takes ``step`` and so many times ``row``. ``prompt`` is the length of the
    longest question that samples are likely to ask, in tokens.
    """

    read: float
    step: float
    row: float
    prompt: int

    @classmethod
    def of(cls, few: tuple[int, float, float], many: tuple[int, float, float], prompt: int) -> Writing:
        """By two measurements: how many answers, seconds for their questions, and for a token of all."""
        row = max(0.0, (many[2] - few[2]) / (many[0] - few[0]))
        return cls(many[1] / (many[0] * prompt), max(0.0, few[2] - few[0] * row), row, prompt)

    def first(self, rows: int, longest: int) -> float:
        """Seconds for reading so many questions."""
        return self.read * rows * longest

    def token(self, rows: int) -> float:
        """Seconds for a token of so many answers."""
        return self.step + self.row * rows

    def samples(self, config: Mapping[str, Any], plan: Plan, held_out: int, whole: float) -> float:
        """Return the seconds that all sample answers of a job take, which takes ``whole`` without them."""
        asked = config.get("samples")
        if asks_nothing(asked):
            return 0.0
        count = min(SAMPLES, held_out) if asked is None else 1 if isinstance(asked, str) else len(asked)
        if not count:
            return 0.0
        saves = plan.steps // plan.save if plan.save else 0
        between = saves - (saves > 0 and plan.steps % plan.save == 0)
        return expected_seconds(between, whole, self.first(count, self.prompt), self.token(count))

    def answered(self, batches: Sequence[Sequence[tuple[int, int]]]) -> float:
        """Seconds in which base and adapter answer ``batches`` of questions, of ``(tokens, tokens wanted)``.

        The base is taken to go on to the most that an answer may have, the adapter to what is wanted.
        """
        taken = 2 * SCORING if batches else 0.0
        for batch in batches:
            reading = self.first(len(batch), max(asked for asked, _ in batch))
            longest = min(MOST_TOKENS, max(wanted for _, wanted in batch))
            taken += 2 * reading + (MOST_TOKENS + longest) * self.token(len(batch))
        return taken
