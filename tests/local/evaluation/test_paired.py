"""What is called better: honest where there is nothing to find, and able to find what there is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from .families import FAMILIES, MARGIN, RARE_GAIN, losses, noise

if TYPE_CHECKING:
    from collections.abc import Callable

np = pytest.importorskip("numpy")
TRIALS = 120


@pytest.fixture(autouse=True)
def fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the bootstrap's draws gives the same shares, in a tenth of the time."""
    from arkor_dev.local.evaluation import paired

    monkeypatch.setattr(paired, "RESAMPLES", 1000)


def verdicts(pair: Callable[[Any], tuple[list[float], list[float]]], trials: int = TRIALS) -> list[str]:
    from arkor_dev.local.evaluation.paired import compare

    chance = np.random.default_rng(12)
    return [compare(*pair(chance), margin=MARGIN).verdict for _ in range(trials)]


def wrong(found: list[str]) -> int:
    return found.count("better") + found.count("worse")


def most_by_chance(share: float, trials: int = TRIALS) -> int:
    """So many of ``trials`` are seen with a true ``share`` in all but one of a thousand such tests."""
    return math.ceil(trials * share + 3.1 * math.sqrt(trials * share * (1 - share)))


@pytest.mark.parametrize("rows", [8, 50])
def test_null_comparisons_are_significant_in_at_most_5_percent(rows: int) -> None:
    for name in ("normal", "lognormal", "t, 3 degrees"):
        found = verdicts(lambda chance, name=name: losses(FAMILIES[name], chance, rows))  # type: ignore[misc]
        assert wrong(found) <= most_by_chance(0.05), name


@pytest.mark.parametrize("rows", [8, 50])
def test_negligible_differences_are_no_difference(rows: int) -> None:
    from arkor_dev.local.evaluation.paired import compare

    assert set(verdicts(lambda chance: noise(chance, rows), 40)) == {"same"}
    without_margin = compare(*noise(np.random.default_rng(1), rows))
    assert without_margin.verdict != "same", "the difference is there, and does not matter"


@pytest.mark.parametrize(("rows", "least"), [(10, 12), (20, 8), (32, 4)])
def test_a_verdict_that_rare_rows_could_overturn_says_so(rows: int, least: int) -> None:
    """Where most lose a little and one in twenty gains 1 nat, a sample without such rows is called worse."""
    from arkor_dev.local.evaluation.paired import compare
    from arkor_dev.local.evaluation.words import HELD_OUT, beside_base, overall

    chance = np.random.default_rng(3)
    found = [compare(*losses(RARE_GAIN, chance, rows), margin=MARGIN) for _ in range(40)]
    deceived = [each for each in found if each.verdict in ("better", "worse")]
    assert len(deceived) >= least
    for each in deceived:
        assert f"(only {rows} rows" in overall(each)[1]
        assert "it would not hold if those got " in beside_base(HELD_OUT, each)


def test_large_differences_are_robust_to_rare_rows() -> None:
    from arkor_dev.local.evaluation.paired import compare

    chance = np.random.default_rng(3)
    for name, rows in (("normal", 16), ("long on the right", 16), ("normal", 100)):
        found = [compare(*losses(FAMILIES[name], chance, rows, 2.5), margin=MARGIN) for _ in range(20)]
        assert {each.verdict for each in found} == {"better"}
        assert sum(each.overturned_by is not None or each.carried > 0 for each in found) <= 2, name


@pytest.mark.parametrize(("large", "carried"), [([4.0], 1), ([2.0, 2.0], 2), ([1.0, 1.0, 1.0, 1.0], 0)])
def test_one_or_two_rows_that_carry_the_mean_are_counted(large: list[float], carried: int) -> None:
    from arkor_dev.local.evaluation.paired import compare

    gains = [*large, *([0.02] * 40)]
    found = compare(gains, [0.0] * len(gains))
    rest = 0.02 if carried else found.mean
    assert found.carried == carried
    assert found.rest == pytest.approx(rest)
    worse = compare([0.0] * len(gains), gains)
    assert worse.carried == carried
    assert worse.rest == pytest.approx(-rest)
    many = compare(gains * 3, [0.0] * 3 * len(gains))
    assert many.carried == 0, "of more than 100 rows no two are asked after"


