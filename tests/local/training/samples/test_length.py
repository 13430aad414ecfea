"""How long answers may be, and how many: by their pace and the run's time, settled once, and never raised."""

from __future__ import annotations

import pytest

from arkor_dev.local.training.samples.length import (
    ENOUGH,
    FEWEST_TOKENS,
    MOST_TOKENS,
    SHARE,
    Length,
    foreseen,
)


@pytest.mark.parametrize(
    ("whole", "first", "each", "tokens"),
    [
        (100, 0.25, 0.05, 20),  # 5 s, four rounds: 1.25 s, of which reading takes a quarter
        (10_000, 0.25, 0.05, MOST_TOKENS),
        (1, 0.1, 0.05, FEWEST_TOKENS),  # 2 s in any case
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
        length.done()
    assert length.spent <= SHARE * whole
    assert length.rounds == 0
    assert foreseen(4, 4, whole, first, each) == pytest.approx(length.spent)


def test_it_stays_as_it_was_settled_unless_the_time_is_too_short() -> None:
    length = Length(4)
    assert length.settle(90, 0.25, 0.05) == 17
    assert length.settle(100, 0.25, 0.05) == 20, "within the first round"
    length.settled = True
    assert length.settle(1000, 0.25, 0.05) == 20, "answers of all steps are compared"
    assert length.settle(90, 0.25, 0.05) == 20
    assert length.settle(60, 0.25, 0.05) == 10
    assert length.settle(1000, 0.25, 0.05) == 10


def test_where_the_shortest_take_too_long_there_are_fewer_rounds_and_then_fewer_prompts() -> None:
    length = Length(10)
    assert length.affordable(100, 2) == 10, "nothing is known yet"
    # The shortest take 0.9 s, and there are 5 s for five of these, with 10 tokens.
    assert length.settle(100, 0.5, 0.05, 2) == 10 > FEWEST_TOKENS
    assert length.affordable(100, 2) == 5
    slow = Length(10)
    assert slow.settle(100, 2.5, 0.2, 2) == 0
    assert slow.fewer(4, 2) == 2, "one takes 0.8 s and a quarter of 3.3 s, and there are 2.5 s"
    assert slow.affordable(100, 2) == 10, "and of these the pace is not known"
    slow.took(4.9)
    assert slow.settle(100, 2.5, 0.2) == 0
    assert slow.fewer(2, 1) == 0


def test_a_run_without_time_takes_what_is_enough_at_most() -> None:
    assert foreseen(6, 4, 1.0, 0.05, 0.01) <= ENOUGH
    assert foreseen(6, 4, 1.0, 5.0, 1.0) == ENOUGH, "that it is too long is seen when they have been read"
    assert foreseen(50, 4, 1000.0, 2.0, 0.1) <= SHARE * 1000
