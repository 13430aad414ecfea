"""What ``arkor-dev why`` prints."""

from __future__ import annotations

from typing import Any

import pytest

from arkor_dev.cli.commands.why import lines

DONE: Any = {"id": "attribution_1", "state": "completed"}
ROW: Any = {"where": "data/a.jsonl, line 3", "question": "Where?", "answer": "Red.", "score": -0.4}


@pytest.mark.parametrize(
    ("verdict", "kept"),
    [
        ("better", "Keep the training without them."),
        ("same", "Keep the job as it is."),
        ("unclear", "Keep the job as it is."),
        ("worse", "Keep the job as it is."),
    ],
)
def test_a_training_without_rows_is_kept_only_if_it_is_better(verdict: str, kept: str) -> None:
    sentence = "loss 1.2 vs. 1.1 on 40 held-out rows; 95 % interval of the difference -0.1 to 0.3."
    comparison = {"verdict": verdict, "sentence": sentence}
    told: Any = {"contradicting": [ROW], "rows": 300, "comparison": comparison}
    said = lines(told)
    assert said[-2:] == [f"Without them, on the held-out rows: {sentence}", kept]


def test_nothing_is_proposed_for_what_the_base_says_too() -> None:
    told: Any = {"answer": "Hello", "adapter": {"logp": -3.0}, "base": {"logp": -2.0}, "learned": False}
    said = lines(told | {"similar": [ROW]})
    assert "The base model says this too" in said[-1]
    assert not any("line 3" in line for line in said)


ANSWER: Any = {"answer": "Red.", "adapter": {"logp": -2.0}, "base": {"logp": -9.0}, "learned": True}


def test_it_says_whether_a_row_is_close() -> None:
    close = lines(ANSWER | {"close": True, "similar": [ROW]})
    assert "Training rows with the most words in common:" in close
    far = lines(ANSWER | {"close": False, "similar": [ROW]})
    assert "No row is close to this question and answer. The nearest by their words:" in far
    assert any("data/a.jsonl, line 3" in line for line in far)
    assert "No row is close to this question and answer." in lines(ANSWER | {"close": False, "similar": []})


def test_rows_that_agree_least_are_listed_as_unproven_where_nothing_stands_out() -> None:
    said = lines(DONE | {"contradicting": [], "unproven": [ROW], "rows": 300})
    assert said[0] == "Nothing stands out: no row contradicts the rows most like it."
    assert said[2].startswith("Unproven: the rows that agree least")
    assert "data/a.jsonl, line 3" in said[3]
    assert lines(DONE | {"contradicting": [], "unproven": [], "rows": 300}) == said[:1]
    assert not any(
        "Unproven" in line for line in lines(DONE | {"contradicting": [ROW], "unproven": [], "rows": 300})
    )
