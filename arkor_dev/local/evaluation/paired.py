"""Paired comparison of two models on the same rows: the difference, its interval and the verdict.

Each row counts equally, whatever its length: its figure is its mean loss per token. Rows are drawn with
replacement, both models' losses of one row together (Koehn, Statistical Significance Tests for Machine
Translation Evaluation, 2004), and rows of one group together. The interval is the bootstrap-t (Efron and
Tibshirani, An Introduction to the Bootstrap, 1993, chapter 12.5): each draw's error is divided by that draw's
standard error. With fewer than ``FEW`` groups it is a 99 % interval, since skewed losses make the 95 % one
too narrow (measured by ``scripts/bench verdict``).

Of several looks at one run (`.so_far`), each interval has only a share of the error: of 1 % with fewer than
``RARE`` groups, since skew counts for more so far out. There, 10,000 draws of few rows are too few, so each
end of such an interval is also at least as far as Student's t.

No interval knows of rare rows that its sample does not have: if one row in twenty loses nineteen times what
each other gains, there is none among 20 rows in a third of samples. So a verdict on up to ``RARE`` rows says
whether such rows could overturn it, and whether one or two rows carry it. The interval is not widened for
them: allowing for 1 nat in as many rows as may be missing would leave unclear four of five gains of 0.15 nats
that 32 rows show.

A model is better or worse only if the whole interval is beyond the margin (superiority by a margin), and the
same only if the whole interval is within it (Schuirmann, A comparison of the Two One-Sided Tests Procedure,
1987). A significant difference of 0.00004 nats is neither.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np

from .halves import judging, minimum
from .minimums import ROWS

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    Real = NDArray[np.float64]

RESAMPLES: Final = 10_000
AT_ONCE: Final = 1_000_000
"""Size in rows of a chunk of draws: some tens of MiB."""
FEW: Final = 30
"""With fewer rows than this, the interval is wider and the verdict states their number."""
LEVEL: Final = 0.05
LEVEL_OF_FEW: Final = 0.01
POWER: Final = 0.8
RARE: Final = 100
"""With at most so many groups, a verdict says whether a few rows carry it, or rare ones could overturn it."""
LARGE: Final = 1.0
"""A large change of a row's loss, in nats per token: 2.7 times the probability per token."""
MOST_TO_SETTLE: Final = 100_000
"""If more rows than this would be needed, the models are practically indistinguishable."""
SEED: Final = 2004


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same ``rows``: their mean losses, and ``mean`` = ``base`` - ``adapter``.

    ``low`` and ``high`` bound the interval of the mean, ``error`` is its standard error. ``groups`` counts
    independent rows. Differences below ``margin`` do not matter. ``higher`` is the name of a measure for
    which more is better; its negated values are compared. With fewer than ``minimum`` groups there is no
    verdict. ``chose`` more rows took part in choosing the adapter, so they don't judge it. Without
    ``carried`` groups, one or two, the mean would be ``rest``, less than half of it. ``share`` is the
    interval's share of the error, if it is one of several.
    """

    base: float
    adapter: float
    rows: int
    groups: int
    mean: float
    low: float
    high: float
    error: float
    margin: float = 0.0
    higher: str = ""
    minimum: int = ROWS
    chose: int = 0
    carried: int = 0
    rest: float = 0.0
    share: float = 1.0

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` by more than the margin, ``same`` within it, or ``unclear``."""
        if self.groups < self.minimum:
            return "unclear"
        if self.low > self.margin:
            return "better"
        if self.high < -self.margin:
            return "worse"
        return "same" if -self.margin <= self.low and self.high <= self.margin else "unclear"

    @property
    def measured(self) -> tuple[float, float]:
        """The means of base and adapter as measured: of a measure of which more is better, not negated."""
        return (-self.base, -self.adapter) if self.higher else (self.base, self.adapter)

    @property
    def noun(self) -> str:
        """The noun for a row, or for an independent row if there are groups."""
        return "row" if self.groups == self.rows else "independent row"

    @property
    def few(self) -> bool:
        """Return whether there are so few rows that the verdict must state their number."""
        return self.groups < FEW

    @property
    def unlike(self) -> float:
        """The largest share of rows of which, with 95 % confidence, there may be none among these."""
        return float(1 - LEVEL ** (1 / self.groups))

    @property
    def overturned_by(self) -> float | None:
        """The mean difference at which ``unlike`` rows would take a ``better`` or ``worse`` back.

        None if that is no threat: with many groups, or if even a ``LARGE`` change of such rows is too little.
        """
        if self.verdict not in ("better", "worse") or self.groups > RARE:
            return None
        sign = 1 if self.verdict == "better" else -1
        end = self.low if self.verdict == "better" else self.high
        difference = (sign * self.margin - (1 - self.unlike) * end) / self.unlike
        return difference if sign * difference > -LARGE else None

    @property
    def confidence(self) -> int:
        """The interval's confidence level, in whole percent, rounded down."""
        return math.floor(100 * (1 - _level(self.groups, self.share)) + 1e-9)

    @property
    def rows_to_settle(self) -> int | None:
        """Estimate the held-out rows that settle this difference with a power of 80 %; None for too many.

        With that many rows, the nearer end of the interval reaches the margin, from inside or outside, given
        the observed spread: as for a paired t test (Guenther, Sample Size Formulas for Normal Theory T Tests,
        1981), with the half of the interval towards zero, the wider one if a few rows have large losses.
        """
        if self.groups < self.minimum:  # their spread is too uncertain to extrapolate from
            return math.ceil(self.minimum * self.rows / self.groups)
        away = abs(abs(self.mean) - self.margin)
        if not away or not math.isfinite(self.error):
            return None
        side = self.mean - self.low if self.mean > 0 else self.high - self.mean
        sure = _deviations(_level(self.groups, self.share))
        stretch = max(1.0, side / self.error / sure) if self.error else 1.0

        def needed(level: float) -> float:
            power, sure = NormalDist().inv_cdf(POWER), stretch * _deviations(self.share * level)
            return ((power + sure) * self.error * math.sqrt(self.groups) / away) ** 2 + sure**2 / 2

        count = needed(LEVEL)
        if count < FEW:
            count = min(FEW, needed(LEVEL_OF_FEW))
        rows = max(ROWS, math.ceil(count)) * (self.rows + self.chose) / self.groups
        return math.ceil(rows) if rows <= MOST_TO_SETTLE else None


