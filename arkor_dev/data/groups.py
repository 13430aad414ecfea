"""Groups rows that belong together: of one source, with the same question, or near duplicates.

Rows of one group are held out of training together, or not at all: a model that was trained on a row's twin
has learned the answer. And a comparison of two models must not count them as independent (Miller, Adding
Error Bars to Evals, 2024, section 2.2, clustered standard errors).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .findings.likeness import ALIKE, FEWEST_RUNS, bands_of, common_runs, likeness, runs_of
from .findings.repeats import digest

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from .rows import Row

MOST_ROWS: Final = 100_000
"""Maximum number of rows among which near duplicates are searched: a hundred thousand take some ten seconds.
"""
FEWEST_GROUPS: Final = 5
LARGEST: Final = 0.2
"""An unnamed column is the source if this many of its values repeat, none over so large a share of rows."""


@dataclass(frozen=True, slots=True)
class Groups:
    """``ids`` has each row's group, counted from 0 in the order of the rows.

    ``column`` is the one that distinguishes them, None without one. ``compared``: near duplicates were
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
    """Group ``rows`` by the column that is named for it, by their questions, and by similarity.

    If no column is named, one that looks like a source is used, unless ``guess`` is False. A criterion that
    puts more than ``largest_share`` (a fraction) of the rows into one group, or all of them, says nothing
    about these rows and is ignored: they may all have one prompt.
    """
    joined = _Joined(len(rows), largest_share)
    column = next((row.group for row in rows if row.group), None)
    if column is not None:
        joined = joined.with_keys((row.origins.get(row.group) for row in rows), always=True)
    elif guess and (column := _column(rows)):
        joined = joined.with_keys(row.origins.get(column) for row in rows)
    joined = joined.with_keys(map(_question, rows))
    compared = len(rows) <= MOST_ROWS
    if compared:
        joined = joined.with_pairs(_alike([_all_text(row) for row in rows]))
    return Groups(joined.ids(), column, compared)


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


def _question(row: Row) -> int | None:
    """Return a hash of a row's question; of its text if it has none."""
    if row.text is not None:
        return digest(row.text)
    last = max((at for at, turn in enumerate(row.messages) if turn["role"] == "assistant"), default=0)
    turns = [turn["content"] for turn in row.messages[:last] if turn["role"] != "system"]
    return digest("\n".join(turns)) if any(map(str.strip, turns)) else digest(_all_text(row))


def _all_text(row: Row) -> str:
    """Return a row's text without its system prompt, which many rows share."""
    if row.text is not None:
        return row.text
    return "\n".join(turn["content"] for turn in row.messages if turn["role"] != "system")


def _alike(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield pairs of near duplicates, each with the first one in a shared band."""
    common = common_runs(map(runs_of, texts[:200]))
    first_rows: list[dict[int, int]] = []
    for row, text in enumerate(texts):
        runs = runs_of(text) - common
        if len(runs) < FEWEST_RUNS:
            continue
        bands = bands_of(runs)
        first_rows = first_rows or [{} for _ in bands]
        for other in {seen.setdefault(band, row) for seen, band in zip(first_rows, bands, strict=True)} - {
            row
        }:
            if likeness(runs, runs_of(texts[other]) - common) >= ALIKE:
                yield other, row
