"""Packs a batch's rows into one sequence, without padding and with shared prefixes computed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

WORTH_SHARING: Final = 16
"""Minimum number of equal first tokens worth sharing: with fewer, reassembling costs more than it saves."""
GROUP_AREA: Final = 2**16
"""Maximum number of pairs of positions attended together, so that a head's result stays in the cache."""
LENGTH_SIMILARITY: Final = 0.8
"""Minimum length of a row relative to the longest one in its group."""


class Span(NamedTuple):
    """Positions ``start`` to ``end`` of a packed batch: a row's tokens from its position ``at`` on."""

    at: int
    start: int
    end: int

    def cut(self, length: int) -> Span:
        """Return the part of the span within the first ``length`` tokens of the row."""
        return self._replace(end=min(self.end, self.start + length - self.at))


@dataclass(frozen=True, slots=True)
class AttentionGroup:
    """Rows of a packed batch whose attention is computed at once, as a rectangle ``[rows, length]``.

    ``positions`` maps the flat rectangle to positions of the batch; a shorter row repeats its last one.
    ``spans`` are all spans of the rows and ``new_spans`` those not shared with an earlier row, each with its
    offset in the flat rectangle. ``empty`` lists the positions of the rectangle whose results are not used.
    """

    rows: int
    length: int
    positions: Tensor
    spans: tuple[Span, ...]
    new_spans: tuple[Span, ...]
    empty: Tensor


@dataclass(frozen=True, slots=True)
class PackedRows:
    """Packed rows as ``ids`` and ``positions``, each ``[1, positions]``.

    ``rows`` has the spans of each row: first those that it shares with earlier rows, last its own.
    ``learned_positions`` are those whose next token is learned, once for each row that learns it, and
    ``targets`` those tokens, both ``[learned]``.
    """

    ids: Tensor
    positions: Tensor
    rows: tuple[tuple[Span, ...], ...]
    groups: tuple[AttentionGroup, ...]
    learned_positions: Tensor
    targets: Tensor

    @property
    def longest(self) -> int:
        """The number of tokens in the longest row."""
        return max(map(_length, self.rows))

    @property
    def saved(self) -> int:
        """The number of tokens that are not computed again, since an earlier row has them."""
        return sum(map(_length, self.rows)) - int(self.ids.shape[1])


def pack_rows(
    rows: Sequence[tuple[list[int], list[int]]], ignored: int, share: bool = True, device: str = "cpu"
) -> PackedRows:
    """Pack ``rows``, each its ids and labels; tokens labelled ``ignored`` are not learned.

    A row shares its prefix with the row before it, so rows with the same prompt should be adjacent. Without
    ``share``, no prefix is shared, as layers that draw random numbers require. ``groups`` are used only on a
    CPU: on another ``device`` there are none.
    """
    ids: list[int] = []
    positions: list[int] = []
    packed: list[tuple[Span, ...]] = []
    learned_positions: list[int] = []
    targets: list[int] = []
    before: list[int] = []
    for row, labels in rows:
        shared = shared_beginning([before, row]) if share and packed else 0
        spans = [span.cut(shared) for span in packed[-1] if span.at < shared] if shared else []
        spans.append(Span(shared, len(ids), len(ids) + len(row) - shared))
        packed.append(tuple(spans))
        ids += row[shared:]
        positions.extend(range(shared, len(row)))
        places = [position for span in spans for position in range(span.start, span.end)]
        for position, label in zip(places, labels[1:], strict=False):
            if label != ignored:
                learned_positions.append(position)
                targets.append(label)
        before = row
    return PackedRows(
        torch.tensor([ids], device=device),
        torch.tensor([positions], device=device),
        tuple(packed),
        _groups(packed) if device == "cpu" else (),
        torch.tensor(learned_positions, dtype=torch.long, device=device),
        torch.tensor(targets, dtype=torch.long, device=device),
    )


def _length(spans: Sequence[Span]) -> int:
    at, start, end = spans[-1]
    return at + end - start


def _groups(rows: Sequence[tuple[Span, ...]]) -> tuple[AttentionGroup, ...]:
    """Group short rows of similar length, for which the overhead of a call exceeds its computation."""
    lengths = list(map(_length, rows))
    groups: list[list[int]] = []
    for number in sorted(range(len(rows)), key=lambda number: -lengths[number]):
        longest, count = (lengths[groups[-1][0]], len(groups[-1])) if groups else (0, 0)
        if (
            count
            and (count + 1) * longest**2 <= GROUP_AREA
            and lengths[number] >= LENGTH_SIMILARITY * longest
        ):
            groups[-1].append(number)
        else:
            groups.append([number])
    return tuple(_group([rows[number] for number in numbers]) for numbers in groups)


def _group(rows: Sequence[tuple[Span, ...]]) -> AttentionGroup:
    length = max(map(_length, rows))
    places: list[int] = []
    all_spans: list[Span] = []
    own: list[Span] = []
    empty: list[int] = []
    for row, spans in enumerate(rows):
        first, stop = row * length, row * length + _length(spans)
        moved = [span._replace(at=first + span.at) for span in spans]
        all_spans += moved
        own.append(moved[-1])
        places += [position for span in spans for position in range(span.start, span.end)]
        places += [places[-1]] * (first + length - stop)
        empty += [*range(first, moved[-1].at), *range(stop, first + length)]
    flat, nowhere = (torch.tensor(positions, dtype=torch.long) for positions in (places, empty))
    return AttentionGroup(len(rows), length, flat, tuple(all_spans), tuple(own), nowhere)


def shared_beginning(rows: Sequence[list[int]]) -> int:
    """Count the first tokens shared by all ``rows``, leaving each at least one; 0 if too few to matter."""
    if len(rows) < 2:
        return 0
    most = min(len(row) for row in rows) - 1
    first = rows[0]
    count = next((n for n in range(most) if any(row[n] != first[n] for row in rows[1:])), most)
    return count if count >= WORTH_SHARING else 0
