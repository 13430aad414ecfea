"""Preferences that cannot be learned, contradict each other, or teach something else: mostly length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.contract.rules import counted

from .answers import LengthHistogram
from .finding import Check, CheckedRow, FoundRows, Numbered, be
from .repeats import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from arkor_dev.contract.dataset_shapes import Finding
    from arkor_dev.data.rows import Row

FEW: Final = 20
"""Minimum number of pairs of which something can be learned and measured."""
ONE_SIDED: Final = 0.8
"""Share of pairs from which one side being longer is what is learned."""
MOST_ROWS: Final = 1_000_000


class PreferenceCheck(Check):
    """What the pairs of a data set have in common."""

    def __init__(self) -> None:
        self.pairs = self.ratings = self.good = 0
        self._longer = self._shorter = 0
        self._chosen, self._rejected = LengthHistogram(), LengthHistogram()
        self._identical = FoundRows()
        self._numbers: dict[tuple[int, int, int], int] = {}
        self._contradicting = Numbered()

    def examine(self, checked: CheckedRow) -> None:
        if "desirable" in checked.row.extra:
            desirable = checked.row.extra["desirable"]
            self.ratings += 1
            self.good += desirable
            pair = digest(checked.question), digest(checked.answer)
            self._compare((*pair, desirable), (*pair, not desirable), checked.number)
        if "rejected" not in checked.row.extra:
            return
        self.pairs += 1
        prompt, chosen, rejected = _texts(checked.row)
        self._chosen.add(len(chosen))
        self._rejected.add(len(rejected))
        self._longer += len(chosen) > len(rejected)
        self._shorter += len(chosen) < len(rejected)
        if digest(chosen) == digest(rejected):
            self._identical.add(checked)
        else:
            question, preferred, dispreferred = digest(prompt), digest(chosen), digest(rejected)
            self._compare(
                (question, preferred, dispreferred), (question, dispreferred, preferred), checked.number
            )

    def _compare(self, mine: tuple[int, int, int], opposite: tuple[int, int, int], number: int) -> None:
        """Note a row, and the first one with the ``opposite`` of what it says."""
        if len(self._numbers) >= MOST_ROWS:
            return
        if (before := self._numbers.get(opposite)) is not None:
            self._contradicting.note(before)
            self._contradicting.note(number)
        self._numbers.setdefault(mine, number)

    def requested(self) -> Iterable[int]:
        """See ``Check.wanted``."""
        return self._contradicting.first()

    def reexamine(self, checked: CheckedRow) -> None:
        self._contradicting.show(checked)

    def findings(self) -> Iterator[Finding]:
        """See ``Check.findings``."""
        if self._identical.count:
            yield self._identical.finding(
                "same-answers",
                "warning",
                f"{be(self._identical.count)} alike in chosen and rejected answer",
                "They differ in case or white space alone, so there is hardly anything to prefer.",
                "Remove them, unless it is these details that matter.",
            )
        if self._contradicting.count:
            yield self._contradicting.finding(
                "contradicting-pairs",
                "warning",
                f"{'contradicts' if self._contradicting.count == 1 else 'contradict'} another one",
                "What one row prefers the other rejects, for the same prompt. Together they teach nothing.",
                "Keep the one that is right.",
            )
        yield from self._one_sided()
        yield from self._few()

    def _one_sided(self) -> Iterator[Finding]:
        if self.pairs < FEW:
            return
        longer = self._longer >= self._shorter
        share = max(self._longer, self._shorter) / self.pairs
        if share < ONE_SIDED:
            return
        usual, other = self._chosen.at(0.5), self._rejected.at(0.5)
        word = "longer" if longer else "shorter"
        yield _finding_of_all(
            "one-sided-length",
            self.pairs,
            f"The chosen answer is the {word} one in {share:.0%} of {self.pairs:,} pairs",
            f"Half of the chosen answers have at most {usual:,} characters, half of the rejected ones "
            f"{other:,}. The model learns above all to answer {'at length' if longer else 'briefly'}.",
            f"If length is not what you prefer, add pairs whose chosen answer is not the {word} one.",
        )

    def _few(self) -> Iterator[Finding]:
        count, kind = (self.pairs, "pair") if self.pairs >= self.ratings else (self.ratings, "rating")
        if 0 < self.pairs + self.ratings < FEW:
            yield _finding_of_all(
                "few-preferences",
                count,
                f"There {be(count)} only {counted(count, kind)}",
                "So few preferences change little, and those held out are too few for a verdict, which needs "
                f"{FEW} of them.",
                "Collect more: vote in blind tests, and rate answers in the playground.",
            )
        if self.ratings >= FEW and not self.pairs and self.good in (0, self.ratings):
            word = "good" if self.good else "bad"
            yield _finding_of_all(
                "one-rating",
                self.ratings,
                f"All {self.ratings:,} ratings are {word}",
                "Without answers of the other kind the model cannot learn what makes the difference.",
                "Rate some answers the other way, too.",
            )


def _texts(row: Row) -> tuple[str, str, str]:
    """Return a pair's prompt and its two answers."""
    rejected = row.extra["rejected"]
    prompt = "\n".join(message["content"] for message in row.messages[:-1])
    return prompt, row.messages[-1]["content"], rejected[-1]["content"]


def _finding_of_all(code: str, count: int, title: str, reason: str, fix: str) -> Finding:
    """Return a finding of the data set as a whole, without rows."""
    return {
        "code": code,
        "level": "warning",
        "title": title,
        "why": reason,
        "fix": fix,
        "count": count,
        "rows": [],
    }
