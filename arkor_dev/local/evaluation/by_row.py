"""Aggregates figures of examples to rows: a row may have several examples (see
``training.rows.encoding``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def rows_in(examples: Sequence[Any]) -> int:
    """Count the rows of a list of examples."""
    return sum(not example.same_row for example in examples)


def by_row(examples: Sequence[Any], measured: Sequence[tuple[float, int]]) -> list[float]:
    """Return each row's mean loss per token, from its examples' summed losses and token counts."""
    sums: list[tuple[float, int]] = []
    for example, (loss, tokens) in zip(examples, measured, strict=True):
        before, count = sums.pop() if example.same_row else (0.0, 0)
        sums.append((before + loss, count + tokens))
    return [loss / tokens for loss, tokens in sums]
