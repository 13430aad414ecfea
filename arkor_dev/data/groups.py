"""Groups rows that belong together: of one source, with the same question, or rewritten from one another.

Rows of one group are held out of training together, or not at all: a model that was trained on a row's twin
has learned the answer. And a comparison of two models must not count them as independent (Miller, Adding
Error Bars to Evals, 2024, section 2.2, clustered standard errors).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .findings.repeats import digest
from .rewritten import ALIKE, NEARLY_SAME, are_copies, rewritten_pairs

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from .rows import Row

MOST_ROWS: Final = 100_000
"""Maximum number of rows among which rewritten ones are searched: these take half a minute of a processor."""
LEVELS: Final = (NEARLY_SAME, 0.6, ALIKE)
"""Likenesses from which rows are together."""
MOST_REWRITTEN: Final = 24
"""Maximum number of rows that are together by a likeness below NEARLY_SAME, unless they are copies. Otherwise
they have instructions or a template in common, and differ in what they are about.
"""
FEWEST_GROUPS: Final = 5
LARGEST: Final = 0.2
"""An unnamed column is the source if this many of its values repeat, none over so large a share of rows."""


@dataclass(frozen=True, slots=True)
class Groups:
    """``ids`` has each row's group, counted from 0 in the order of the rows.

    ``column`` is the one that distinguishes them, None without one. ``compared``: rewritten rows were
    searched.
    """

    ids: list[int]
    column: str | None
    compared: bool

    @property
    def count(self) -> int:
        """How many groups there are."""
        return len(set(self.ids))


def groups_of(rows: Sequence[Row], largest_share: float = 1.0, guess: bool = True) -> Groups:
    """Group ``rows`` by the column that is named for it, by what they were made from, by their questions, and
    by likeness.

    If no column is named, one that looks like a source is used, unless ``guess`` is False. A criterion that
    puts more than ``largest_share`` (a fraction) of the rows into one group, or all of them, says nothing
    about these rows and is ignored: they may all have one prompt. Not so the named column, and passages and
    rows from which a teacher made others.
    """
    joined = _Joined(len(rows), largest_share)
    column = next((row.group for row in rows if row.group), None)
    if column is not None:
        joined = joined.with_keys((row.origins.get(row.group) for row in rows), always=True)
    elif guess and (column := _column(rows)):
        joined = joined.with_keys(row.origins.get(column) for row in rows)
    joined = joined.with_pairs(_made_pairs(rows), always=True)
    joined = joined.with_keys(map(_question, rows))
    compared = len(rows) <= MOST_ROWS
    if compared:
        for pairs in _rewritten(rows):
            joined = joined.with_pairs(pairs)
    return Groups(joined.ids(), column, compared)


def _rewritten(rows: Sequence[Row]) -> Iterator[list[tuple[int, int]]]:
    """Yield the pairs that are at least as alike as each of LEVELS."""
    texts = [_parts(row) for row in rows]
    alike = list(rewritten_pairs(texts))
    for least in LEVELS:
        pairs = [(one, two) for one, two, likeness in alike if likeness >= least]
        if least < NEARLY_SAME:
            ids = _Joined(len(rows), 1.0).with_pairs(pairs, always=True).ids()
            members: dict[int, list[tuple[str, str]]] = {}
            for group, text in zip(ids, texts, strict=True):
                members.setdefault(group, []).append(text)
            rewritten = {
                group for group, own in members.items() if len(own) <= MOST_REWRITTEN or are_copies(own)
            }
            pairs = [(one, two) for one, two in pairs if ids[one] in rewritten]
        yield pairs


class _Joined:
    """Groups of rows, merged by union-find."""

    def __init__(self, count: int, largest_share: float) -> None:
        self._above, self._sizes = list(range(count)), [1] * count
        self._largest_share = largest_share

    def with_keys(self, keys: Iterable[Hashable | None], *, always: bool = False) -> _Joined:
        """Return these groups, merged where rows have the same key; None matches nothing."""
        first: dict[Hashable, int] = {}
        pairs = [(first.setdefault(key, row), row) for row, key in enumerate(keys) if key is not None]
        return self.with_pairs(pairs, always=always)

    def with_pairs(self, pairs: Iterable[tuple[int, int]], *, always: bool = False) -> _Joined:
        """Return these groups with ``pairs`` of rows merged; unchanged if that is meaningless here."""
        new = _Joined(0, self._largest_share)
        new._above, new._sizes = list(self._above), list(self._sizes)
        for first, second in pairs:
            new._join(first, second)
        rows, largest = len(self._above), max(new._sizes, default=0)
        says_nothing = (
            rows > 1
            and largest > max(self._sizes)
            and (largest > self._largest_share * rows or largest == rows)
        )
        return self if says_nothing and not always else new

    def ids(self) -> list[int]:
        """Return each row's group, counted from 0."""
        numbers: dict[int, int] = {}
        return [numbers.setdefault(self._top(row), len(numbers)) for row in range(len(self._above))]

    def _top(self, row: int) -> int:
        above = self._above
        while above[row] != row:
            above[row] = above[above[row]]
            row = above[row]
        return row

    def _join(self, first: int, second: int) -> None:
        first, second = self._top(first), self._top(second)
        if first == second:
            return
        if self._sizes[first] < self._sizes[second]:
            first, second = second, first
        self._above[second] = first
        self._sizes[first] += self._sizes[second]


def _column(rows: Sequence[Row]) -> str | None:
    """Return a column that says where rows come from, judging by its values."""
    names = dict.fromkeys(name for row in rows for name in row.origins)
    for name in names:
        counts = Counter(row.origins[name] for row in rows if name in row.origins)
        repeats = sum(count for count in counts.values() if count > 1)
        if repeats and len(counts) >= FEWEST_GROUPS and max(counts.values()) <= LARGEST * len(rows):
            return name
    return None


def content_key(row: Row) -> str:
    """Return the key of a row's content, which rows made from it have in ``made_from``."""
    return f"{digest(chr(10).join(_parts(row))):016x}"


def _made_pairs(rows: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Yield pairs of rows that were made from the same passage or row, or one from the other."""
    first: dict[str, int] = {}
    for index, row in enumerate(rows):
        if row.made_from:
            yield first.setdefault(row.made_from, index), index
    for index, row in enumerate(rows if first else ()):
        if (made := first.get(content_key(row))) is not None:
            yield made, index


def _question(row: Row) -> int | None:
    """Return a hash of a row's question; of its text if it has none."""
    question, answer = _parts(row)
    return digest(question if question.strip() else answer)


def _parts(row: Row) -> tuple[str, str]:
    """Return a row's question and its last answer, without its system prompt, which many rows share.

    A plain text has no question.
    """
    if row.text is not None:
        return "", row.text
    turns = [turn for turn in row.messages if turn["role"] != "system"]
    last = max((at for at, turn in enumerate(turns) if turn["role"] == "assistant"), default=len(turns))
    question, answer = ("\n".join(turn["content"] for turn in part) for part in (turns[:last], turns[last:]))
    return question, answer