def compare(
    base: Sequence[float],
    adapter: Sequence[float],
    groups: Sequence[Hashable] | None = None,
    margin: float = 0.0,
    least: float = 0.0,
    chose: Sequence[bool] = (),
    share: float = 1.0,
    parts: int = 1,
) -> Comparison:
    """Compare losses on the same rows, one or more; rows of one of ``groups`` are drawn together.

    Deterministic. Differences below ``margin`` do not matter. ``least`` is the lower limit for a draw's
    standard error. Rows that ``chose`` the adapter among others take no part; if all did, there is no
    verdict. ``share`` as in :class:`Comparison`, above 0. ``parts`` divides the error, too, but leaves it to
    the caller how much of it is kept for skewed losses.
    """
    base, adapter = judging(chose, base), judging(chose, adapter)
    groups = None if groups is None else judging(chose, groups)
    gains = np.asarray(base, dtype=float) - np.asarray(adapter, dtype=float)
    sums, counts = _grouped(gains, groups)
    mean = float(sums.sum() / counts.sum())
    error = float(_errors(sums[None], counts[None], np.array([mean]))[0])
    low = high = mean
    if len(sums) > 1 and error > 0:
        level = _level(len(sums), share) / parts
        small, large = np.quantile(_draws(sums, counts, mean, error, least), [level / 2, 1 - level / 2])
        if share < 1 or parts > 1:
            far = student_t(level, len(sums) - 1)
            small, large = min(small, -far), max(large, far)
        low, high = mean - float(large) * error, mean - float(small) * error
    carried, rest = _carried(sums, counts, mean)
    return Comparison(
        base=float(np.mean(base)),
        adapter=float(np.mean(adapter)),
        rows=len(gains),
        groups=len(sums),
        mean=mean,
        low=low,
        high=high,
        error=error,
        margin=margin,
        minimum=minimum(chose),
        chose=len(chose) - len(gains) if chose else 0,
        carried=carried,
        rest=rest,
        share=share,
    )


