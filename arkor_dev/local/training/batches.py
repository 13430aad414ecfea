"""Which rows make up a step, and those rows as one rectangle of numbers."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from .encoding import IGNORED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .encoding import Example


def endless(rows: Sequence[Example], size: int, seed: int) -> Iterator[list[Example]]:
    """Batches of ``size`` rows, without end: each epoch has every row once, in an order of its own."""
    epoch = 0
    while True:
        order = list(rows)
        random.Random(f"{seed}/{epoch}").shuffle(order)  # noqa: S311 - order, not secrecy
        for start in range(0, len(order), size):
            yield order[start : start + size]
        epoch += 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows side by side, each ``[rows, longest]``; what fills up a shorter row is masked and not learned."""

    ids: Any
    mask: Any
    labels: Any


def collate(rows: Sequence[Example]) -> Batch:
    """``rows`` as one batch, in the processor's memory."""
    ids = torch.zeros(len(rows), max(len(row.ids) for row in rows), dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, IGNORED)
    for place, row in enumerate(rows):
        length = len(row.ids)
        ids[place, :length] = torch.tensor(row.ids)
        mask[place, :length] = 1
        labels[place, :length] = torch.tensor(row.labels)
    return Batch(ids, mask, labels)
