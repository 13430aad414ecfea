"""Which rows make up a step: batches of rows, or of packs of rows, in an order that comes from the seed."""

from __future__ import annotations

import bisect
import math
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from arkor_dev.local.modeling.example import Example
    from arkor_dev.local.training.plan import Plan

Batch = list["Example"]
"""Rows that are computed together."""
SORTED_AT_ONCE = 50
"""Of so many steps' rows those of like length come together, as in transformers."""


def packs(rows: Sequence[Example], tokens: int) -> list[Batch]:
    """All ``rows`` in packs of at most ``tokens``: the longest first, each where it leaves the least room."""
    made: list[Batch] = []
    room: list[tuple[int, int]] = []  # what is left in a pack, and which pack, in ascending order
    for row in sorted(rows, key=lambda row: -row.tokens):
        size = row.tokens
        place = bisect.bisect_left(room, (size, -1))
        if place < len(room):
            left, number = room.pop(place)
            made[number].append(row)
        else:
            left, number = tokens, len(made)
            made.append([row])
        if left > size:
            bisect.insort(room, (left - size, number))
    return made


def steps_per_epoch(units: int, batch_size: int, accumulation: int) -> int:
    """Steps in which ``units`` rows or packs are all seen once; the last may be a smaller one."""
    return math.ceil(math.ceil(units / batch_size) / accumulation)


def endless(rows: Sequence[Example], plan: Plan, seed: int, done: int = 0) -> Iterator[list[Batch]]:
    """Steps without end, each the batches whose gradients are added up before the weights move.

    Each epoch has every row once, in an order of its own. It begins behind the first ``done`` steps.
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
    """``order`` with the longest first within each of its windows, and the longest of all at the very front.

    A run that memory does not suffice for ends at its first step. Windows are whole steps, at most fifty.
    """

    def length(unit: Batch) -> int:
        return sum(row.tokens for row in unit)

    window = step * max(1, min(SORTED_AT_ONCE, len(order) // (4 * step)))
    sorted_ones: list[Batch] = []
    for start in range(0, len(order), window):
        sorted_ones += sorted(order[start : start + window], key=length, reverse=True)
    longest = max(range(len(sorted_ones)), key=lambda place: length(sorted_ones[place]))
    sorted_ones[0], sorted_ones[longest] = sorted_ones[longest], sorted_ones[0]
    return sorted_ones
