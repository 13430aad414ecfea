"""Measures how often kappa's interval contains the true value, and how often two people who guess are said to
agree.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from arkor_dev.data.agreement import agreement

from .figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS: Final = ("accepted", "rejected", "flagged")
SHARES: Final = (("even", (1, 1, 1)), ("skewed", (8, 1, 1)))
KAPPAS: Final = (0.0, 0.4, 0.8)
ROWS: Final = (20, 50, 200)


def measure(*, quick: bool) -> Iterator[Figure]:
    """Simulate pairs of people: the second copies the first with probability kappa, and guesses otherwise."""
    chance, sets = random.Random(1), 20 if quick else 400  # noqa: S311 - no secret
    for name, shares in SHARES:
        for rows in ROWS[:1] if quick else ROWS:
            for kappa in KAPPAS:
                found = [agreement(_pairs(chance, shares, rows, kappa)) for _ in range(sets)]
                known = [each for each in found if each is not None]
                inside = sum(each.low <= kappa <= each.high for each in known)
                label = f"kappa {kappa:g} of {rows} rows, {name}: in the interval"
                least = None if quick else (85 if rows < 50 else 91)
                yield Figure(label, 100 * inside / len(known), "%", least=least)
                if kappa == 0:
                    wrong = sum(each.low > 0 for each in known)
                    most = None if quick else 6
                    yield Figure("  guesses said to agree", 100 * wrong / len(known), "%", most=most)


def _pairs(chance: random.Random, shares: tuple[int, ...], rows: int, kappa: float) -> list[tuple[str, str]]:
    pairs = []
    for first in chance.choices(KINDS, shares, k=rows):
        copies = chance.random() < kappa
        pairs.append((first, first if copies else chance.choices(KINDS, shares)[0]))
    return pairs
