"""Whether two models differ on the same rows: the difference, its interval, and how many rows would tell.

Each row counts the same, however long: its figure is its mean loss a token. Rows are drawn with replacement,
both models' losses of one row together (Koehn, Statistical Significance Tests for Machine Translation
Evaluation, 2004), and rows that share a question together. The interval is the bootstrap-t (Efron and
Tibshirani, An Introduction to the Bootstrap, 1993, chapter 12.5): each draw's error over its own standard
error. Plain percentiles are too narrow for the few rows that are usual here: with eight, they call an adapter
that changes nothing better in 6 to 9 % of comparisons instead of 2.5 % (``scripts/bench verdict``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

RESAMPLES: Final = 10_000
AT_ONCE: Final = 1_000_000
"""Rows that are drawn at once: some tens of MiB."""
LEVEL: Final = 0.05
FEWEST: Final = 8
"""With fewer rows (or questions) nothing is said."""
POWER: Final = 0.8
MOST_TO_SETTLE: Final = 100_000
"""Where more rows would be needed, the two are alike for all that a person could find out."""
SEED: Final = 2004


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same ``rows``: their mean losses, and ``mean`` = ``base`` - ``adapter``.

    ``low`` and ``high`` are the interval of the mean; ``groups`` are the rows that are independent of one
    another, ``error`` is the standard error of the mean.
    """

    base: float
    adapter: float
    rows: int
    groups: int
    mean: float
    low: float
    high: float
    error: float

    @property
    def verdict(self) -> str:
        """``better``, ``worse``, ``same`` (nothing that so few rows can show) or ``unknown`` (too few)."""
        if self.groups < FEWEST:
            return "unknown"
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "same"

    @property
    def rows_to_settle(self) -> int | None:
        """With how many rows a difference of this size is found four times in five; None for too many.

        From the spread that was seen, as for a paired t test (Guenther, Sample Size Formulas for Normal
        Theory T Tests, 1981), with the side of the interval that is towards zero: the wider one where a few
        rows lose much.
        """
        if self.groups < 3:
            return FEWEST
        if not self.mean or not math.isfinite(self.error):
            return None
        normal = NormalDist()
        found, sure = normal.inv_cdf(POWER), normal.inv_cdf(1 - LEVEL / 2)
        side = self.mean - self.low if self.mean > 0 else self.high - self.mean
        sure = max(sure, side / self.error) if self.error else sure
        spread = self.error * math.sqrt(self.groups)
        count = ((found + sure) * spread / self.mean) ** 2 + sure**2 / 2
        needed = max(FEWEST, math.ceil(count)) * self.rows / self.groups
        return math.ceil(needed) if needed <= MOST_TO_SETTLE else None


def compare(
    base: Sequence[float],
    adapter: Sequence[float],
    groups: Sequence[Hashable] | None = None,
    level: float = LEVEL,
    least: float = 0.0,
) -> Comparison:
    """Compare the losses of the same rows, one or more; rows of one of ``groups`` belong together.

    The same losses always give the same interval. ``level`` is the part of the draws outside of it, and
    ``least`` the standard error that a draw has at least.
    """
    gains = np.asarray(base, dtype=float) - np.asarray(adapter, dtype=float)
    sums, counts = _grouped(gains, groups)
    mean = float(sums.sum() / counts.sum())
    error = float(_errors(sums[None], counts[None], np.array([mean]))[0])
    low = high = mean
    if len(sums) > 1 and error > 0:
        small, large = np.quantile(_draws(sums, counts, mean, error, least), [level / 2, 1 - level / 2])
        low, high = mean - float(large) * error, mean - float(small) * error
    return Comparison(
        base=float(np.mean(base)),
        adapter=float(np.mean(adapter)),
        rows=len(gains),
        groups=len(sums),
        mean=mean,
        low=low,
        high=high,
        error=error,
    )


def _grouped(gains: Any, groups: Sequence[Hashable] | None) -> tuple[Any, Any]:
    """The sum of each group's gains, and how many rows it has."""
    if groups is None:
        return gains, np.ones(len(gains))
    places: dict[Hashable, int] = {}
    for group in groups:
        places.setdefault(group, len(places))
    which = [places[group] for group in groups]
    return np.bincount(which, gains), np.bincount(which).astype(float)


def _errors(sums: Any, counts: Any, means: Any) -> Any:
    """Standard errors ``[draws]`` of the ``means`` of groups ``[draws, groups]``."""
    number = sums.shape[1]
    if number < 2:
        return np.full(len(means), math.inf)
    apart = sums - means[:, None] * counts
    return np.sqrt((apart**2).sum(1) * number / (number - 1)) / counts.sum(1)


def _draws(sums: Any, counts: Any, mean: float, error: float, least: float) -> Any:
    """How far each draw's mean lies from ``mean``, in its own standard errors."""
    chance, number = np.random.default_rng(SEED), len(sums)
    step = max(1, AT_ONCE // number)
    found = []
    for start in range(0, RESAMPLES, step):
        drawn = chance.integers(0, number, (min(step, RESAMPLES - start), number))
        some, many = sums[drawn], counts[drawn]
        means = some.sum(1) / many.sum(1)
        # A draw of one row over and over has no spread; it must not count as infinitely far away.
        found.append((means - mean) / np.maximum(_errors(some, many, means), max(1e-3 * error, least)))
    return np.concatenate(found)
