"""Statistics of sampled answers: length, repetition and refusals. Pure functions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from arkor_dev.local.evaluation.paired import compare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.contract.run_shapes import AnswerRates, EvaluationAnswers

RUN: Final = 4
REPEATING: Final = 1 / 3
"""Share of repeated ``RUN``-grams from which an answer counts as repetitive."""
NOTABLE: Final = 1.2
"""Length ratio from which a significant difference is reported."""
BEGINNING: Final = 200
"""Characters in which a refusal must begin: models refuse at once."""
_REFUSAL: Final = re.compile(
    r"\b(?:i'?m (?:very |so )?sorry|i am (?:very |so )?sorry|i apologi[sz]e|as an ai\b"
    r"|i'?m (?:just |only )?an ai\b"
    r"|i (?:can'?t|can ?not|won'?t|will not|(?:'m|am) (?:not able|unable) to) "
    r"(?:\w+ )?(?:help|assist|answer|provide|do that|comply|discuss|fulfil|share|tell|give|respond)"
    r"|i'?m (?:not able|unable) to\b|unable to (?:help|assist|answer|provide))",
    re.IGNORECASE,
)


class Answered(NamedTuple):
    """An answer: its text, its number of ``tokens``, and whether it was truncated or repeats itself."""

    text: str
    tokens: int
    truncated: bool
    repeats: bool

    @property
    def refuses(self) -> bool:
        """Return whether it begins like a refusal in English."""
        return _REFUSAL.search(self.text[:BEGINNING].replace("\u2019", "'")) is not None


def repeats_itself(ids: Sequence[int]) -> bool:
    """Return whether an answer of these tokens repeats itself.

    Measures the share of repeated 4-grams (seq-rep-4 of Welleck et al., Neural Text Generation with
    Unlikelihood Training, 2020), over tokens, since not every language has spaces.
    """
    runs = [tuple(ids[start : start + RUN]) for start in range(len(ids) - RUN + 1)]
    return len(runs) > RUN and 1 - len(set(runs)) / len(runs) >= REPEATING


def rates(base: Sequence[Answered], adapter: Sequence[Answered], longest: int) -> EvaluationAnswers:
    """Return the figures of both models' answers to the same questions, of at most ``longest`` tokens."""
    before, after = _rates(base), _rates(adapter)
    return {
        "count": len(base),
        "longest": longest,
        "base": before,
        "adapter": after,
        "sentence": _sentence(len(base), before, after, longest),
    }


def length_words(base: Sequence[Answered], adapter: Sequence[Answered]) -> str | None:
    """Return how many times longer or shorter the adapter's answers are; None if that is small or chance.

    A truncated answer counts with its truncated length, so a longer one is at least this much longer.
    """
    compared = compare([each.tokens for each in base], [each.tokens for each in adapter])
    longer = compared.verdict == "worse"
    if compared.verdict not in ("better", "worse"):
        return None
    long, short = max(compared.base, compared.adapter), min(compared.base, compared.adapter)
    times = long / max(short, 1.0)
    if times < NOTABLE:
        return None
    least = "at least " if any(each.truncated for each in (adapter if longer else base)) else ""
    number = f"{times:.1f}".removesuffix(".0") if times < 10 else f"{times:.0f}"
    return f"{least}{number} times {'longer' if longer else 'shorter'}"


def _rates(answers: Sequence[Answered]) -> AnswerRates:
    return {
        "tokens": round(sum(each.tokens for each in answers) / len(answers), 1),
        "truncated": sum(each.truncated for each in answers),
        "repeating": sum(each.repeats for each in answers),
        "refusing": sum(each.refuses for each in answers),
    }


def _sentence(count: int, before: AnswerRates, after: AnswerRates, longest: int) -> str:
    cut = ""
    if before["truncated"] or after["truncated"]:
        cut = f" (cut after {longest}: {after['truncated']}, instead of {before['truncated']})"
    return (
        f"Its {count} sampled answers have {after['tokens']:.0f} tokens on average, instead of "
        f"{before['tokens']:.0f}{cut}; {after['repeating']} repeat themselves, instead of "
        f"{before['repeating']}, and {after['refusing']} refuse, instead of {before['refusing']}."
    )
