"""Rows measured in batches of like length, so that little of a batch is padding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Measure = Callable[[Sequence[Any]], list[tuple[float, int]]]
    """Of each row its summed cross entropy and how many tokens that is of."""


def together(examples: Sequence[Any], size: int) -> list[list[int]]:
    """Batches of at most ``size`` places of ``examples``, rows of like length together: little is padding."""
    order = sorted(range(len(examples)), key=lambda place: -len(examples[place].ids))
    return [order[start : start + size] for start in range(0, len(order), size)]


def measured(measure: Measure, examples: Sequence[Any], size: int) -> list[tuple[float, int]]:
    """What ``measure`` gives of each of ``examples``, in their order; computed in batches of like length."""
    found: list[tuple[float, int]] = [(0.0, 0)] * len(examples)
    for places in together(examples, size):
        for place, each in zip(places, measure([examples[place] for place in places]), strict=True):
            found[place] = each
    return found
