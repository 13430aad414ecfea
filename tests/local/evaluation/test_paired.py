"""What is called better: honest where there is nothing to find, and able to find what there is."""

from __future__ import annotations

import math
from typing import Any

import pytest

from .families import FAMILIES, losses

np = pytest.importorskip("numpy")
TRIALS = 200


def verdicts(family: str, rows: int, gain: float, trials: int = TRIALS) -> list[str]:
    from arkor_dev.local.evaluation.paired import compare

    chance = np.random.default_rng([rows, trials, *family.encode()])
    return [compare(*losses(FAMILIES[family], chance, rows, gain)).verdict for _ in range(trials)]


def most_by_chance(share: float, trials: int) -> int:
    """So many of ``trials`` are seen with a true ``share`` in all but one of a thousand such tests."""
    return math.ceil(trials * share + 3.1 * math.sqrt(trials * share * (1 - share)))


@pytest.mark.parametrize("rows", [8, 12, 32])
@pytest.mark.parametrize("family", ["normal", "heavy on both sides"])
def test_where_nothing_has_changed_better_is_said_by_chance_alone(family: str, rows: int) -> None:
    found = verdicts(family, rows, 0.0)
    assert found.count("better") <= most_by_chance(0.025, TRIALS)
    assert found.count("worse") <= most_by_chance(0.025, TRIALS)


@pytest.mark.parametrize("family", ["long on the right", "long on the left"])
def test_rows_of_which_a_few_change_much_do_not_deceive_it_often(family: str) -> None:
    """No interval from 12 lopsided rows is exact; both errors together stay near what was promised."""
    found = verdicts(family, 12, 0.0)
    assert found.count("better") + found.count("worse") <= most_by_chance(0.08, TRIALS)


@pytest.mark.parametrize("gain", [0.4, 0.7])
def test_with_the_rows_that_it_asks_for_it_finds_a_planted_difference(gain: float) -> None:
    from arkor_dev.local.evaluation.paired import POWER, Comparison

    known = Comparison(1.0, 1.0 - gain, 100, 100, mean=gain, low=gain - 0.196, high=gain + 0.196, error=0.1)
    assert known.rows_to_settle
    found = verdicts("normal", known.rows_to_settle, gain)
    assert found.count("better") >= TRIALS * POWER - 3.1 * math.sqrt(TRIALS * POWER * (1 - POWER))
    assert found.count("worse") == 0


def test_it_is_the_difference_of_the_means_whatever_the_groups() -> None:
    from arkor_dev.local.evaluation.paired import compare

    base, adapter = losses(FAMILIES["normal"], np.random.default_rng(1), 40, gain=0.5)
    plain, paired = compare(base, adapter), compare(base, adapter, [n // 2 for n in range(40)])
    assert plain.mean == pytest.approx(np.mean(base) - np.mean(adapter), abs=1e-12)
    assert paired.mean == pytest.approx(plain.mean, abs=1e-12)
    assert (plain.groups, paired.groups, paired.rows) == (40, 20, 40)
    assert plain == compare(base, adapter), "the same rows, another interval"


def test_a_row_that_is_there_four_times_is_no_four_rows() -> None:
    from arkor_dev.local.evaluation.paired import compare

    base, adapter = losses(FAMILIES["normal"], np.random.default_rng(2), 10, gain=0.6)
    once = compare(base, adapter)
    copied = compare(base * 4, adapter * 4, list(range(10)) * 4)
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high), abs=0.02)
    careless = compare(base * 4, adapter * 4)
    assert careless.high - careless.low < 0.7 * (once.high - once.low)


def test_the_interval_is_what_another_bootstrap_gives() -> None:
    """The bootstrap-t written out row by row, with random numbers of another kind."""
    import random

    from arkor_dev.local.evaluation.paired import compare

    base, adapter = losses(FAMILIES["long on the right"], np.random.default_rng(3), 25, gain=0.4)
    gains = [one - other for one, other in zip(base, adapter, strict=True)]

    def figures(some: list[float]) -> tuple[float, float]:
        mean = sum(some) / len(some)
        return mean, math.sqrt(sum((gain - mean) ** 2 for gain in some) / (len(some) - 1) / len(some))

    mean, error = figures(gains)
    chance, draws = random.Random(5), []
    for _ in range(20_000):
        drawn, spread = figures(chance.choices(gains, k=len(gains)))
        draws.append((drawn - mean) / spread)
    draws.sort()
    found = compare(base, adapter)
    assert found.mean == pytest.approx(mean, abs=1e-12)
    assert found.low == pytest.approx(mean - draws[int(0.975 * len(draws))] * error, abs=0.02)
    assert found.high == pytest.approx(mean - draws[int(0.025 * len(draws))] * error, abs=0.02)


@pytest.mark.parametrize(
    ("base", "adapter", "verdict"),
    [
        ([3.0], [1.0], "unknown"),
        ([3.0] * 7, [1.0] * 7, "unknown"),
        ([3.0] * 8, [3.0] * 8, "same"),
        ([3.0] * 8, [1.0] * 8, "better"),
        ([1.0] * 8, [3.0] * 8, "worse"),
        ([2.0] * 7 + [2.5], [2.0] * 8, "same"),
    ],
)
def test_few_rows_and_rows_that_are_alike(base: list[float], adapter: list[float], verdict: str) -> None:
    from arkor_dev.local.evaluation.paired import compare

    found: Any = compare(base, adapter)
    assert found.verdict == verdict
    assert math.isfinite(found.low)
    assert math.isfinite(found.high)
    assert found.low <= found.mean <= found.high
