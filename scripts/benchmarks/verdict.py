"""How honest the verdict is: what it calls better where nothing has changed, and what it finds.

Simulated comparisons whose truth is known (``tests/local/evaluation/families.py``), beside the plain
percentiles of the same draws, which is what the bootstrap-t was chosen over.
"""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from arkor_dev.local.evaluation.paired import POWER, RESAMPLES, Comparison, compare
from tests.local.evaluation.families import FAMILIES, losses

from .figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local.evaluation.families import Draw

ROWS = (8, 12, 32, 200)
GAINS = (0.3, 0.5, 0.8)
PILOTS = 60


def measure(*, quick: bool) -> Iterator[Figure]:
    """Shares of comparisons, in percent; the target allows for the sampling error of so many."""
    trials = 40 if quick else 200
    chance = np.random.default_rng(12)
    for family, draw in FAMILIES.items():
        for rows in ROWS:
            pairs = [losses(draw, chance, rows) for _ in range(trials)]
            ours = sum(compare(*pair).verdict == "better" for pair in pairs) / trials
            plain = sum(_percentiles_say_better(*pair) for pair in pairs) / trials
            most = round(2.5 + 310 * math.sqrt(0.025 * 0.975 / trials), 1)
            name = f"called better by chance, {family}, {rows} rows"
            yield Figure(name, 100 * ours, "%", most=most)
            yield Figure("  plain percentiles", 100 * plain, "%")
    least = round(100 * POWER - 310 * math.sqrt(POWER * (1 - POWER) / trials), 1)
    for gain in GAINS:
        for family, draw in FAMILIES.items():
            rows = _rows_said(draw, chance, gain)
            found = [compare(*losses(draw, chance, rows, gain)).verdict for _ in range(trials)]
            name = f"found a gain of {gain} deviations with {rows} rows, {family}"
            yield Figure(name, 100 * found.count("better") / trials, "%", least=least)


def _rows_said(draw: Draw, chance: Any, gain: float) -> int:
    """The rows that a comparison asks for which saw just this gain, and an interval as is usual there.

    How wide a side is depends on the rows, so it is looked at with as many as an even one would ask for.
    """

    def asked(side: float) -> int:
        ends = {"low": gain - side / 10, "high": gain + side / 10}
        return Comparison(1.0, 1.0 - gain, 100, 100, mean=gain, **ends, error=0.1).rows_to_settle or 0

    some = [compare(*losses(draw, chance, asked(1.96), gain)) for _ in range(PILOTS)]
    return asked(median((one.mean - one.low) / one.error for one in some))


def _percentiles_say_better(base: list[float], adapter: list[float]) -> bool:
    gains: Any = np.asarray(base) - np.asarray(adapter)
    drawn = np.random.default_rng(1).integers(0, len(gains), (RESAMPLES, len(gains)))
    return bool(np.quantile(gains[drawn].mean(1), 0.025) > 0)
