"""Batches rows of similar length, to minimise padding."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arkor_dev.local.modeling.example import Example

    Measure = Callable[[Sequence[Example]], list[tuple[float, float]]]
    """For each row, its summed cross entropy and the number of tokens summed over."""

Item = TypeVar("Item")
Value = TypeVar("Value")


def rows_in(examples: Sequence[Example]) -> int:
    """Count the rows of a list of examples."""
    return sum(not example.same_row for example in examples)


def by_row(examples: Sequence[Example], measured: Sequence[tuple[float, float]]) -> list[float]:
    """Return each row's mean loss per token, from its examples' summed losses and token counts."""
    sums: list[tuple[float, float]] = []
    for example, (loss, tokens) in zip(examples, measured, strict=True):
        before, count = sums.pop() if example.same_row else (0.0, 0)
        sums.append((before + loss, count + tokens))
    return [loss / tokens for loss, tokens in sums]


def of_rows(examples: Sequence[Example], values: Sequence[Value], rows: Sequence[bool]) -> list[Value]:
    """Return the ``values`` of those ``examples`` whose row is among ``rows``."""
    row, found = -1, []
    for example, value in zip(examples, values, strict=True):
        row += not example.same_row
        if rows[row]:
            found.append(value)
    return found


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
    measure: Measure, examples: Sequence[Example], size: int, tokens: int | None = None
) -> list[tuple[float, float]]:
    """Apply ``measure`` to ``examples`` in batches of similar length; return the results in order.

    ``size`` and ``tokens`` limit a batch as in :func:`batches_by_length`.
    """
    return in_batches(measure, examples, lengths_of(examples), size, tokens)


def in_batches(
    compute: Callable[[list[Item]], list[Value]],
    items: Sequence[Item],
    lengths: Sequence[int],
    size: int,
    tokens: int | None = None,
) -> list[Value]:
    """Apply ``compute`` to ``items`` in batches of similar ``lengths``; return the results in order.

    ``size`` and ``tokens`` as in :func:`batches_by_length`.
    """
    results: dict[int, Value] = {}
    for places in batches_by_length(lengths, size, tokens):
        results.update(zip(places, compute([items[index] for index in places]), strict=True))
    return [results[index] for index in range(len(items))]
