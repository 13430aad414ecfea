"""Rows of a batch end to end in one line: no place is padding, and no beginning is computed twice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

WORTH_SHARING: Final = 16
"""Fewest tokens that rows must begin with alike: below, putting them together costs what it saves."""


@dataclass(frozen=True, slots=True)
class Line:
    """Rows as ``ids`` and ``positions``, each ``[1, places]``.

    The first ``shared`` places begin every row; then comes the rest of each, from and to the places of
    ``parts``. ``kept`` are the places whose next token is learned, once for each row that learns it, and
    ``targets`` those tokens, both ``[learned]``.
    """

    ids: Any
    positions: Any
    shared: int
    parts: tuple[tuple[int, int], ...]
    kept: Any
    targets: Any

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return self.shared + max(end - start for start, end in self.parts)


def lay(rows: Sequence[tuple[list[int], list[int]]], ignored: int, share: bool = True) -> Line:
    """A line of ``rows``, each its ids and its labels; a label ``ignored`` is not learned.

    Without ``share`` each row has a beginning of its own, as it must where layers draw random numbers.
    """
    shared = shared_beginning([ids for ids, _ in rows]) if share else 0
    ids, positions = rows[0][0][:shared], list(range(shared))
    parts: list[tuple[int, int]] = []
    kept: list[int] = []
    targets: list[int] = []
    for row, labels in rows:
        start = len(ids)
        ids = ids + row[shared:]
        positions.extend(range(shared, len(row)))
        parts.append((start, len(ids)))
        for place, label in enumerate(labels[1:]):
            if label != ignored:
                kept.append(place if place < shared else start + place - shared)
                targets.append(label)
    return Line(
        torch.tensor([ids]),
        torch.tensor([positions]),
        shared,
        tuple(parts),
        torch.tensor(kept, dtype=torch.long),
        torch.tensor(targets, dtype=torch.long),
    )


def shared_beginning(rows: Sequence[list[int]]) -> int:
    """With how many tokens all ``rows`` begin alike, each keeping one of its own; 0 where it does not pay."""
    if len(rows) < 2:
        return 0
    most = min(len(row) for row in rows) - 1
    first = rows[0]
    count = next((n for n in range(most) if any(row[n] != first[n] for row in rows[1:])), most)
    return count if count >= WORTH_SHARING else 0
