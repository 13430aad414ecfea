"""Names of jobs are unique, and lead back to their trainer."""

from __future__ import annotations

import pytest

from arkor_dev.contract.run_names import free_name, next_if_taken, trainer_of


@pytest.mark.parametrize(
    ("taken", "name"),
    [
        ([], "bot"),
        (["bot-long", "the bot", None, 5, "bot #x", "bot #0", "other #7"], "bot"),
        (["bot"], "bot #2"),
        (["bot", "bot #2"], "bot #3"),
        (["bot #4"], "bot #5"),  # those before were deleted
        (["bot", "bot #2 #9"], "bot #2"),
    ],
)
def test_a_free_run_name_is_unique(taken: list[object], name: str) -> None:
    assert free_name("bot", taken) == name
    assert name not in taken
    assert trainer_of(name, ["other", "bot"]) == "bot"


def test_a_taken_run_number_is_followed_by_the_next_free_one() -> None:
    assert next_if_taken("bot #2", ["bot", "bot #2", "bot #3"]) == "bot #4"
    assert next_if_taken("bot #2", ["bot"]) == "bot #2"
    assert next_if_taken("bot", ["bot"]) == "bot"  # as whoever created it has called it


def test_run_names_are_truncated_to_the_limit() -> None:
    assert free_name("x" * 199, ["x" * 199]) == "x" * 199


def test_a_trainer_may_be_called_like_a_run() -> None:
    assert trainer_of("bot #2", ["bot", "bot #2"]) == "bot #2"
    assert trainer_of("bot #2", ["other"]) is None
    assert trainer_of("renamed", ["bot"]) is None
    assert trainer_of(None, ["bot"]) is None
