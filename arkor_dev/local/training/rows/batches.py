"""Groups rows, or packs of rows, into steps, in an order determined by the seed."""

from __future__ import annotations

import bisect
import random
from typing import TYPE_CHECKING

from arkor_dev.local.training.plan import steps_per_epoch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.plan import Plan

Batch = list["Example"]
"""Rows that are computed together: a batch."""
SORTED_AT_ONCE = 50
"""Number of steps whose rows are sorted by length together, as in transformers."""


def packs(rows: Sequence[Example], tokens: int) -> list[Batch]:
    """Pack all ``rows`` into at most ``tokens`` each, longest first, into the fullest pack that fits."""
    batches: list[Batch] = []
    room: list[tuple[int, int]] = []  # free tokens and index of each pack, in ascending order
    for row in sorted(rows, key=lambda row: -row.tokens):
        size = row.tokens
        position = bisect.bisect_left(room, (size, -1))
        if position < len(room):
            free, number = room.pop(position)
            batches[number].append(row)
        else:
            free, number = tokens, len(batches)
            batches.append([row])
        if free > size:
            bisect.insort(room, (free - size, number))
    return batches


def endless(rows: Sequence[Example], plan: Plan, seed: int, done: int = 0) -> Iterator[list[Batch]]:
    """Yield steps without end: lists of batches whose gradients are accumulated.

    Each epoch visits every row once, in its own order. Skips the first ``done`` steps.
    """
    units = packs(rows, plan.packed_to) if plan.packed_to else [[row] for row in rows]
    size = plan.batch_size
    epoch, skipped = divmod(done, steps_per_epoch(len(units), size, plan.accumulation))
    while True:
        chance = random.Random(f"{seed}/{epoch}")  # noqa: S311 - order, not secrecy
        order = list(units)
        chance.shuffle(order)
        if plan.by_length:
            order = _by_length(order, size * plan.accumulation)
        batches = [
            [row for unit in order[start : start + size] for row in unit]
            for start in range(0, len(order), size)
        ]
        for start in range(skipped * plan.accumulation, len(batches), plan.accumulation):
            yield batches[start : start + plan.accumulation]
        epoch, skipped = epoch + 1, 0


def _by_length(order: list[Batch], step: int) -> list[Batch]:
    """Sort each window of ``order`` by length, longest first, and move the longest row to the front.

    That way, a run that exceeds memory fails in its first step. A window is at most fifty whole steps.
    """

    def length(unit: Batch) -> int:
        return sum(row.tokens for row in unit)

    window = step * max(1, min(SORTED_AT_ONCE, len(order) // (4 * step)))
    sorted_ones: list[Batch] = []
    for start in range(0, len(order), window):
        sorted_ones += sorted(order[start : start + window], key=length, reverse=True)
    longest = max(range(len(sorted_ones)), key=lambda index: length(sorted_ones[index]))
    sorted_ones[0], sorted_ones[longest] = sorted_ones[longest], sorted_ones[0]
    return sorted_ones
