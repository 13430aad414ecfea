"""The base of all checks: the row that they examine, and the finding that they return."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import TYPE_CHECKING, Final, Literal

from arkor_dev.contract.dataset_shapes import Finding

from .masking import masked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from arkor_dev.contract.dataset_shapes import FindingRow
    from arkor_dev.data.rows import Row

SHOWN_ROWS: Final = 20
EXCERPT: Final = 120
BEFORE: Final = 40
"""Characters of an excerpt, and of its part before the match."""


@dataclass(frozen=True, slots=True)
class CheckedRow:
    """A valid row and its texts: the last answer, everything before it, and all of it."""

    number: int
    row: Row
    question: str
    answer: str
    text: str

    @classmethod
    def of(cls, number: int, row: Row) -> CheckedRow:
        """Return the texts of a row; a plain text counts as an answer without a question."""
        if row.text is not None:
            return cls(number, row, "", row.text, row.text)
        texts = [message["content"] for message in row.messages]
        last = max(at for at, message in enumerate(row.messages) if message["role"] == "assistant")
        return cls(number, row, "\n".join(texts[:last]), texts[last], "\n".join(texts))


class Located(Finding):
    """A finding with the numbers of all its rows, which stay on this machine."""

    numbers: array[int]


@dataclass
class FoundRows:
    """Rows with something in common; the first few are kept to be shown."""

    count: int = 0
    rows: list[FindingRow] = field(default_factory=list)
    numbers: array[int] = field(default_factory=lambda: array("I"))

    def add(self, checked: CheckedRow, text: str | None = None, at: int = 0) -> None:
        """Add a row; its excerpt is of ``text``, or else the answer, around the character ``at``."""
        self.count += 1
        self.numbers.append(checked.number)
        if len(self.rows) < SHOWN_ROWS:
            self.rows.append(
                finding_row(checked.number, checked.row.where, checked.answer if text is None else text, at)
            )

    def finding(
        self, code: str, level: Literal["error", "warning", "note"], title: str, why: str, fix: str
    ) -> Located:
        """Return the finding of these rows; ``title`` follows their number: "3 rows …"."""
        return {
            "code": code,
            "level": level,
            "title": f"{rows_of(self.count)} {title}",
            "why": why,
            "fix": fix,
            "count": self.count,
            "rows": self.rows,
            "numbers": self.numbers,
        }


class Numbered(FoundRows):
    """Rows known only by number; the first few are excerpted when they are read again."""

    def __init__(self) -> None:
        super().__init__()
        self._first: list[int] = []

    def note(self, number: int) -> None:
        """Add a number, in any order."""
        self.count += 1
        self.numbers.append(number)

    def first(self) -> list[int]:
        """Return the numbers of those to be shown."""
        self._first = nsmallest(SHOWN_ROWS, self.numbers)
        return self._first

    def show(self, checked: CheckedRow, text: str | None = None) -> None:
        """Excerpt the row if it is one of the first: its ``text``, or else its answer."""
        if checked.number in self._first:
            shown = checked.answer if text is None else text
            self.rows.append(finding_row(checked.number, checked.row.where, shown))


class Check:
    """A kind of check. It sees every row once, and those that it requests a second time."""

    def examine(self, checked: CheckedRow) -> None:
        """Examine a valid row, in the order of the data."""

    def requested(self) -> Iterable[int]:
        """Return the numbers of the rows to read again."""
        return ()

    def reexamine(self, checked: CheckedRow) -> None:
        """Examine a row requested by this or another check."""

    def findings(self) -> Iterator[Finding]:
        """Yield the findings, after the last row."""
        yield from ()


def finding_row(number: int, where: str, text: str, at: int = 0) -> FindingRow:
    """Return a row as listed in a finding: an excerpt of ``text`` on one line, with secrets masked."""
    start = max(0, at - BEFORE)
    if start:  # start at a word: half of a key would not be recognised
        start = max((text.rfind(space, 0, start + 1) + 1 for space in " \n\t"), default=0)
        start = start if at - start <= 4 * BEFORE else at
    window = text[start : start + 8 * EXCERPT]
    line = one_line(masked(window, cut=start + len(window) < len(text)))
    line = ("…" if start else "") + line
    return {
        "row": number,
        "where": where,
        "excerpt": line if len(line) <= EXCERPT else f"{line[: EXCERPT - 1]}…",
    }


def one_line(text: str) -> str:
    """Return ``text`` without line breaks and invisible characters."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def rows_of(count: int) -> str:
    """Return ``1 row``, ``2,000 rows``."""
    return f"{count:,} row{'' if count == 1 else 's'}"


def be(count: int) -> str:
    """Return ``is`` or ``are``."""
    return "is" if count == 1 else "are"


def have(count: int) -> str:
    """Return ``has`` or ``have``."""
    return "has" if count == 1 else "have"
