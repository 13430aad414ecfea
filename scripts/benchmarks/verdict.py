"""Measures how often the verdict is wrong if nothing has changed, and how often it finds real changes.

Simulated comparisons whose truth is known (``tests/local/evaluation/families.py``), each through the
verdict's own function. At most 5 % may be called better or worse if nothing has changed, also of the best of
several evaluations. Student's t interval for the same rows, without a margin, is reported, too, and how often
the interval has the true difference.
"""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

from arkor_dev.local.evaluation import paired
from arkor_dev.local.evaluation.paired import POWER, Comparison, compare
from tests.local.evaluation.families import (
    FAMILIES,
    MARGIN,
    RARE_GAIN,
    best_of_looks,
    losses,
    noise,
    of_sources,
)

from .figures import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.local.evaluation.families import Draw

    Pair = tuple[list[float], list[float]]

ROWS = (8, 16, 32, 64, 200)
DRAWS = 2000
"""A fifth of the bootstrap's draws gives the same shares."""
LOOKS = (1, 10, 20)
LOOKED_AT = ("normal", "lognormal")
"""Families of which the best of several evaluations is judged."""
ALIKE = 0.8
"""Correlation of the rows' differences with those at the evaluation before."""
GAINS = (0.3, 0.5, 0.8)
PILOTS = 60
SHARES = (0.3, 0.7)
"""Share of the differences' variance that is between sources."""
WRONG = 0.05
"""Maximum share of comparisons called better or worse when nothing has changed."""
DEVIATIONS = {8: 2.3646, 16: 2.1314, 32: 2.0395, 64: 1.9983, 200: 1.972}
"""Student's t of a 95 % interval, by rows."""


def measure(*, quick: bool) -> Iterator[Figure]:
    """Yield shares of comparisons, in percent; the target allows for the sampling error."""
    with patch.object(paired, "RESAMPLES", DRAWS):
        yield from _measure(8 if quick else 500)


def _measure(trials: int) -> Iterator[Figure]:
    chance = np.random.default_rng(12)
    drawn: dict[str, Callable[[int], Pair]] = {"adapters of noise": lambda rows: noise(chance, rows)}
    for family, draw in FAMILIES.items():
        drawn[family] = lambda rows, draw=draw: losses(draw, chance, rows)  # type: ignore[misc]
    most = round(100 * WRONG + 310 * math.sqrt(WRONG * (1 - WRONG) / trials), 1)
    for family, pair_of in drawn.items():
        for rows in ROWS:
            yield from _wrong(f"{family}, {rows} rows", [pair_of(rows) for _ in range(trials)], most)
    for rows in ROWS:
        pairs = [losses(RARE_GAIN, chance, rows) for _ in range(trials)]
        yield from _wrong(f"one row in twenty gains 1 nat, {rows} rows", pairs, None)
    yield from _chosen(chance, trials, most)
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
            rows = _rows_said(draw, chance, gain, min(PILOTS, trials))
            pairs = [losses(draw, chance, rows, gain) for _ in range(trials)]
            found = [compare(*pair, margin=MARGIN).verdict for pair in pairs].count("better") / len(pairs)
            # A few lognormal rows have too small a spread, so the required number is a guess for them.
            target = None if family == "lognormal" else least
            name = f"found a gain of {gain} deviations with {rows} rows, {family}"
            yield Figure(name, 100 * found, "%", least=target)


def _wrong(name: str, pairs: list[Pair], most: float | None) -> Iterator[Figure]:
    """Return the share of ``pairs``, which do not differ, that are called better or worse."""
    found = [compare(*pair, margin=MARGIN) for pair in pairs]
    wrong = [each for each in found if each.verdict in ("better", "worse")]
    yield Figure(f"better or worse by chance, {name}", 100 * len(wrong) / len(pairs), "%", most=most)
    sure = sum(each.overturned_by is None and not each.carried for each in wrong)
    limit = round(100 * WRONG + 310 * math.sqrt(WRONG * (1 - WRONG) / len(pairs)), 1)
    yield Figure("  without a word about rare rows", 100 * sure / len(pairs), "%", most=limit)
    covered = sum(each.low <= 0 <= each.high for each in found)
    if "noise" not in name:  # its difference is not exactly zero
        title = f"  the {found[0].confidence} % interval has the true difference"
        yield Figure(title, 100 * covered / len(pairs), "%")
    plain = sum(_plainly_differs(*pair) for pair in pairs)
    yield Figure("  Student's t at 95 %, no margin", 100 * plain / len(pairs), "%")


def _chosen(chance: Any, trials: int, most: float) -> Iterator[Figure]:
    """Yield how often the best of several evaluations is called better, without and with a true gain."""

    def better(family: str, rows: int, looks: int, gain: float, *, halves: bool) -> float:
        found = 0
        for _ in range(trials):
            drawn = best_of_looks(FAMILIES[family], chance, rows, looks, gain, ALIKE, halves=halves)
            base, adapter, chose = drawn
            found += compare(base, adapter, margin=MARGIN, chose=chose).verdict == "better"
        return 100 * found / trials

    for family in LOOKED_AT:
        for rows in ROWS[2:]:
            for looks in LOOKS:
                name = f"better by chance, best of {looks} evaluations, {family}, {rows} rows"
                yield Figure(name, better(family, rows, looks, 0.0, halves=True), "%", most=most)
                naive = better(family, rows, looks, 0.0, halves=False)
                yield Figure("  judged by the rows that chose", naive, "%")
            for gain in GAINS:
                name = f"found a gain of {gain} deviations, best of 20 evaluations, {family}, {rows} rows"
                yield Figure(name, better(family, rows, 20, gain, halves=True), "%")


def _plainly_differs(base: list[float], adapter: list[float]) -> bool:
    gains: Any = np.asarray(base) - np.asarray(adapter)
    error = gains.std(ddof=1) / math.sqrt(len(gains))
    return bool(abs(gains.mean()) > DEVIATIONS[len(gains)] * error)


def _rows_said(draw: Draw, chance: Any, gain: float, pilots: int) -> int:
    """Return the number of rows that a comparison requires if it measured exactly this gain, with a typical
    interval.

    The width of each side depends on the rows, so it is measured with the number that a symmetric interval
    would require.
    """

    def asked(side: float) -> int:
        ends: dict[str, Any] = {"low": 0.3 * gain - side * 0.03, "high": 0.3 * gain + side * 0.03}
        seen = Comparison(1.0, 1.0 - 0.3 * gain, 100, 100, mean=0.3 * gain, **ends, error=0.03, margin=MARGIN)
        return seen.rows_to_settle or 0

    some = [compare(*losses(draw, chance, asked(1.96), gain), margin=MARGIN) for _ in range(pilots)]
    return asked(median((one.mean - one.low) / one.error for one in some))
