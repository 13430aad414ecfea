"""Batches rows of similar length, to minimise padding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arkor_dev.local.modeling.example import Example

    Measure = Callable[[Sequence[Any]], list[tuple[float, int]]]
    """Of each row its summed cross entropy and how many tokens that is of."""


def batches_by_length(lengths: Sequence[int], size: int, tokens: int | None = None) -> list[list[int]]:
    """Group the indices of ``lengths`` into batches of similar lengths, of at most ``size`` rows.

    ``tokens`` limits a batch's tokens, padding included; a longer row forms its own batch.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    batches, start = list[list[int]](), 0
    while start < len(order):
        longest = max(1, lengths[order[start]])
        count = size if tokens is None else min(size, max(1, tokens // longest))
        batches.append(order[start : start + count])
        start += count
    return batches


def lengths_of(examples: Sequence[Example]) -> list[int]:
    """Return each example's number of tokens."""
    return [example.tokens for example in examples]


def measured(
    measure: Measure, examples: Sequence[Any], size: int, tokens: int | None = None
) -> list[tuple[float, int]]:
    """Apply ``measure`` to ``examples`` in batches of similar length; return the results in order.

    ``size`` and ``tokens`` limit a batch as in :func:`batches_by_length`.
    """
    found: list[tuple[float, int]] = [(0.0, 0)] * len(examples)
    for places in batches_by_length(lengths_of(examples), size, tokens):
        for place, each in zip(places, measure([examples[place] for place in places]), strict=True):
            found[place] = each
    return found
