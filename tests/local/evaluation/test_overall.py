"""The one verdict: what an adapter gained at its task, beside what that cost in general."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("numpy")

from arkor_dev.local.evaluation.paired import Comparison
from arkor_dev.local.evaluation.words import HELD_OUT, beside_base, overall

ENDS = {"better": (0.5, 1.5), "worse": (-1.5, -0.5), "same": (-0.005, 0.005), "unclear": (-0.5, 1.5)}


def seen(verdict: str, rows: int = 64) -> Comparison:
    low, high = ENDS[verdict]
    mean = (low + high) / 2
    found = Comparison(2.0, 2.0 - mean, rows, rows, mean, low, high, 0.1, margin=0.01)
    assert found.verdict == verdict or rows < 8
    return found


@pytest.mark.parametrize(
    ("task", "general", "verdict", "sentence"),
    [
        ("better", "worse", "mixed", "Better at your task (2.00 → 1.00), worse in general (2.00 → 3.00)."),
        ("better", "better", "better", "Better at your task and in general."),
        ("better", "same", "better", "Better at your task, as good in general."),
        ("better", "unclear", "better", "Better at your task, no clear difference in general."),
        (
            "same",
            "worse",
            "worse",
            "No difference that matters at your task, worse in general (2.00 → 3.00).",
        ),
        ("same", "same", "same", "No difference that matters at your task, and none in general."),
        (
            "unclear",
            "worse",
            "worse",
            "No clear difference at your task, worse in general (2.00 → 3.00).",
        ),
        ("unclear", "better", "unclear", "No clear difference at your task, better in general."),
        ("worse", "better", "worse", "Worse at your task, better in general."),
        ("worse", "worse", "worse", "Worse at your task (2.00 → 3.00) and in general (2.00 → 3.00)."),
    ],
)
def test_the_overall_verdict_combines_task_and_general(
    task: str, general: str, verdict: str, sentence: str
) -> None:
    assert overall(seen(task), seen(general)) == (verdict, sentence)


def test_few_rows_are_mentioned_in_the_verdict() -> None:
    assert overall(seen("better", 19)) == ("better", "Better at your task (only 19 rows).")
    both = overall(seen("better", 19), seen("worse"))[1]
    assert both == "Better at your task (2.00 → 1.00, only 19 rows), worse in general (2.00 → 3.00)."
    assert overall(seen("better", 30)) == ("better", "Better at your task.")
    together = replace(seen("better", 40), groups=12)
    assert overall(together)[1] == "Better at your task (only 12 independent rows)."
    too_few = overall(seen("better", 3), seen("worse"))
    assert too_few == (
        "worse",
        "Too few rows to judge it at your task (only 3), worse in general (2.00 → 3.00).",
    )
    assert overall(seen("same", 12), on="on data/x.jsonl")[1] == (
        "No difference that matters on data/x.jsonl (only 12 rows)."
    )


def test_mean_rewards_have_the_same_sign_everywhere() -> None:
    rewards = Comparison(
        -0.18, -0.852, 40, 40, mean=0.672, low=0.6, high=0.75, error=0.03, margin=0.01, higher="Mean reward"
    )
    assert overall(rewards, seen("worse"))[1] == (
        "Better at your task (0.18 → 0.85), worse in general (2.00 → 3.00)."
    )
    assert "mean reward 0.85 vs. 0.18" in beside_base(HELD_OUT, rewards)
