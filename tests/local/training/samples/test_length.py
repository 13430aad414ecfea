"""How long answers may be: by their pace and the run's time, settled once, and never raised again."""

from __future__ import annotations

import pytest

from arkor_dev.local.training.samples.length import FEWEST_TOKENS, MOST_TOKENS, SHARE, Length


@pytest.mark.parametrize(
    ("whole", "first", "each", "tokens"),
    [
        (100, 0.25, 0.05, 20),  # 5 s, four rounds: 1.25 s, of which reading takes a quarter
        (10_000, 0.25, 0.05, MOST_TOKENS),
        (1, 0.25, 0.05, FEWEST_TOKENS),
        (0, 0, 0, MOST_TOKENS),
    ],
)
def test_it_is_what_a_round_s_share_of_the_time_is_enough_for(
    whole: float, first: float, each: float, tokens: int
) -> None:
    assert Length(4).settle(whole, first, each) == tokens


def test_all_rounds_together_take_their_share() -> None:
    whole, first, each, length = 100.0, 0.25, 0.05, Length(4)
    for _ in range(4):
        length.took(first + each * length.settle(whole, first, each))
    assert length.spent <= SHARE * whole
    assert length.rounds == 0


def test_it_stays_as_it_was_settled_unless_the_time_is_too_short() -> None:
    length = Length(4)
    assert length.settle(100, 0.25, 0.05) == 20
    assert length.settle(1000, 0.25, 0.05) == 20, "answers of all steps are compared"
    assert length.settle(90, 0.25, 0.05) == 20
    assert length.settle(60, 0.25, 0.05) == 10
    assert length.settle(1000, 0.25, 0.05) == 10


def test_more_rounds_than_were_foreseen_have_something_too() -> None:
    length = Length(0)
    assert length.settle(100, 0, 0.1) == 50
    length.took(100)
    assert length.settle(100, 0, 0.1) == FEWEST_TOKENS
