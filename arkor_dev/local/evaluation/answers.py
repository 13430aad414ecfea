"""Statistics of sampled answers: length, repetition and refusals. Pure functions."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from arkor_dev.data.thoughts import split_answer

from .paired import compare

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from arkor_dev.contract.shapes import AnswerRates, EvaluationAnswer, EvaluationAnswers, EvaluationWarning
    from arkor_dev.local.modeling.example import Example

    from .base_losses import BaseLosses


RUN: Final = 4
REPEATING: Final = 1 / 3
"""Minimum share of repeated ``RUN``-grams in an answer that counts as repetitive."""
NOTABLE: Final = 1.2
"""Minimum length ratio at which a significant difference is reported."""
CHANCE: Final = 0.025
"""Maximum probability, one-sided, at which answers are said to repeat themselves more often than before."""
BEGINNING: Final = 200
"""Number of characters within which a refusal must begin: models refuse at once."""
_REFUSAL: Final = re.compile(
    r"\b(?:i'?m (?:very |so )?sorry|i am (?:very |so )?sorry|i apologi[sz]e|as an ai\b"
    r"|i'?m (?:just |only )?an ai\b"
    r"|i (?:can'?t|can ?not|won'?t|will not|(?:'m|am) (?:not able|unable) to) "
    r"(?:\w+ )?(?:help|assist|answer|provide|do that|comply|discuss|fulfil|share|tell|give|respond)"
    r"|i'?m (?:not able|unable) to\b|unable to (?:help|assist|answer|provide))",
    re.IGNORECASE,
)


class GeneratedAnswer(NamedTuple):
    """An answer: its text, its number of ``tokens``, and whether it was truncated or repeats itself.

    ``thoughts`` is the number of tokens of its thoughts, and ``ended`` says whether they end.
    """

    text: str
    tokens: int
    truncated: bool
    repeats: bool
    thoughts: int = 0
    ended: bool = True

    @property
    def refuses(self) -> bool:
        """Return whether it begins like a refusal in English."""
        answer = split_answer(self.text).answer if self.ended else ""
        return _REFUSAL.search(answer[:BEGINNING].replace("\u2019", "'")) is not None


def repeats_itself(ids: Sequence[int]) -> bool:
    """Return whether an answer of these tokens repeats itself.

    Measures the share of repeated 4-grams (seq-rep-4 of Welleck et al., Neural Text Generation with
    Unlikelihood Training, 2020), over tokens, since not every language has spaces.
    """
    runs = [tuple(ids[start : start + RUN]) for start in range(len(ids) - RUN + 1)]
    return len(runs) > RUN and 1 - len(set(runs)) / len(runs) >= REPEATING


def repeats_more(base: Sequence[GeneratedAnswer], adapter: Sequence[GeneratedAnswer]) -> bool:
    """Return whether the adapter's answers repeat themselves more often than the base's, beyond chance.

    The exact test of McNemar (1947) on the questions of which only one answer repeats itself: at least six,
    if all of these are the adapter's.
    """
    differing = [
        after.repeats for before, after in zip(base, adapter, strict=True) if before.repeats != after.repeats
    ]
    more, count = sum(differing), len(differing)
    tail = sum(math.comb(count, number) for number in range(more, count + 1))
    return tail <= CHANCE * (1 << count)


def rates(
    base: Sequence[GeneratedAnswer], adapter: Sequence[GeneratedAnswer], longest: int
) -> EvaluationAnswers:
    """Return the figures of both models' answers to the same questions, of at most ``longest`` tokens."""
    before, after = _rates(base), _rates(adapter)
    return {
        "count": len(base),
        "longest": longest,
        "base": before,
        "adapter": after,
        "sentence": _sentence(len(base), before, after, longest),
    }


