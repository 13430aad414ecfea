"""Answers that teach nothing, or nothing useful: empty, very short, refusing; and odd lengths."""

from __future__ import annotations

import math
import re
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

from arkor_dev.data.prompts import PROMPT

from .finding import SHOWN_ROWS, Check, CheckedRow, FoundRows, be, finding_row, have

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.contract.dataset_shapes import Finding, FindingRow

TINY: Final = 3
"""Largest tiny answer, in characters."""
USUAL: Final = 60
"""Median answer length from which a tiny answer is odd, in characters: labels are all tiny."""
FAR: Final = 8
"""Ratio to the 90th percentile from which a length is odd."""
FROM_ROWS: Final = 50
STEPS: Final = 8
"""Histogram classes per doubling: each is 9 % longer than the one before."""
_REFUSAL: Final = re.compile(
    r"\bas an ai(?: language)? (?:model|assistant)\b|\bi(?:'|\u2019)?m (?:just|only) an ai\b"
    r"|\bi(?: can(?:not|(?:'|\u2019)t)|(?:'|\u2019)m (?:not able|unable) to) "
    r"(?:assist|help|comply|fulfill?|provide|answer|do|discuss|engage)\b(?: you)?(?: with| in)? "
    r"(?:that|this|such|(?:your|the) request)\b",
    re.IGNORECASE,
)
BEGINNING: Final = 300
"""Characters of an answer in which to look for a refusal."""


class AnswerCheck(Check):
    """What the assistant says, and how long rows are."""

    def __init__(self) -> None:
        self._empty, self._refusing, self._tiny = FoundRows(), FoundRows(), FoundRows()
        self._answers, self._rows = LengthHistogram(), LengthHistogram()
        self._longest: list[tuple[int, int, FindingRow]] = []

    def examine(self, checked: CheckedRow) -> None:
        if checked.row.form != PROMPT:
            self._examine_answer(checked)
        self._rows.add(len(checked.text))
        if len(self._longest) < SHOWN_ROWS or len(checked.text) > self._longest[0][0]:
            # Create the excerpt now: keeping rows for later could take hundreds of megabytes.
            row = finding_row(checked.number, checked.row.where, checked.text)
            heappush(self._longest, (len(checked.text), -checked.number, row))
            if len(self._longest) > SHOWN_ROWS:
                heappop(self._longest)

    def _examine_answer(self, checked: CheckedRow) -> None:
        answer = checked.answer.strip()
        answers = [message for message in checked.row.messages if message["role"] == "assistant"]
        if any(not message["content"].strip() and not message.get("tool_calls") for message in answers):
            self._empty.add(checked, checked.question)
        elif checked.row.text is None and len(answer) <= TINY and not answers[-1].get("tool_calls"):
            self._tiny.add(checked, f"{checked.question} → {answer}", len(checked.question))
        if checked.row.text is None and _REFUSAL.search(answer, 0, BEGINNING):
            self._refusing.add(checked)
        self._answers.add(len(answer))

    def findings(self) -> Iterator[Finding]:
        """See ``Check.findings``."""
        if self._empty.count:
            yield self._empty.finding(
                "empty-answer",
                "warning",
                f"{have(self._empty.count)} an empty answer",
                "The model learns to say nothing.",
                "Fill in the answer, or remove the row.",
            )
        if self._tiny.count and self._answers.at(0.5) >= USUAL:
            yield self._tiny.finding(
                "tiny-answer",
                "note",
                f"{have(self._tiny.count)} an answer of {TINY} characters or fewer",
                "Half of the answers are many times as long, so these may have been cut off.",
                "Check them: a complete answer teaches more.",
            )
        if self._refusing.count:
            yield self._refusing.finding(
                "refusal",
                "note",
                f"{have(self._refusing.count)} an answer that refuses, or speaks as an AI",
                "Such answers often come from the model that generated the data. A small model soon "
                "refuses everything.",
                "Remove them, unless the model should refuse these requests.",
            )
        yield from self._odd_lengths()

    def _odd_lengths(self) -> Iterator[Finding]:
        if self._rows.count < FROM_ROWS:
            return
        usual = self._rows.at(0.9)
        longest = sorted(self._longest, reverse=True)
        rows = [row for length, _, row in longest if length > FAR * usual]
        odd = FoundRows(max(len(rows), self._rows.longer_than(FAR * usual)) if rows else 0, rows)
        if 0 < odd.count <= self._rows.count / 50:
            yield odd.finding(
                "odd-length",
                "note",
                f"{be(odd.count)} far longer than the rest",
                f"The longest has {longest[0][0]:,} characters; nine rows in ten have fewer than "
                f"{usual:,}. Rows longer than max_length are truncated, and a single long row slows down "
                "its whole step.",
                "Split them into shorter ones, or remove them.",
            )


class LengthHistogram:
    """A histogram of lengths, in classes that grow with the length: a few hundred numbers."""

    def __init__(self) -> None:
        self.count = 0
        self._counts = [0] * (40 * STEPS)

    def add(self, length: int) -> None:
        """Add a text of ``length`` characters."""
        self.count += 1
        self._counts[int(math.log2(length + 1) * STEPS)] += 1

    def at(self, share: float) -> int:
        """Return the length that ``share`` of the texts do not exceed, to within 9 %."""
        remaining = share * self.count
        for step, count in enumerate(self._counts):
            remaining -= count
            if remaining <= 0:
                return math.ceil(2 ** ((step + 1) / STEPS)) - 1
        return 0

    def longer_than(self, length: int) -> int:
        """Return how many texts are longer than ``length``, to within 9 %."""
        return sum(self._counts[math.ceil(math.log2(length + 1) * STEPS) :])
