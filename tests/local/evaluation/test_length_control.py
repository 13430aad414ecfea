"""What length explains of the preferences that are followed, where the truth is known."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("numpy")

from arkor_dev.local.evaluation.length_control import at_equal_length


def lengths(chance: random.Random, count: int) -> list[float]:
    """Chosen answers that are shorter in four pairs of five, and by more where they are."""
    return [-chance.uniform(1, 60) if chance.random() < 0.8 else chance.uniform(1, 10) for _ in range(count)]


def test_length_control_separates_length_from_preference() -> None:
    chance = random.Random(3)
    repeats, alone, noisy, more, coins = 20, 0, 0, 0, 0
    for _ in range(repeats):
        apart = lengths(chance, 40)
        alone += at_equal_length(apart, [each < 0 for each in apart], 0.95)[1] > 0.5
        followed = [chance.gauss(-each, 10) > 0 for each in apart]
        noisy += at_equal_length(apart, followed, 0.95)[1] > 0.5
        coins += at_equal_length(apart, [chance.random() < 0.5 for _ in apart], 0.95)[1] > 0.5
        more += at_equal_length(apart, [chance.random() < 0.95 for _ in apart], 0.95)[1] > 0.5
    assert max(alone, noisy, coins) <= 3
    assert more >= 15


def test_one_sided_pairs_are_inconclusive() -> None:
    share, low, high = at_equal_length([-30.0] * 40, [1.0] * 40, 0.95)
    assert low < 0.5 < share <= high == 1
    share, low, high = at_equal_length([0.0] * 40, [1.0] * 30 + [0.5] * 4 + [0.0] * 6, 0.95)
    assert share == pytest.approx(0.8, abs=1e-3), "without a difference it is the share itself"
    assert 0.6 < low < share < high < 0.92
