"""Agreement of two people who have judged the same rows: Cohen's kappa with an interval.

Kappa is the share of equal judgements beyond what chance gives: 1 is full agreement, 0 is none beyond chance.

J. Cohen, A coefficient of agreement for nominal scales, 1960. The interval is Bayesian: quantiles of kappa
over tables drawn from a Dirichlet posterior with Perks' prior (one observation, spread over all cells).
Unlike the usual standard error it is not zero for perfect agreement on a few rows. Of 20 rows it has the true
kappa in about 90 of 100 cases, of 50 and more in about 94 (``scripts/bench agreement``).
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DRAWS: Final = 2_000
LEVEL: Final = 0.95
LEAST_ROWS: Final = 20
"""Minimum number of rows that both a person and a rubric's judge have judged, for the judge to be heard."""
LEAST_KAPPA: Final = 0.4
"""Minimum agreement from which the judge is heard: moderate, by Landis and Koch (1977)."""


class Agreement(NamedTuple):
    """Kappa of ``rows`` judgements, of which ``equal`` agree; its 95 % interval is ``low`` to ``high``."""

    rows: int
    equal: int
    kappa: float
    low: float
    high: float

    @property
    def is_heard(self) -> bool:
        """Whether the judge is heard: there are enough rows, and enough agreement with the person."""
        return self.rows >= LEAST_ROWS and self.kappa >= LEAST_KAPPA


def agreement(pairs: Iterable[tuple[str, str]]) -> Agreement | None:
    """Return the agreement of two people, from their judgements of each row.

    None if kappa is not defined: without rows, or if both always judge the same.
    """
    counts = Counter(pairs)
    kinds = sorted({kind for pair in counts for kind in pair})
    if len(kinds) < 2:
        return None
    cells = [(first, second) for first in kinds for second in kinds]
    kappa = _kappa(counts)
    prior = 1 / len(cells)
    draw = random.Random(0).gammavariate  # noqa: S311 - no secret; the same data give the same interval
    samples = sorted(_kappa({cell: draw(counts[cell] + prior, 1.0) for cell in cells}) for _ in range(DRAWS))
    tail = round(DRAWS * (1 - LEVEL) / 2)
    # The posterior's interval is moved by its prior; the estimate itself must not be outside.
    low, high = min(samples[tail], kappa), max(samples[-1 - tail], kappa)
    equal = sum(count for (first, second), count in counts.items() if first == second)
    return Agreement(counts.total(), equal, kappa, low, high)


def _kappa(table: Mapping[tuple[str, str], float]) -> float:
    total = sum(table.values())
    first: Counter[str] = Counter()
    second: Counter[str] = Counter()
    equal = 0.0
    for (left, right), count in table.items():
        first[left] += count  # type: ignore[assignment]
        second[right] += count  # type: ignore[assignment]
        equal += count * (left == right)
    chance = sum(first[kind] * second[kind] for kind in first) / total**2
    return (equal / total - chance) / (1 - chance) if chance < 1 else 1.0