def length_words(base: Sequence[GeneratedAnswer], adapter: Sequence[GeneratedAnswer]) -> str | None:
    """Describe how many times longer or shorter the adapter's answers are; None if insignificant.

    A truncated answer counts with its truncated length, so the true ratio may be larger.
    """
    compared = compare([answer.tokens for answer in base], [answer.tokens for answer in adapter])
    longer = compared.verdict == "worse"
    if compared.verdict not in ("better", "worse"):
        return None
    long, short = max(compared.base, compared.adapter), min(compared.base, compared.adapter)
    times = long / max(short, 1.0)
    if times < NOTABLE:
        return None
    least = "at least " if any(answer.truncated for answer in (adapter if longer else base)) else ""
    number = f"{times:.1f}".removesuffix(".0") if times < 10 else f"{times:.0f}"
    return f"{least}{number} times {'longer' if longer else 'shorter'}"


def _rates(answers: Sequence[GeneratedAnswer]) -> AnswerRates:
    return {
        "tokens": round(sum(answer.tokens for answer in answers) / len(answers), 1),
        "truncated": sum(answer.truncated for answer in answers),
        "repeating": sum(answer.repeats for answer in answers),
        "refusing": sum(answer.refuses for answer in answers),
    }


def _sentence(count: int, before: AnswerRates, after: AnswerRates, longest: int) -> str:
    """Compare the answers' lengths, and the counts of what any of them does: "none refuses" says nothing."""
    cut = ""
    if before["truncated"] or after["truncated"]:
        cut = f" (cut after {longest}: {after['truncated']}, base {before['truncated']})"
    counts = (
        (f"{after['repeating']} repeat themselves (base {before['repeating']})", "repeating"),
        (f"{after['refusing']} refuse (base {before['refusing']})", "refusing"),
    )
    start = (
        f"Its {count} sampled answers have {after['tokens']:.0f} tokens on average, the base's "
        f"{before['tokens']:.0f}{cut}"
    )
    notable = [words for words, key in counts if before[key] or after[key]]  # type: ignore[literal-required]
    return "; ".join([start, *notable]) + "."


TEXT: Final = 1000
"""Maximum length of a stored answer, in characters."""


class Stopped(Exception):  # noqa: N818 - a requested stop, not an error
    """The job was cancelled while it was being measured."""


class MeasuredModel(Protocol):
    """Measures rows: returns each one's summed loss and weight.

    ``row_losses`` uses the training method's own loss; ``cross_entropy`` always measures the learned tokens.
    ``pop_answers`` has the answers on which a loss of generated answers was measured, by the rows'
    locations. ``margins`` is for methods that learn from preferences. ``answering`` returns a context with
    the bare model of transformers, ready to generate on ``device``.
    """

    device: str

    def row_losses(self, rows: Sequence[Example], /) -> list[tuple[float, float]]: ...

    def cross_entropy(self, rows: Sequence[Example], /) -> list[tuple[float, float]]: ...

    def pop_answers(self) -> Mapping[str, str]: ...
    def margins(self, rows: Sequence[Example], /) -> list[float]: ...
    def answering(self) -> AbstractContextManager[Any]: ...


