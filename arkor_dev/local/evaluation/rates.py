"""Paired comparison of scores, of which more is better; of those that are 0 or 1 by an exact test."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from .halves import judging
from .paired import Comparison, compare

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence


def are_rates(before: Sequence[float], after: Sequence[float]) -> bool:
    """Return whether two models' negated rewards are 0 or 1, and some are 1."""
    figures = {*before, *after}
    return -1 in figures and figures <= {0, -1}


def compare_rates(
    base: Sequence[float],
    adapter: Sequence[float],
    groups: Sequence[Hashable],
    margin: float = 0.0,
    chose: Sequence[bool] = (),
) -> Comparison:
    """Compare the scores of both models on the same rows; other arguments are as in :func:`~.paired.compare`.

    The result's means are those of the negated scores, as losses are compared.
    """
    before, after = ([-score for score in scores] for scores in (base, adapter))
    base, adapter = judging(chose, base), judging(chose, adapter)
    # Even a sample in which all rows are correct has a sampling error.
    compared = compare(before, after, groups, margin, least=1 / len(base), chose=chose)
    low, high = compared.low, compared.high
    if compared.mean and not compared.error:
        # All rows changed by the same amount, so the bootstrap draws do not vary. Use the exact bound on
        # the share of rows that changed otherwise (Clopper and Pearson, The Use of Confidence or Fiducial
        # Limits, 1934).
        widening = 1 - ((1 - compared.confidence / 100) / 2) ** (1 / compared.groups)
        low, high = low - widening, high + widening
    low, high = max(-1.0, low), min(1.0, high)
    if by_chance(base, adapter) >= 1 - compared.confidence / 100:
        low, high = min(low, 0.0), max(high, 0.0)
    return replace(compared, low=low, high=high)


def compare_scores(
    base: Sequence[float], adapter: Sequence[float], groups: Sequence[Hashable], *, rate: bool
) -> Comparison:
    """Compare scores of the same rows, of which more is better: the mean is that of adapter minus base.

    ``rate``: each score is 0 or 1.
    """
    if rate:
        turned = compare_rates(base, adapter, groups)
    else:
        turned = compare([-score for score in base], [-score for score in adapter], groups)
    return replace(turned, base=-turned.base, adapter=-turned.adapter)


def by_chance(base: Sequence[float], adapter: Sequence[float]) -> float:
    """Return the probability of a change at least as one-sided if both models are equally good.

    The exact test on the changed rows (McNemar, Note on the Sampling Error of the Difference Between
    Correlated Proportions, 1947): the interval alone is too narrow if few rows changed.
    """
    gained = sum(after > before for before, after in zip(base, adapter, strict=True))
    lost = sum(after < before for before, after in zip(base, adapter, strict=True))
    count, most = gained + lost, max(gained, lost)
    return min(
        1.0, 2 * sum(math.comb(count, successes) for successes in range(most, count + 1)) / float(2**count)
    )
