"""Splits held-out rows into a half that chooses, and a half that judges what was chosen.

The best of several adapters on some rows owes part of its lead to these rows' luck (Cawley and Talbot, On
Over-fitting in Model Selection and Subsequent Selection Bias in Performance Evaluation, 2010). So early
stopping, the best checkpoint and sweeps choose by one half, and the verdict on what they chose is measured on
the other (`scripts/bench verdict` measures the halves). Whoever has seen the losses of all rows chose by all
of them: that case has a correction, `.so_far`.

The halves depend only on what the rows contain. Rows that judge in one job choose in no other.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, TypeVar

from .minimums import ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from arkor_dev.data.rows import Row

Value = TypeVar("Value")


def text_of(row: Row) -> bytes:
    """Return everything in a row that matters, as JSON."""
    content: object = [row.messages, row.tools] if row.text is None else row.text
    if row.extra:
        content = [content, row.extra]
    return json.dumps(content, sort_keys=True).encode()


def key_of(row: Row) -> str:
    """Return a hash of the row's content."""
    return hashlib.sha256(text_of(row)).hexdigest()[:16]


def choosing_half(keys: Sequence[str], groups: Sequence[int]) -> list[bool]:
    """Return for each held-out row whether it is in the half that chooses; the other half judges.

    ``keys`` are hashes of the rows. Groups take turns in the order of their smallest hash.
    """
    first: dict[int, str] = {}
    for key, group in zip(keys, groups, strict=True):
        first[group] = min(key, first.get(group, key))
    order = sorted(first, key=lambda group: (first[group], group))
    position = {group: turn for turn, group in enumerate(order)}
    return [position[group] % 2 == 0 for group in groups]


def choosing(keys: Sequence[str], groups: Sequence[int]) -> list[bool]:
    """Return for each held-out row whether it chooses: a half, or all if they are too few to halve."""
    if len(set(groups)) < 2 * ROWS:
        return [True] * len(groups)
    return choosing_half(keys, groups)


def judging(chose: Sequence[bool], values: Iterable[Value]) -> list[Value]:
    """Return the rows' ``values`` without those of rows that ``chose``.

    Return all if none or all rows chose; after the latter there is no verdict, see ``minimum``.
    """
    if not chose or all(chose):
        return list(values)
    return [value for value, chooses in zip(values, chose, strict=True) if not chooses]


def minimum(chose: Sequence[bool]) -> int:
    """Return the minimum number of groups for a verdict, which those that all ``chose`` never reach."""
    return 2 * ROWS if chose and all(chose) else ROWS
