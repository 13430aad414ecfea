"""Which rows make up a step, with and without packs, accumulation and an order by length."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from arkor_dev.local.modeling.example import Example
from arkor_dev.local.training.job_settings import EffectiveSettings
from arkor_dev.local.training.plan import Plan, steps_per_epoch
from arkor_dev.local.training.rows.batches import endless, packs


def rows_of(count: int, longest: int = 90) -> list[Example]:
    chance = random.Random(5)
    return [Example([n] * chance.randint(2, longest), [n] * 2) for n in range(count)]


def plan_of(config: dict[str, Any], units: int, packed_to: int = 0) -> Plan:
    return Plan.of(EffectiveSettings(config), units, 0, packed_to)


def named(batch: list[Example]) -> list[int]:
    return [row.ids[0] for row in batch]


def epoch_of(rows: list[Example], plan: Plan, seed: int = 1, skipped: int = 0) -> list[list[list[int]]]:
    steps = itertools.islice(endless(rows, plan, seed), skipped, skipped + plan.per_epoch)
    return [[named(batch) for batch in step] for step in steps]


@pytest.mark.parametrize("config", [{}, {"gradientAccumulationSteps": 3}, {"groupByLength": True}])
def test_each_epoch_has_every_row_once_in_its_own_order(config: dict[str, Any]) -> None:
    rows = rows_of(50)
    plan = plan_of({"batchSize": 4, **config}, len(rows))
    first, second = epoch_of(rows, plan), epoch_of(rows, plan, skipped=plan.per_epoch)
    for epoch in (first, second):
        assert sorted(row for step in epoch for batch in step for row in batch) == list(range(50))
    assert first != second
    assert first == epoch_of(rows, plan)
    assert first != epoch_of(rows, plan, seed=2)


def test_the_last_step_of_an_epoch_may_have_fewer_batches() -> None:
    rows = rows_of(50)
    plan = plan_of({"batchSize": 4, "gradientAccumulationSteps": 3}, len(rows))
    assert [len(step) for step in epoch_of(rows, plan)] == [3, 3, 3, 3, 1]
    assert plan.per_epoch == steps_per_epoch(50, 4, 3) == 5
    assert plan.steps == 15
    # The rows of a step are those of a batch as large.
    large = plan_of({"batchSize": 12}, len(rows))
    together = [[row for batch in step for row in batch] for step in epoch_of(rows, plan)]
    assert together == [step[0] for step in epoch_of(rows, large)]


def test_batches_group_rows_by_length_longest_first() -> None:
    rows = rows_of(600)
    lengths = [len(row.ids) for row in rows]
    plan = plan_of({"batchSize": 2, "gradientAccumulationSteps": 2, "groupByLength": True}, len(rows))
    order = [row for step in epoch_of(rows, plan) for batch in step for row in batch]
    assert lengths[order[0]] == max(lengths)
    # Windows of 600 // (4 * 4) = 37 steps of four rows, each from its longest row to its shortest.
    window = [lengths[row] for row in order[148:296]]
    assert sorted(window, reverse=True) != sorted(lengths, reverse=True)[148:296]
    assert sum(a < b for a, b in itertools.pairwise(window)) <= 1
    plain = plan_of({"batchSize": 4}, len(rows))

    def padding(plan: Plan) -> int:
        batches = [batch for step in epoch_of(rows, plan) for batch in step]
        return sum(max(lengths[row] for row in batch) * len(batch) for batch in batches) - sum(lengths)

    assert padding(plan) < padding(plain) / 5


def test_packing_uses_every_row_once() -> None:
    rows = rows_of(200)
    made = packs(rows, 100)
    assert sorted(row for pack in made for row in named(pack)) == list(range(200))
    sizes = [sum(len(row.ids) for row in pack) for pack in made]
    assert max(sizes) <= 100
    assert len(made) <= 1.05 * sum(sizes) / 100
    assert made == packs(rows, 100)
    plan = plan_of({"batchSize": 4}, len(made), packed_to=100)
    epoch = epoch_of(rows, plan)
    assert sorted(row for step in epoch for batch in step for row in batch) == list(range(200))
    assert len(epoch) == -(-len(made) // 4)