def noise_floor(losses: Sequence[float], again: Sequence[float]) -> float:
    """Return how far the mean of ``losses`` varies between repeated measurements, in nats per token.

    ``again`` are the same model's losses from a second measurement. The result is the far end of the interval
    of their difference; for two or three rows, whose interval is very wide, the largest change of any row.
    """
    difference = compare(losses, again)
    largest = max(abs(before - after) for before, after in zip(losses, again, strict=True))
    return min(max(abs(difference.low), abs(difference.high)), largest)


def _level(groups: int, share: float = 1.0) -> float:
    """Return the share of draws outside the interval; with a ``share`` of it, up to `RARE` groups are few."""
    return share * (LEVEL_OF_FEW if groups < (FEW if share == 1 else RARE) else LEVEL)


def _deviations(level: float) -> float:
    return NormalDist().inv_cdf(1 - level / 2)


def student_t(level: float, degrees: int) -> float:
    """Return the half-width, in standard errors, of Student's interval that is wrong with probability
    ``level``.

    By bisection of the probability of a smaller value, a finite sum for whole ``degrees`` of freedom
    (Abramowitz and Stegun, Handbook of Mathematical Functions, 1964, 26.7.3 and 26.7.4).
    """

    def within(value: float) -> float:
        angle = math.atan(value / math.sqrt(degrees))
        total, term = 0.0, math.cos(angle) if degrees % 2 else 1.0
        for number in range(1 + degrees % 2, degrees, 2):
            total += term
            term *= number / (number + 1) * math.cos(angle) ** 2
        total *= math.sin(angle)
        return 2 / math.pi * (angle + total) if degrees % 2 else total

    low, high = 0.0, 1.0
    while within(high) < 1 - level:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) < 1 - level else (low, middle)
    return high


def _grouped(gains: Real, groups: Sequence[Hashable] | None) -> tuple[Real, Real]:
    """Return each group's sum of gains and its number of rows."""
    if groups is None:
        return gains, np.ones(len(gains))
    places: dict[Hashable, int] = {}
    for group in groups:
        places.setdefault(group, len(places))
    positions = [places[group] for group in groups]
    return np.bincount(positions, gains).astype(float), np.bincount(positions).astype(float)


def _carried(sums: Real, counts: Real, mean: float) -> tuple[int, float]:
    """Return how many groups carry the ``mean``, at most two, and the mean without them; 0 if more do."""
    if not 3 <= len(sums) <= RARE:
        return 0, mean
    order = np.argsort(-np.sign(mean) * sums)
    for count in (1, 2):
        others = order[count:]
        rest = float(sums[others].sum() / counts[others].sum())
        if rest * np.sign(mean) < abs(mean) / 2:
            return count, rest
    return 0, mean


def _errors(sums: Real, counts: Real, means: Real) -> Real:
    """Return the standard errors ``[draws]`` of the ``means`` of groups ``[draws, groups]``."""
    number = sums.shape[1]
    if number < 2:
        return np.full(len(means), math.inf)
    apart = sums - means[:, None] * counts
    errors: Real = np.sqrt((apart**2).sum(1) * number / (number - 1)) / counts.sum(1)
    return errors


def _draws(sums: Real, counts: Real, mean: float, error: float, least: float) -> Real:
    """Return each draw's distance from ``mean``, in its own standard errors."""
    chance, number = np.random.default_rng(SEED), len(sums)
    step = max(1, AT_ONCE // number)
    draws = []
    for start in range(0, RESAMPLES, step):
        drawn = chance.integers(0, number, (min(step, RESAMPLES - start), number))
        drawn_sums, drawn_counts = sums[drawn], counts[drawn]
        means = drawn_sums.sum(1) / drawn_counts.sum(1)
        # A draw that consists of one repeated row has no spread; its distance must stay finite.
        draws.append(
            (means - mean) / np.maximum(_errors(drawn_sums, drawn_counts, means), max(1e-3 * error, least))
        )
    return np.concatenate(draws)
