"""Designs over sources: who is in which run, and what each source does by their losses."""

from __future__ import annotations

import random
from itertools import combinations
from statistics import fmean
from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.rules import WEIGHT
from arkor_dev.local.sweeps import effects
from arkor_dev.local.sweeps.design import FEWEST_DEGREES, MOST_SOURCES, RUNS, design, sizes
from arkor_dev.local.sweeps.effects import Effect, judged, max_modulus, proposals, proposed
from arkor_dev.local.sweeps.messages import JudgeSources

if TYPE_CHECKING:
    from collections.abc import Sequence

EVERY = [
    (sources, runs)
    for sources in range(3, MOST_SOURCES + 1)
    for runs in RUNS
    if runs - sources >= FEWEST_DEGREES and (sources, runs) != (3, 12)
]
"""Which there are is asserted below: to look for them takes half a second of each process that collects."""


@pytest.mark.parametrize(("sources", "runs"), EVERY)
def test_each_source_is_in_half_of_the_runs_and_two_are_in_a_quarter(sources: int, runs: int) -> None:
    rows = design(sources, runs)
    assert len(rows) == runs
    assert all(any(row) for row in rows)  # no run is without data
    columns = list(zip(*rows, strict=True))
    assert len(columns) == sources
    assert {sum(column) for column in columns} == {runs // 2}
    together = [sum(map(all, zip(*pair, strict=True))) for pair in combinations(columns, 2)]
    assert set(together) == {runs // 4}


def test_few_sources_may_have_fewer_runs_and_many_need_all() -> None:
    assert [sizes(sources) for sources in (2, 3, 4, 5, 8, 9, 12, 13)] == [
        [], [8, 16], [8, 12, 16], [12, 16], [12, 16], [16], [16], [],
    ]  # fmt: skip
    assert RUNS == (8, 12, 16)
    assert [(count, runs) for count in range(MOST_SOURCES + 2) for runs in sizes(count)] == EVERY


@pytest.mark.parametrize(("sources", "least"), [(3, 1), (6, 2), (8, 3), (12, 4)])
def test_no_run_has_much_fewer_sources_than_the_others(sources: int, least: int) -> None:
    assert min(map(sum, design(sources, 16))) == least


def shares_of(rows: Sequence[Sequence[bool]], sizes: Sequence[float]) -> list[list[float]]:
    """The shares of sources of these sizes in each run."""
    used = [[size * inside for size, inside in zip(sizes, row, strict=True)] for row in rows]
    return [[size / sum(run) for size in run] for run in used]


@pytest.mark.parametrize(("sources", "runs"), EVERY)
def test_an_effect_is_what_leaving_the_source_out_would_change(sources: int, runs: int) -> None:
    sizes = [1 + place % 3 for place in range(sources)]
    shares = shares_of(design(sources, runs), sizes)
    own = [0.5 + 0.1 * place**2 for place in range(sources)]  # the loss that each source alone would have

    def loss(shares: Sequence[float]) -> float:
        return sum(share * one for share, one in zip(shares, own, strict=True))

    mixture, *left_out = shares_of(
        [[True] * sources, *([place != other for other in range(sources)] for place in range(sources))], sizes
    )
    losses = [[loss(run) - 0.1, loss(run) + 0.1] for run in shares]
    gains = [effect.gain for effect in effects.effects(shares, losses, mixture)]
    assert gains == pytest.approx([loss(without) - loss(mixture) for without in left_out])


def test_the_largest_of_t_values_is_as_tabulated() -> None:
    assert max_modulus(1, 3, 0.05) == pytest.approx(3.182, abs=2e-3)  # Student's t
    # By simulation, 400,000 draws.
    assert max_modulus(6, 9, 0.05) == pytest.approx(3.27, abs=0.01)
    assert max_modulus(12, 3, 0.05) == pytest.approx(6.0, abs=0.05)


def simulated(sources: int, runs: int, better: float, chance: random.Random) -> list[Effect]:
    """A design whose first source alone would have a loss smaller by ``better``; its runs vary by 0.03."""
    shares = shares_of(design(sources, runs), [1] * sources)
    losses = [[1 - better * run[0] + chance.gauss(0, 0.03)] for run in shares]
    return effects.effects(shares, losses, [1 / sources] * sources)


@pytest.mark.parametrize(("sources", "runs"), [(4, 8), (6, 12), (6, 16), (12, 16)])
def test_false_discoveries_and_power_are_as_promised(sources: int, runs: int) -> None:
    chance, count = random.Random(44), 300
    wrong = sum(
        any(effect.kind != "unclear" for effect in simulated(sources, runs, 0.0, chance))
        for _ in range(count)
    )
    assert wrong <= 0.085 * count  # of 5 %, with 99.7 % probability
    found = fmean(simulated(sources, runs, 0.2 * sources, chance)[0].kind == "helps" for _ in range(40))
    assert found >= 0.9


def test_the_rows_that_judge_count_for_the_interval() -> None:
    shares, chance = shares_of(design(4, 16), [1] * 4), random.Random(1)
    tastes = [chance.gauss(0.1, 0.5) for _ in range(12)]  # a source that few rows like much
    losses = [[1 - taste * run[0] + chance.gauss(0, 0.01) for taste in tastes] for run in shares]
    mixture = [0.25] * 4
    sure = effects.effects(shares, losses, mixture)[0]
    sampled = effects.effects(shares, losses, mixture, range(len(tastes)))[0]
    assert sure.kind != "unclear"
    assert sampled.kind == "unclear"
    assert sampled.gain == pytest.approx(sure.gain)


@pytest.mark.parametrize("loss", [0.1, 0.7, 1.3])
def test_equal_losses_have_no_clear_effect(loss: float) -> None:
    """Their sums differ in the last bit, which is no effect."""
    shares = shares_of(design(4, 16), [1] * 4)
    rows, losses = list(range(10)), [[loss] * 10] * 16
    found = judged(JudgeSources(shares, [0.25] * 4, losses, rows, None, list("abcd"), [1] * 4))
    assert [effect["effect"] for effect in found.effects] == ["unclear"] * 4
    assert found.verdict["sentence"] == "No source has a clear effect: all 4 intervals include 0."


def test_an_effect_below_the_digits_reported_is_not_clear() -> None:
    assert Effect(3e-6, 2e-6, 4e-6).kind == Effect(-3e-6, -4e-6, -2e-6).kind == "unclear"
    assert Effect(3e-5, 2e-5, 4e-5).kind == "helps"


def test_proposals_leave_a_source_to_train_on() -> None:
    harms, unclear = Effect(-0.2, -0.3, -0.1), Effect(0.1, -0.1, 0.3)
    task, general = [harms, unclear, unclear], [unclear, harms, harms]
    assert proposals([1, 2, 0.5], task, general) == [1, 2, 0.5]
    assert proposals([1, 2, 0.5], task, [unclear, harms, unclear]) == [0, 0, 0.5]
    assert proposals([1, 0, 0], [harms, unclear, unclear], [None] * 3) == [1, 0, 0]


def test_a_proposed_weight_is_one_that_a_data_set_may_have() -> None:
    assert proposed(60, Effect(0.2, 0.1, 0.3), None) == WEIGHT.high == 100


def test_weights_are_proposed_for_clear_effects_only() -> None:
    helps, harms, unclear = Effect(0.2, 0.1, 0.3), Effect(-0.2, -0.3, -0.1), Effect(0.1, -0.1, 0.3)
    assert [proposed(1, task, None) for task in (helps, harms, unclear)] == [2, 0, 1]
    assert proposed(0, helps, None) == 2  # it was left out before
    assert proposed(3, helps, harms) == 3  # a person must choose
    assert proposed(1, unclear, harms) == 0


def test_the_verdict_names_sources_with_a_clear_effect() -> None:
    shares, chance = shares_of(design(4, 16), [1] * 4), random.Random(3)
    own = [0.5, 1.0, 1.5, 1.0]
    losses = [
        [
            sum(share * loss for share, loss in zip(run, own, strict=True))
            + chance.gauss(0, 0.01)
            + 0.001 * judge
            for judge in range(10)
        ]
        for run in shares
    ]
    general = [2 + run[1] - run[2] / 3 - run[3] / 3 + chance.gauss(0, 0.01) for run in shares]
    request = JudgeSources(shares, [0.25] * 4, losses, list(range(10)), general, list("abcd"), [1, 1, 0.5, 1])
    found = judged(request)
    assert [effect["effect"] for effect in found.effects] == ["helps", "harms", "harms", "unclear"]
    assert [effect["proposed"] for effect in found.effects] == [2, 0, 0, 1]
    assert found.effects[1]["task"]["low"] < 0 < found.effects[1]["task"]["high"]
    sentence = found.verdict["sentence"]
    assert sentence.startswith("By the intervals of this comparison, a helps (+0.")
    assert "b harms in general (-0." in sentence
    assert sentence.endswith("; no clear effect of the other 1.")
    same = [[1 + chance.gauss(0, 0.01)] * 10 for _ in shares]
    nothing = judged(JudgeSources(shares, [0.25] * 4, same, list(range(10)), None, list("abcd"), [1] * 4))
    assert nothing.verdict["sentence"] == "No source has a clear effect: all 4 intervals include 0."
    assert "general" not in nothing.effects[0]
