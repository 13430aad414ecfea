"""Which rounds of sample answers a run's time allows: the base and the final adapter in any case."""

from __future__ import annotations

import pytest

from arkor_dev.local.training.samples.budget import (
    MINIMUM_SECONDS,
    MOST_TOKENS,
    SHARE,
    USEFUL_TOKENS,
    SampleBudget,
    expected_seconds,
)


@pytest.mark.parametrize(
    ("whole", "first", "each", "tokens"),
    [
        (10_000, 0.25, 0.05, MOST_TOKENS),
        (100, 0.25, 0.05, USEFUL_TOKENS),
        (1, 1.0, 2.0, USEFUL_TOKENS),  # however slow the model is
        (0, 0, 0, MOST_TOKENS),
    ],
)
def test_answer_length_is_limited_by_the_budget(whole: float, first: float, each: float, tokens: int) -> None:
    assert SampleBudget(required=2, optional=2).limit(whole, first, each) == tokens


def test_the_first_round_fixes_the_answer_length() -> None:
    budget = SampleBudget(required=2, optional=2)
    budget.finish(2.0, budget.limit(100, 0.25, 0.05), required=True)
    assert budget.limit(1_000_000, 0.25, 0.05) == USEFUL_TOKENS, "answers of different steps are compared"


def test_a_short_run_of_long_steps_answers_only_before_and_after() -> None:
    budget = SampleBudget(required=2, optional=1)
    assert budget.affordable(40, 1.0) == 0
    assert budget.affordable(240, 1.0) == 1
    assert budget.affordable(0.2, 0.005) == 1, "a round of a tiny model takes no time"


def test_optional_rounds_use_the_remaining_budget() -> None:
    budget = SampleBudget(required=2, optional=10)
    assert budget.affordable(100, 0.1) == 10
    cost = 0.2 + USEFUL_TOKENS * 0.01
    budget.finish(cost, budget.limit(100, 0.2, 0.01), required=True)
    assert budget.affordable(100, 0.1) == int((SHARE * 100 - cost) / cost) - 1 == 3
    budget.finish(cost, USEFUL_TOKENS, required=False)
    budget.skip()
    assert (budget.affordable(100, 0.1), budget.optional) == (2, 8)
    budget.finish(cost, USEFUL_TOKENS, required=True)
    assert budget.affordable(0, 0) == 0
    assert budget.required == 0


def test_the_forecast_counts_all_required_rounds() -> None:
    assert expected_seconds(10, 1000, 0.1, 0.001) == pytest.approx(12 * (0.1 + MOST_TOKENS * 0.001))
    slow = expected_seconds(10, 10, 1.0, 0.5)
    assert slow == pytest.approx(2 * (1.0 + USEFUL_TOKENS * 0.5))
    assert slow > MINIMUM_SECONDS
