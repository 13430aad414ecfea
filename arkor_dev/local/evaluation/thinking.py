"""Whether a model's thinking switch still works after training, and what its thoughts are like.

The same questions are answered with ``enable_thinking`` true and false in the chat template, by base and
adapter. Only models whose template has that argument are asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .paired import compare
from .rates import compare_scores

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.contract.shapes import (
        EvaluationAnswer,
        EvaluationRate,
        EvaluationThinking,
        EvaluationWarning,
    )

    from .answers import Answers, GeneratedAnswer

Pairs = list[tuple["GeneratedAnswer", "GeneratedAnswer"]]
"""The answers of base and adapter to the same questions."""

NO_LONGER_THINKS: Final = (
    "Rows without thoughts teach that if the chat template writes them as empty ones: "
    "train_on_empty_thoughts = false leaves these out of the loss."
)
STILL_THINKS: Final = (
    "Rows with thoughts teach that if chat_template_kwargs.enable_thinking is false during training: remove "
    "it, or the thoughts."
)
DIGITS: Final = 3


@dataclass(frozen=True, slots=True)
class RateDifference:
    """A share or a mean of ``count`` answers of each model, and the interval of ``adapter`` - ``base``."""

    base: float
    adapter: float
    low: float
    high: float
    count: int

    @classmethod
    def of_shares(cls, pairs: Sequence[tuple[bool, bool]]) -> RateDifference:
        """Return the share of answers of which something is true, for base and adapter."""
        before, after = [float(base) for base, _ in pairs], [float(adapter) for _, adapter in pairs]
        compared = compare_scores(before, after, range(len(pairs)), rate=True)
        low, high = compared.low, compared.high
        if low == high == 0:  # no answer differs: so many may still differ in general (Clopper and Pearson)
            high = 1 - ((1 - compared.confidence / 100) / 2) ** (1 / len(pairs))
            low = -high
        return cls(compared.base, compared.adapter, low, high, len(pairs))

    @classmethod
    def of_lengths(cls, pairs: Sequence[tuple[int, int]], longest: int) -> RateDifference:
        """Return the mean length for base and adapter, each of at most ``longest`` tokens."""
        compared = compare([base for base, _ in pairs], [adapter for _, adapter in pairs])
        low, high = max(-longest, -compared.high), min(longest, -compared.low)
        return cls(compared.base, compared.adapter, low, high, len(pairs))

    @property
    def numbers(self) -> tuple[int, int]:
        """The numbers of answers behind two shares."""
        return round(self.base * self.count), round(self.adapter * self.count)

    def to_wire(self) -> EvaluationRate:
        """Return the contract's form."""
        return {
            "base": round(self.base, DIGITS),
            "adapter": round(self.adapter, DIGITS),
            "low": round(self.low, DIGITS) + 0.0,  # not -0.0
            "high": round(self.high, DIGITS) + 0.0,
            "count": self.count,
        }


@dataclass(frozen=True, slots=True)
class Thoughts:
    """What base and adapter do with the switch ``on`` and ``off``: the share of answers with thoughts.

    With the switch on: the mean length of thoughts in ``tokens``, zero for answers without any, and the share
    that ``ended`` within ``longest`` tokens, of the questions on which both models think; None if on none.
    """

    on: RateDifference
    off: RateDifference
    tokens: RateDifference
    ended: RateDifference | None
    longest: int
    confidence: int

    @property
    def sentence(self) -> str:
        """Describe the figures, with the intervals of the switch."""
        base, adapter = self.on.numbers
        base_off, adapter_off = self.off.numbers
        lengths = f"on average {self.tokens.adapter:.0f} tokens of thoughts (base {self.tokens.base:.0f})"
        ends = ""
        if self.ended:
            before, after = self.ended.numbers
            ends = (
                f"; {after} of {self.ended.count} end within {self.longest} tokens where both think (base "
                f"{before})"
            )
        return (
            f"With thinking on, {adapter} of {self.on.count} answers have thoughts (base {base}; "
            f"{self._interval(self.on)}), {lengths}{ends}. With thinking off, {adapter_off} have thoughts "
            f"(base {base_off}; {self._interval(self.off)})."
        )

    @property
    def broken(self) -> str:
        """What the switch no longer does, beyond chance, and what may have taught that; empty if it works."""
        (base, adapter), (base_off, adapter_off) = self.on.numbers, self.off.numbers
        if self.on.high < 0:
            return (
                f"The thinking switch works less than before: with enable_thinking = true, {adapter} of "
                f"{self.on.count} answers have thoughts, the base's {base}. {NO_LONGER_THINKS}"
            )
        if self.off.low > 0:
            return (
                f"The thinking switch works less than before: with enable_thinking = false, {adapter_off} of "
                f"{self.off.count} answers have thoughts, the base's {base_off}. {STILL_THINKS}"
            )
        return ""

    def to_wire(self) -> EvaluationThinking:
        """Return the contract's form."""
        thinking: EvaluationThinking = {
            "on": self.on.to_wire(),
            "off": self.off.to_wire(),
            "tokens": self.tokens.to_wire(),
            "longest": self.longest,
            "confidence": self.confidence,
            "sentence": self.sentence,
        }
        if self.ended:
            thinking["ended"] = self.ended.to_wire()
        return thinking

    def _interval(self, rate: RateDifference) -> str:
        return (
            f"{self.confidence} % interval of the difference {100 * rate.low:.0f} to {100 * rate.high:.0f} %"
        )


@dataclass(frozen=True, slots=True)
class Thinking:
    """The questions of an evaluation, answered with the switch ``on`` and ``off``."""

    on: Answers
    off: Answers

    def measured(self) -> Thoughts | None:
        """Return what both models did; None if the questions were not answered."""
        on, off = self.on.pairs, self.off.pairs
        if not on or not off:
            return None
        tokens = [(base.thoughts, adapter.thoughts) for base, adapter in on]
        both = [(base, adapter) for base, adapter in on if base.thoughts and adapter.thoughts]
        ended = (
            RateDifference.of_shares([(base.ended, adapter.ended) for base, adapter in both])
            if both
            else None
        )
        return Thoughts(
            on=_thinking(on),
            off=_thinking(off),
            tokens=RateDifference.of_lengths(tokens, self.on.longest),
            ended=ended,
            longest=self.on.longest,
            confidence=compare([0.0] * len(on), [0.0] * len(on)).confidence,
        )

    def warning(self, examples: int) -> EvaluationWarning | None:
        """Return a warning if the switch works less than the base's beyond chance, with some ``examples``."""
        measured = self.measured()
        if not measured or not measured.broken:
            return None
        asked = self.on if measured.on.high < 0 else self.off
        changed: list[EvaluationAnswer] = [
            {"question": question, "base": base.text, "adapter": adapter.text}
            for question, (base, adapter) in zip(asked.questions, asked.pairs, strict=True)
            if bool(base.thoughts) != bool(adapter.thoughts)
        ]
        return {"sentence": measured.broken, "examples": changed[:examples]}


def _thinking(pairs: Pairs) -> RateDifference:
    return RateDifference.of_shares([(base.thoughts > 0, adapter.thoughts > 0) for base, adapter in pairs])
