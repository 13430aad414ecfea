"""What is said of a comparison, and when it says that it does not know."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("numpy")

from arkor_dev.local.evaluation.paired import Comparison
from arkor_dev.local.evaluation.words import (
    GENERAL,
    HELD_OUT,
    Ends,
    beside_adapter,
    beside_base,
    best_of,
    overall,
    part,
)

BETTER = Comparison(3.42, 1.91, 40, 40, mean=1.51, low=1.21, high=1.8, error=0.14, margin=0.01)
UNCLEAR = Comparison(3.42, 3.4, 40, 40, mean=0.02, low=-0.051, high=0.09, error=0.03)
WORSE = Comparison(3.42, 3.9, 40, 40, mean=-0.48, low=-0.8, high=-0.2, error=0.13)
FEW = replace(BETTER, rows=1, groups=1)
DRY = Comparison(3.42, 3.42, 3, 3, mean=0.0, low=-0.05, high=0.05, error=0.03)
SAME = Comparison(3.42, 3.419, 40, 40, mean=0.001, low=-0.004, high=0.006, error=0.002, margin=0.01)
SETTLED = " About 930 rows would settle it."
LEAST = " A verdict needs at least 8 rows."
CLOSE = " They are so close that even many more rows may not settle it."


@pytest.mark.parametrize(
    ("compared", "words", "losses", "rows", "ends", "more"),
    [
        (BETTER, "better", "1.91 vs. 3.42", "40 held-out rows", "1.21 to 1.80", ""),
        (replace(BETTER, groups=12), "better", "1.91 vs. 3.42", "40 held-out rows in 12 groups",
         "1.21 to 1.80", ""),
        (WORSE, "worse", "3.90 vs. 3.42", "40 held-out rows", "0.20 to 0.80", ""),
        (UNCLEAR, "no clear difference", "3.40 vs. 3.42", "40 held-out rows", "-0.05 to 0.09", SETTLED),
        (SAME, "no difference that matters (less than 0.01)", "3.419 vs. 3.420", "40 held-out rows",
         "-0.004 to 0.006", ""),
        (FEW, "too few rows to tell", "1.91 vs. 3.42", "1 held-out row", "", LEAST),
        (replace(UNCLEAR, mean=0.0), "no clear difference", "3.40 vs. 3.42", "40 held-out rows",
         "-0.05 to 0.09", CLOSE),
    ],
)  # fmt: skip
def test_a_comparison_becomes_a_sentence(
    compared: Comparison, words: str, losses: str, rows: str, ends: str, more: str
) -> None:
    told = part(HELD_OUT, compared, beside_base(HELD_OUT, compared))
    percent = 95 if compared.groups >= 30 else 99
    interval = f"; {percent} % interval of the difference {ends}" if ends else ""
    assert told["sentence"] == f"Your task: {words}, loss {losses} for the base on {rows}{interval}.{more}"
    assert told.get("tooFew", False) is (compared is FEW)
    assert (told["verdict"], told["confidence"]) == (compared.verdict, percent)
    assert ("rowsToSettle" in told) == (more in (SETTLED, LEAST))


def test_few_equal_rows_are_called_too_few() -> None:
    assert beside_base(HELD_OUT, DRY).endswith(LEAST)
    wide = replace(FEW, rows=4, groups=4, mean=1.3, low=-51.0, high=179.0, error=0.6)
    assert beside_base(HELD_OUT, wide).endswith(LEAST)


def test_general_questions_name_count_and_answer_length() -> None:
    some = replace(WORSE, rows=24, groups=24)
    assert beside_base(GENERAL, some, 64, "4 times longer") == (
        "General questions: worse, loss 3.90 vs. 3.42 for the base on 24 of 64 questions; 99 % interval "
        "of the difference 0.20 to 0.80; its answers are 4 times longer."
    )
    assert part(GENERAL, some, "", 64)["of"] == 64
    assert "on 24 questions;" in beside_base(GENERAL, some, 24)
    assert "of" not in part(GENERAL, some, "", 24)


def test_comparing_two_adapters_is_worded_as_such() -> None:
    assert beside_adapter("data/x.jsonl", WORSE, "other") == (
        "Worse than other: loss 3.90 vs. 3.42 on 40 rows of data/x.jsonl; 95 % interval of the difference "
        "0.20 to 0.80. This compares two adapters, not their settings: another seed alone may reverse it. "
        "To compare settings, repeat each job with 3 seeds."
    )
    assert beside_adapter(HELD_OUT, UNCLEAR, "other").startswith("No clear difference from other: loss 3.40")


def test_the_best_step_is_worded_with_its_significance() -> None:
    assert (
        best_of(Ends(40, 40, 1.9, 1.9), None, 4)
        == "None of 4 evaluations was better than the final adapter's."
    )
    assert best_of(Ends(40, 40, 1.9, 1.9), None, 1) == ""
    seen = (
        "step 20, the best of 4 on the rows that choose, which had an evaluation loss of 1.900, the final "
        "one 1.913."
    )
    ends = Ends(20, 40, 1.9, 1.913)
    assert best_of(ends, SAME, 4) == f"The final adapter is as good as that of {seen}"
    for compared in (UNCLEAR, None):
        said = best_of(ends, compared, 4)
        assert said == f"No clear difference between the final adapter and that of {seen}"
    assert best_of(ends, FEW, 4).endswith(
        "1 row is too few to both choose a step and compare it: that takes 8."
    )


def test_overfitting_needs_a_falling_training_loss() -> None:
    over = best_of(Ends(20, 40, 1.9, 3.4, (1.5, 0.4)), BETTER, 4)
    assert over.startswith("Step 20 was better than the final adapter: loss 1.91 vs. 3.42 on")
    assert over.endswith(
        "The run overfitted: from step 20 on the held-out loss rose from 1.900 to 3.400, while the training "
        "loss fell from 1.500 to 0.400. It memorized its rows."
    )
    away = best_of(Ends(20, 40, 1.9, 3.4, (0.4, 1.5)), BETTER, 4)
    assert "overfitted" not in away
    assert away.endswith("and so did the training loss, from 0.400 to 1.500: a lower rate may help.")
    unknown = best_of(Ends(20, 40, 1.9, 3.4), BETTER, 4)
    assert unknown.endswith("From step 20 on the held-out loss rose from 1.900 to 3.400.")


def test_what_could_overturn_a_verdict_follows_it() -> None:
    fragile = replace(BETTER, rows=32, groups=32, mean=0.09, low=0.06, high=0.12)
    figures = (
        "Your task: better, loss 1.910 vs. 3.420 for the base on 32 held-out rows; 95 % interval of the "
        "difference 0.060 to 0.120."
    )
    assert beside_base(HELD_OUT, fragile) == (
        f"{figures} Rows of a kind that these 32 lack may be up to 9 % of all: it would not hold if those "
        "got worse by 0.5."
    )
    barely = replace(fragile, low=0.0102)
    assert beside_base(HELD_OUT, barely).endswith("it would not hold if those got better by less than 0.008.")
    carried = replace(BETTER, carried=2, rest=0.02)
    assert beside_base(HELD_OUT, carried).endswith(" 2 rows carry it: without them the difference is 0.02.")
    assert overall(carried)[1] == "Better at your task (2 rows carry it)."
    assert overall(replace(WORSE, carried=1))[1] == "Worse at your task (1 row carries it)."
    assert overall(fragile)[1] == "Better at your task (only 32 rows)."


def test_an_unsaved_best_step_is_mentioned() -> None:
    gone = best_of(Ends(20, 40, 1.9, 3.4), BETTER, 4, saved=False)
    assert gone.endswith("No checkpoint was saved at step 20: save_every sets the interval.")