def test_the_required_rows_find_a_planted_difference() -> None:
    from arkor_dev.local.evaluation.paired import POWER, Comparison

    gain = 0.3 * 0.5
    known = Comparison(
        1.0, 1.0 - gain, 100, 100, mean=gain, low=gain - 0.059, high=gain + 0.059, error=0.03, margin=MARGIN
    )
    rows = known.rows_to_settle
    assert rows
    found = verdicts(lambda chance: losses(FAMILIES["normal"], chance, rows, 0.5))
    assert found.count("better") >= TRIALS * POWER - 3.1 * math.sqrt(TRIALS * POWER * (1 - POWER))
    assert found.count("worse") == 0


def test_the_margin_separates_relevant_differences() -> None:
    from arkor_dev.local.evaluation.paired import Comparison

    def of(low: float, high: float, groups: int = 40) -> str:
        middle = (low + high) / 2
        return Comparison(2.0, 2.0 - middle, 40, groups, middle, low, high, 0.001, margin=0.01).verdict

    assert [of(0.011, 0.02), of(0.002, 0.008), of(0.002, 0.02), of(-0.02, -0.011), of(-0.009, 0.01)] == [
        "better",
        "same",
        "unclear",
        "worse",
        "same",
    ]
    assert of(0.5, 0.6, groups=7) == "unclear"


def test_the_noise_floor_bounds_repeated_measurements() -> None:
    from arkor_dev.local.evaluation.paired import noise_floor

    chance = np.random.default_rng(4)
    base = 3 + chance.standard_normal(32)
    assert noise_floor(base, base) == 0
    rounded = noise_floor(base, base + 0.01 * chance.standard_normal(32))
    assert 0.002 < rounded < 0.008
    assert noise_floor([3.0, 3.0], [3.001, 2.996]) == pytest.approx(0.004), "no interval of two rows"
    shifted = noise_floor(base, base + 0.05)
    assert shifted == pytest.approx(0.05)


def test_the_mean_difference_does_not_depend_on_groups() -> None:
    from arkor_dev.local.evaluation.paired import compare

    base, adapter = losses(FAMILIES["normal"], np.random.default_rng(1), 40, gain=0.5)
    plain, paired = compare(base, adapter), compare(base, adapter, [n // 2 for n in range(40)])
    assert plain.mean == pytest.approx(np.mean(base) - np.mean(adapter), abs=1e-12)
    assert paired.mean == pytest.approx(plain.mean, abs=1e-12)
    assert (plain.groups, paired.groups, paired.rows) == (40, 20, 40)
    assert plain == compare(base, adapter), "the same rows, another interval"


def test_repeated_rows_do_not_narrow_the_interval() -> None:
    from arkor_dev.local.evaluation.paired import compare

    base, adapter = losses(FAMILIES["normal"], np.random.default_rng(2), 10, gain=0.6)
    once = compare(base, adapter)
    copied = compare(base * 4, adapter * 4, list(range(10)) * 4)
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high), abs=0.02)
    careless = compare(base * 4, adapter * 4)
    assert careless.high - careless.low < 0.7 * (once.high - once.low)


def test_the_interval_equals_a_reference_bootstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bootstrap-t written out row by row, with random numbers of another kind."""
    import random

    from arkor_dev.local.evaluation import paired

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
    monkeypatch.setattr(paired, "RESAMPLES", 10_000)
    found = paired.compare(base, adapter)
    assert found.mean == pytest.approx(mean, abs=1e-12)
    assert found.low == pytest.approx(mean - draws[int(0.995 * len(draws))] * error, abs=0.02)
    assert found.high == pytest.approx(mean - draws[int(0.005 * len(draws))] * error, abs=0.02)


@pytest.mark.parametrize(
    ("base", "adapter", "verdict"),
    [
        ([3.0], [1.0], "unclear"),
        ([3.0] * 7, [1.0] * 7, "unclear"),
        ([3.0] * 8, [3.0] * 8, "same"),
        ([3.0] * 8, [1.0] * 8, "better"),
        ([1.0] * 8, [3.0] * 8, "worse"),
        ([2.0] * 7 + [2.5], [2.0] * 8, "unclear"),
    ],
)
def test_few_and_equal_rows_are_handled(base: list[float], adapter: list[float], verdict: str) -> None:
    from arkor_dev.local.evaluation.paired import compare

    found: Any = compare(base, adapter)
    assert found.verdict == verdict
    assert math.isfinite(found.low)
    assert math.isfinite(found.high)
    assert found.low <= found.mean <= found.high
