"""Packs a batch's rows into one sequence, without padding and with a shared beginning computed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

WORTH_SHARING: Final = 16
"""Fewest equal first tokens worth sharing: below, reassembling costs what it saves."""
GROUP_AREA: Final = 2**16
"""Most pairs of positions of rows attended together, so that a head's result stays in the cache."""
LIKE: Final = 0.8
"""Smallest length of a row relative to the longest in its group."""


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Rows of a packed batch whose attention is computed at once, as a rectangle ``[rows, length]``.

    ``places`` maps the flat rectangle to positions of the batch: each row starts with the shared beginning,
    and a shorter one repeats its last position. Position ``own`` of the batch is ``taken`` in the flat
    rectangle; this covers all but the shared beginning, which counts only in row ``first``, if that is the
    batch's first row. ``empty`` lists positions of the rectangle that count nowhere.
    """

    rows: int
    length: int
    places: Any
    own: Any
    taken: Any
    empty: Any
    first: int | None


@dataclass(frozen=True, slots=True)
class PackedRows:
    """Packed rows as ``ids`` and ``positions``, each ``[1, positions]``.

    The first ``shared`` positions start every row; the rest of each row is at the ranges ``parts``. ``kept``
    are the positions whose next token is learned, once for each row that learns it, and ``targets`` those
    tokens, both ``[learned]``.
    """

    ids: Any
    positions: Any
    shared: int
    parts: tuple[tuple[int, int], ...]
    groups: tuple[RowGroup, ...]
    kept: Any
    targets: Any

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return self.shared + max(end - start for start, end in self.parts)


def pack_rows(
    rows: Sequence[tuple[list[int], list[int]]], ignored: int, share: bool = True, device: str = "cpu"
) -> PackedRows:
    """Pack ``rows``, each its ids and labels; tokens labelled ``ignored`` are not learned.

    Without ``share`` no beginning is shared, which layers that draw random numbers require. Only a CPU
    attends to rows in ``groups``: on another ``device`` there are none.
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
    return PackedRows(
        torch.tensor([ids], device=device),
        torch.tensor([positions], device=device),
        shared,
        tuple(parts),
        _groups(parts, shared) if device == "cpu" else (),
        torch.tensor(kept, dtype=torch.long, device=device),
        torch.tensor(targets, dtype=torch.long, device=device),
    )


def _groups(parts: Sequence[tuple[int, int]], shared: int) -> tuple[RowGroup, ...]:
    """Group short rows of similar length, for which a call costs more than its computation."""
    lengths = [shared + end - start for start, end in parts]
    groups: list[list[int]] = []
    for number in sorted(range(len(parts)), key=lambda number: -lengths[number]):
        longest, rows = (lengths[groups[-1][0]], len(groups[-1])) if groups else (0, 0)
        if rows and (rows + 1) * longest**2 <= GROUP_AREA and lengths[number] >= LIKE * longest:
            groups[-1].append(number)
        else:
            groups.append([number])
    return tuple(_group(numbers, parts, shared) for numbers in groups)


def _group(numbers: Sequence[int], parts: Sequence[tuple[int, int]], shared: int) -> RowGroup:
    length = shared + max(parts[number][1] - parts[number][0] for number in numbers)
    places: list[int] = []
    own: list[int] = []
    taken: list[int] = []
    empty: list[int] = []
    for row, number in enumerate(numbers):
        start, end = parts[number]
        begin, stop = row * length + shared, row * length + shared + end - start
        places += [*range(shared), *range(start, end), *[end - 1] * ((row + 1) * length - stop)]
        own += range(start, end)
        taken += range(begin, stop)
        empty += [*(range(begin - shared, begin) if number else ()), *range(stop, (row + 1) * length)]
    first = numbers.index(0) if 0 in numbers else None
    flat, of_batch, of_rows, nowhere = (
        torch.tensor(each, dtype=torch.long) for each in (places, own, taken, empty)
    )
    return RowGroup(len(numbers), length, flat, of_batch, of_rows, nowhere, first)


def shared_beginning(rows: Sequence[list[int]]) -> int:
    """Count the first tokens that all ``rows`` share, leaving each at least one; 0 if too few to pay off."""
    if len(rows) < 2:
        return 0
    most = min(len(row) for row in rows) - 1
    first = rows[0]
    count = next((n for n in range(most) if any(row[n] != first[n] for row in rows[1:])), most)
    return count if count >= WORTH_SHARING else 0
