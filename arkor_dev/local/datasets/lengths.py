"""Row lengths and positions of learned tokens: exactly what truncation at any length would lose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from arkor_dev.contract.dataset_shapes import DatasetLengths

BOUND: Final = 32_768
"""Number of positions counted one by one; later ones are only summed."""


class Lengths:
    """Counts over rows, added one after another."""

    def __init__(self) -> None:
        self.read = 0
        self._rows = np.zeros(BOUND + 1, np.int64)
        self._beyond = 0
        # Learned tokens come in runs, so recording where each starts and ends suffices: cumulative sums give
        # every position.
        self._runs = np.zeros(BOUND + 1, np.int64)
        self._learned_beyond = 0
        self._first = np.zeros(BOUND + 1, np.int64)
        self._longest = 0

    def add(self, length: int, runs: Iterable[tuple[int, int]], first: int | None) -> None:
        """Add a row of ``length`` tokens, of which the ranges ``runs`` (from, to) are learned."""
        self.read += 1
        self._longest = max(self._longest, length)
        self._rows[min(length, BOUND)] += 1
        self._beyond += max(0, length - BOUND)
        for start, end in runs:
            self._runs[min(start, BOUND)] += 1
            self._runs[min(end, BOUND)] -= 1
            self._learned_beyond += max(0, end - max(start, BOUND))
        if first is not None:
            self._first[min(first, BOUND)] += 1

    def counts(self) -> DatasetLengths:
        """Return the counts up to the longest row."""
        top = min(self._longest, BOUND) + 1
        return {
            "read": self.read,
            "rows": self._rows[:top].tolist(),
            "beyond": self._beyond,
            "learned": np.cumsum(self._runs[:top]).tolist(),
            "learnedBeyond": self._learned_beyond,
            "first": self._first[:top].tolist(),
        }
