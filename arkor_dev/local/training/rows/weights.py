"""Mixes the sources of a data set by their weights, after rows were held out.

A row with weight 2 is in each epoch twice. Of a source with weight 0.5, the same half of its training rows is
in each epoch. So copies of a row never cross the split, and a resumed run has the same rows.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from arkor_dev.data.rows import Row


def weighted(rows: Sequence[Row], weights: Sequence[float], seed: int) -> list[Row]:
    """Return each of ``rows`` as often as the weight of its source says, copies side by side.

    ``weights`` are those of the sources, by number. The fraction of a weight is the share of the source's
    rows that occur once more, rounded to whole rows and chosen by ``seed``. Raises JobFailure if no row is
    left.
    """
    counts = Counter(row.source for row in rows)
    more = {
        source: _chosen(count, weights[source] % 1, f"{seed}/weights/{source}")
        for source, count in counts.items()
    }
    mixed: list[Row] = []
    seen: Counter[int] = Counter()
    for row in rows:
        number, seen[row.source] = seen[row.source], seen[row.source] + 1
        mixed += [row] * (int(weights[row.source]) + (number in more[row.source]))
    if not mixed:
        raise JobFailure("The weights of the data set leave no row to train on: raise one of them")
    return mixed


def _chosen(count: int, share: float, seed: str) -> set[int]:
    return set(random.Random(seed).sample(range(count), round(share * count)))  # noqa: S311 - no secret


def distinct(rows: Sequence[Row]) -> list[Row]:
    """Return ``rows`` without the copies that `weighted` has made."""
    return list({id(row): row for row in rows}.values())


def sentence(before: Sequence[Row], mixed: Sequence[Row], names: Sequence[str]) -> str:
    """Describe the mixture, by source: how many training rows it has, and how often an epoch uses any."""
    had, used = Counter(row.source for row in before), Counter(row.source for row in mixed)
    parts = [
        f"{name} {used[number]:,} of {had[number]:,}" for number, name in enumerate(names) if had[number]
    ]
    return f"Rows of an epoch, by source: {', '.join(parts)}"
