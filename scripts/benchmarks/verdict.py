"""Measures how often the verdict is wrong if nothing has changed, and how often it finds real changes.

Simulated comparisons whose truth is known (``tests/local/evaluation/families.py``), each through the
verdict's own function. At most 5 % may be called better or worse if nothing has changed; Student's t interval
for the same rows, without a margin, is reported, too.
"""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from arkor_dev.local.evaluation.paired import POWER, Comparison, compare
from tests.local.evaluation.families import DISASTERS, FAMILIES, MARGIN, losses, noise, of_sources

from .figures import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.local.evaluation.families import Draw

    Pair = tuple[list[float], list[float]]

ROWS = (8, 10, 20, 50)
GAINS = (0.3, 0.5, 0.8)
PILOTS = 60
SHARES = (0.3, 0.7)
"""Share of the differences' variance that is between sources."""
WRONG = 0.05
"""Maximum share of comparisons called better or worse when nothing has changed."""
DEVIATIONS = {8: 2.3646, 10: 2.2622, 20: 2.093, 50: 2.0096}
"""Student's t of a 95 % interval, by rows."""


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield shares of comparisons, in percent; the target allows for the sampling error."""
    trials = 40 if quick else 500
    chance = np.random.default_rng(12)
    drawn: dict[str, Callable[[int], Pair]] = {"adapters of noise": lambda rows: noise(chance, rows)}
    for family, draw in FAMILIES.items():
        drawn[family] = lambda rows, draw=draw: losses(draw, chance, rows)  # type: ignore[misc]
    most = round(100 * WRONG + 310 * math.sqrt(WRONG * (1 - WRONG) / trials), 1)
    for family, pair_of in drawn.items():
        for rows in ROWS:
            yield from _wrong(f"{family}, {rows} rows", [pair_of(rows) for _ in range(trials)], most)
    for rows in ROWS:
        pairs = [losses(DISASTERS, chance, rows) for _ in range(trials)]
        yield from _wrong(f"rare disasters, {rows} rows", pairs, None)
    for share in SHARES:
        drawn_groups = [of_sources(chance, 12, share) for _ in range(trials)]
        name = f"better or worse by chance, 12 sources, correlation {share}"
        for kind, limit, given in ((name, most, True), ("  taken as 48 rows", None, False)):
            wrong = sum(
                compare(base, adapter, groups if given else None, MARGIN).verdict in ("better", "worse")
                for base, adapter, groups in drawn_groups
            )
            yield Figure(kind, 100 * wrong / trials, "%", most=limit)
    least = round(100 * POWER - 310 * math.sqrt(POWER * (1 - POWER) / trials), 1)
    for gain in GAINS:
        for family, draw in FAMILIES.items():
            rows = _rows_said(draw, chance, gain)
            pairs = [losses(draw, chance, rows, gain) for _ in range(min(trials, 200))]
            found = [compare(*pair, margin=MARGIN).verdict for pair in pairs].count("better") / len(pairs)
            # A few lognormal rows have too small a spread, so the required number is a guess for them.
            target = None if family == "lognormal" else least
            name = f"found a gain of {gain} deviations with {rows} rows, {family}"
            yield Figure(name, 100 * found, "%", least=target)


def _wrong(name: str, pairs: list[Pair], most: float | None) -> Iterator[Figure]:
    """Return the share of ``pairs``, which do not differ, that are called better or worse."""
    wrong = sum(compare(*pair, margin=MARGIN).verdict in ("better", "worse") for pair in pairs)
    yield Figure(f"better or worse by chance, {name}", 100 * wrong / len(pairs), "%", most=most)
    plain = sum(_plainly_differs(*pair) for pair in pairs)
    yield Figure("  Student's t at 95 %, no margin", 100 * plain / len(pairs), "%")


def _plainly_differs(base: list[float], adapter: list[float]) -> bool:
    gains: Any = np.asarray(base) - np.asarray(adapter)
    error = gains.std(ddof=1) / math.sqrt(len(gains))
    return bool(abs(gains.mean()) > DEVIATIONS[len(gains)] * error)


def _rows_said(draw: Draw, chance: Any, gain: float) -> int:
    """Return the number of rows that a comparison requires if it measured exactly this gain, with a typical
    interval.

    The width of each side depends on the rows, so it is measured with the number that a symmetric interval
    would require.
    """

    def asked(side: float) -> int:
        ends: dict[str, Any] = {"low": 0.3 * gain - side * 0.03, "high": 0.3 * gain + side * 0.03}
        seen = Comparison(1.0, 1.0 - 0.3 * gain, 100, 100, mean=0.3 * gain, **ends, error=0.03, margin=MARGIN)
        return seen.rows_to_settle or 0

    some = [compare(*losses(draw, chance, asked(1.96), gain), margin=MARGIN) for _ in range(PILOTS)]
    return asked(median((one.mean - one.low) / one.error for one in some))
