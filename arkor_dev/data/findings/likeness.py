"""Near duplicates: MinHash with bands, then the exact similarity of rows that share a band.

A row is the set of its runs of three words (shingles). The smallest hash in each of 32 classes represents the
set (one permutation hashing, Li et al. 2012, with empty classes filled from the next). Rows that agree in one
band of four are read a second time, and their sets compared. All hashes come from one seed.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from typing import TYPE_CHECKING, Final
from zlib import crc32

from .finding import Check, CheckedRow, FoundRows, be
from .repeats import digest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from arkor_dev.contract.dataset_shapes import Finding

SEED: Final = 20_011
BANDS: Final = 8
DEEP: Final = 4
CLASSES: Final = BANDS * DEEP
ALIKE: Final = 0.8
"""Jaccard similarity from which rows count as near duplicates."""
FEWEST_RUNS: Final = 8
"""Minimum number of shingles of a row: short rows differ in little ("What is 2 + 2?" and "What is 2 + 3?").
"""
WORDS: Final = 2000
"""Characters of a row that are compared."""
SAMPLE: Final = 200
COMMON: Final = 0.3
"""Shingles in this share of the first 200 rows are boilerplate."""
MOST_ROWS: Final = 1_000_000
MOST_PAIRS: Final = 4000
MOST_RUNS: Final = 8_000_000
"""Maximum number of shingles in memory at a time, of 4 bytes each."""
_WORD: Final = re.compile(rb"[^\s!-/:-@\[-`{-~]+")
_EMPTY: Final = 2**32


def runs_of(text: str) -> set[int]:
    """Return the hashes of a text's runs of words; of its characters for a text without spaces."""
    words = _WORD.findall(text[: 16 * WORDS].lower().encode(errors="replace"))[:WORDS]
    if len(words) * 16 < len(text[: 16 * WORDS]):  # a script without spaces between words
        words = [token.encode(errors="replace") for token in text[:WORDS] if not token.isspace()]
    return {
        crc32(third, crc32(second, crc32(first, SEED)))
        for first, second, third in zip(words, words[1:], words[2:], strict=False)
    }


def common_runs(rows: Iterable[set[int]]) -> set[int]:
    """Return runs of words in very many of some rows: a prompt's common beginning makes no rows similar."""
    all_rows = list(rows)
    counts = Counter(run for runs in all_rows for run in runs)
    enough = max(5, COMMON * len(all_rows))
    return {run for run, count in counts.items() if count >= enough}


def bands_of(runs: set[int]) -> list[int]:
    """Return the hashes of a row's bands: similar rows nearly always agree in at least one."""
    least = [_EMPTY] * CLASSES
    for run in runs:
        at = run % CLASSES
        if run < least[at]:
            least[at] = run
    for at in range(2 * CLASSES - 1, -1, -1):  # twice around, so that the last class is filled from the first
        if least[at % CLASSES] == _EMPTY:
            least[at % CLASSES] = least[(at + 1) % CLASSES]
    return [hash(tuple(least[band * DEEP : (band + 1) * DEEP])) % _EMPTY for band in range(BANDS)]


class Likeness(Check):
    """Near duplicates. Exact repetitions have their own check."""

    def __init__(self) -> None:
        self._bands = [array("I") for _ in range(BANDS)]
        self._exact = array("Q")
        self._numbers = array("I")
        self.rows = 0
        self._first_rows: list[tuple[int, int, set[int]]] = []
        self._common: set[int] = set()
        self._pairs: dict[int, set[int]] = {}
        """The numbers of earlier rows that a row may be similar to."""
        self._earlier: dict[int, tuple[str, array[int]] | None] = {}
        """Place and runs of those, once they have been read again."""
        self._run_count = 0
        self.full = False
        """Whether there were more candidate pairs than MOST_PAIRS."""
        self._near_duplicates = FoundRows()

    def examine(self, checked: CheckedRow) -> None:
        self.rows += 1
        if self.rows > MOST_ROWS:
            return
        runs = runs_of(_text_of(checked))
        if self.rows > SAMPLE:
            self._keep(checked.number, digest(checked.text), runs)
            return
        self._first_rows.append((checked.number, digest(checked.text), runs))
        if self.rows == SAMPLE:
            self._take_first_rows()

    def _take_first_rows(self) -> None:
        self._common = common_runs(runs for *_, runs in self._first_rows)
        for number, exact, runs in self._first_rows:
            self._keep(number, exact, runs)
        self._first_rows = []

    def _keep(self, number: int, exact: int, runs: set[int]) -> None:
        runs -= self._common
        if len(runs) < FEWEST_RUNS:
            return
        for stored, band in zip(self._bands, bands_of(runs), strict=True):
            stored.append(band)
        self._exact.append(exact)
        self._numbers.append(number)

    def requested(self) -> Iterable[int]:
        """See ``Check.wanted``."""
        self._take_first_rows()
        pairs = 0
        for band in self._bands:
            first = -1
            for at in sorted(range(len(band)), key=band.__getitem__):
                if first < 0 or band[at] != band[first]:
                    first = at
                elif self._exact[at] == self._exact[first]:
                    continue
                elif pairs >= MOST_PAIRS:
                    self.full = True
                    break
                else:
                    pairs += 1
                    self._pairs.setdefault(self._numbers[at], set()).add(self._numbers[first])
        self._earlier = {number: None for numbers in self._pairs.values() for number in numbers}
        return {*self._pairs, *self._earlier}

    def reexamine(self, checked: CheckedRow) -> None:
        if checked.number not in self._pairs and checked.number not in self._earlier:
            return
        runs = runs_of(_text_of(checked)) - self._common
        for number in self._pairs.get(checked.number, ()):
            earlier = self._earlier[number]
            if earlier is not None and likeness(runs, earlier[1]) >= ALIKE:
                self._near_duplicates.add(checked, f"as {earlier[0]}: {checked.answer}")
                break
        if checked.number in self._earlier and self._run_count < MOST_RUNS:
            self._earlier[checked.number] = (checked.row.where, array("I", runs))
            self._run_count += len(runs)

    def findings(self) -> Iterator[Finding]:
        """See ``Check.findings``."""
        if self._near_duplicates.count:
            yield self._near_duplicates.finding(
                "near-duplicate",
                "note",
                f"{be(self._near_duplicates.count)} nearly the same as another",
                "They teach little new, and count more than once. Near duplicates are held out together "
                "or not at all.",
                "Keep one of each, unless the model should learn the small difference.",
            )


def _text_of(checked: CheckedRow) -> str:
    """Return a row's text without its system prompt, which many rows share."""
    if checked.row.text is not None:
        return checked.text
    return "\n".join(message["content"] for message in checked.row.messages if message["role"] != "system")


def likeness(runs: set[int], others: Collection[int]) -> float:
    """Return the Jaccard similarity of two rows."""
    both = sum(run in runs for run in others)
    return both / (len(runs) + len(others) - both)