class Answers:
    """Answers to ``questions``, tokenized as ``prompts``, of at most ``longest`` tokens.

    ``write(model, prompts, longest, stopped)`` generates all answers, or returns None if stopped. ``kept``
    caches the base's answers by ``key``; ``longest_prompt`` is in tokens.
    """

    def __init__(
        self,
        questions: Sequence[str],
        prompts: Sequence[Sequence[int]],
        longest: int,
        write: Callable[
            [MeasuredModel, Sequence[Sequence[int]], int, Callable[[], bool]], list[GeneratedAnswer] | None
        ],
        cache: BaseLosses | None = None,
    ) -> None:
        self.questions, self.prompts, self.longest = questions, prompts, longest
        self._write, self._cache = write, cache
        self.key = cache.answers_key(prompts, longest) if cache and prompts else ""
        self.longest_prompt = max(map(len, prompts), default=0)
        self._base = _known(cache.entry(self.key), len(prompts)) if cache and self.key else None
        self._adapter: list[GeneratedAnswer] = []
        self.needs_base = bool(prompts) and self._base is None
        self.total = len(prompts) * (1 + self.needs_base)
        """Number of answers to generate."""
        models = (True, False) if self.needs_base else (True,)
        self.batches = [(len(prompts), longest, adapted) for adapted in models if prompts]
        """Each batch: its number of answers, their token limit, and whether the adapter answers."""

    def of_adapter(self, model: MeasuredModel, stopped: Callable[[], bool]) -> int:
        """Generate the adapter's answers; return their number. Raises :class:`Stopped`."""
        self._adapter = self._all(model, stopped)
        return len(self._adapter)

    def of_base(self, model: MeasuredModel, stopped: Callable[[], bool]) -> int:
        """Generate and cache the base's answers unless known; return their count. Raises :class:`Stopped`."""
        if not self.needs_base:
            return 0
        self._base = self._all(model, stopped)
        if self._cache:
            self._cache.put(self.key, [list(answer) for answer in self._base])
        return len(self._base)

    @property
    def pairs(self) -> list[tuple[GeneratedAnswer, GeneratedAnswer]]:
        """The answers of base and adapter to each question; none until both have answered."""
        return list(zip(self._base or (), self._adapter, strict=False))

    @property
    def length(self) -> str | None:
        """Describe how much longer or shorter the adapter answers; None if that is small or unknown."""
        return length_words(self._base, self._adapter) if self._base and self._adapter else None

    def figures(self) -> EvaluationAnswers | None:
        """Return the contract's ``answers`` on general questions; None if none were generated."""
        if not self._base or not self._adapter:
            return None
        return rates(self._base, self._adapter, self.longest)

    def repetition(self, examples: int) -> EvaluationWarning | None:
        """Return a warning if the adapter's answers repeat themselves more often beyond chance."""
        if not self._base or not self._adapter or not repeats_more(self._base, self._adapter):
            return None
        before, after = _rates(self._base)["repeating"], _rates(self._adapter)["repeating"]
        began: list[EvaluationAnswer] = [
            {"question": question, "base": base.text, "adapter": adapter.text}
            for question, base, adapter in zip(self.questions, self._base, self._adapter, strict=True)
            if adapter.repeats and not base.repeats
        ]
        sentence = (
            f"{after} of {len(self._adapter)} sampled answers repeat themselves, instead of the base's "
            f"{before}. The loss is measured on given answers and cannot show this: read the adapter's "
            "own answers before you use it. Fewer steps or a lower learning rate may prevent it."
        )
        return {"sentence": sentence, "examples": began[:examples]}

    def side_by_side(self) -> list[EvaluationAnswer]:
        """Return the answers of both models in the contract's form."""
        both = zip(self.questions, self._base or (), self._adapter, strict=False)
        return [
            {"question": question, "base": base.text, "adapter": adapter.text}
            for question, base, adapter in both
        ]

    def _all(self, model: MeasuredModel, stopped: Callable[[], bool]) -> list[GeneratedAnswer]:
        if not self.prompts:
            return []
        written = self._write(model, self.prompts, self.longest, stopped)
        if written is None:
            raise Stopped
        return [answer._replace(text=answer.text[:TEXT]) for answer in written]


NOBODY: Final = Answers((), (), 0, lambda *_: [])
"""Used if there are no questions."""


def _known(stored: object, count: int) -> list[GeneratedAnswer] | None:
    """Parse cached answers; None if they are missing or were edited."""
    if not isinstance(stored, list) or len(stored) != count:
        return None
    kinds = (str, int, bool, bool, int, bool)
    for entry in stored:
        sound = isinstance(entry, list) and len(entry) == len(kinds)
        if not sound or any(type(value) is not kind for value, kind in zip(entry, kinds, strict=True)):
            return None
    return [GeneratedAnswer(*entry) for entry in stored]
