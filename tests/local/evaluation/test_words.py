"""What is said of a comparison, and when it says that it does not know."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("numpy")

from arkor_dev.local.evaluation.paired import Comparison
from arkor_dev.local.evaluation.words import GENERAL, HELD_OUT, Ends, best_of, part

BETTER = Comparison(3.42, 1.91, 12, 12, mean=1.51, low=1.21, high=1.8, error=0.14)
SAME = Comparison(3.42, 3.4, 12, 12, mean=0.02, low=-0.051, high=0.09, error=0.03)
WORSE = Comparison(3.42, 3.9, 12, 12, mean=-0.48, low=-0.8, high=-0.2, error=0.13)
FEW = replace(BETTER, rows=3, groups=3)
ALIKE = replace(SAME, mean=0.0, adapter=3.42)


@pytest.mark.parametrize(
    ("compared", "said"),
    [
        (
            BETTER,
            (
                "Better than the base: loss 1.91 instead of 3.42 on 12 held-out rows, 95 % interval of the "
                "difference 1.21 to 1.80."
            ),
        ),
        (
            WORSE,
            (
                "Worse than the base: loss 3.90 instead of 3.42 on 12 held-out rows, 95 % interval of the "
                "difference 0.20 to 0.80."
            ),
        ),
        (
            SAME,
            (
                "No difference that 12 rows can show: loss 3.40 instead of 3.42, 95 % interval of the "
                "difference -0.05 to 0.09. About 290 rows would settle a difference of this size."
            ),
        ),
        (FEW, "3 held-out rows are too few to tell: loss 1.91 instead of 3.42. It takes 8 rows at least."),
        (
            replace(FEW, rows=1, groups=1),
            "1 held-out row is too few to tell: loss 1.91 instead of 3.42. It takes 8 rows at least.",
        ),
        (
            replace(FEW, rows=20),
            (
                "20 held-out rows (3 questions) are too few to tell: loss 1.91 instead of 3.42. "
                "It takes 54 rows at least."
            ),
        ),
        (
            ALIKE,
            (
                "No difference that 12 rows can show: loss 3.42 instead of 3.42, 95 % interval of the "
                "difference -0.05 to 0.09. The two are so alike that more rows would hardly tell them apart."
            ),
        ),
    ],
)
def test_the_verdict_is_a_sentence_with_its_figures(compared: Comparison, said: str) -> None:
    told = part(HELD_OUT, compared)
    assert told["sentence"] == said
    assert told["verdict"] == compared.verdict
    assert ("rowsToSettle" in told) == ("About" in said or "It takes" in said)


def test_what_was_forgotten_is_said_in_loss() -> None:
    said = {verdict: part(GENERAL, each)["sentence"] for verdict, each in
            (("worse", WORSE), ("better", BETTER), ("same", SAME), ("unknown", FEW))}  # fmt: skip
    assert said["worse"].startswith(
        "It answers general questions 0.48 worse than the base: loss 3.90 instead"
    )
    assert said["better"].startswith("It answers general questions 1.51 better than the base")
    assert said["same"].startswith(
        "It answers general questions as the base does, as far as 12 questions can"
    )
    assert said["unknown"] == "3 questions are too few to tell how it answers general ones."


def test_how_long_its_answers_are_is_said_with_it() -> None:
    said = {verdict: part(GENERAL, each, length="4 times longer")["sentence"] for verdict, each in
            (("worse", WORSE), ("better", BETTER), ("same", SAME), ("unknown", FEW))}  # fmt: skip
    begins = "It answers general questions"
    assert said["worse"].startswith(f"{begins} 0.48 worse than the base, and 4 times longer: loss 3.90")
    assert said["better"].startswith(f"{begins} 1.51 better than the base, but 4 times longer: loss")
    assert said["same"].startswith(f"{begins} as the base does, but 4 times longer, as far as 12 questions")
    assert said["unknown"] == "3 questions are too few to tell how it answers general ones."


def test_a_small_difference_is_shown_with_the_digits_that_it_needs() -> None:
    close = Comparison(2.0, 1.9971, 500, 500, mean=0.0029, low=0.0011, high=0.0047, error=0.001)
    assert "loss 1.9971 instead of 2.0000" in part(HELD_OUT, close)["sentence"]
    assert "difference 0.0011 to 0.0047" in part(HELD_OUT, close)["sentence"]


def test_how_many_of_the_questions_were_asked_is_said() -> None:
    some = replace(WORSE, rows=24, groups=24)
    told = part(GENERAL, some, 64)
    assert "on 24 of 64 questions" in told["sentence"]
    assert told["of"] == 64
    whole = part(GENERAL, some, 24)
    assert "on 24 questions" in whole["sentence"]
    assert "of" not in whole
    assert (
        "as far as 24 of 64 questions can show"
        in part(GENERAL, replace(SAME, rows=24, groups=24), 64)["sentence"]
    )


def test_which_step_was_best_and_whether_that_is_more_than_chance() -> None:
    assert (
        best_of(Ends(40, 40, 1.9, 1.9), None, 4) == "No evaluation was better than the final adapter's, of 4."
    )
    assert best_of(Ends(40, 40, 1.9, 1.9), None, 1) == ""
    alike = best_of(Ends(20, 40, 1.9, 1.913), SAME, 4)
    assert alike == (
        "The final adapter is as good as the best, as far as the rows can show: step 20 had an evaluation "
        "loss of 1.900, the end one of 1.913."
    )
    few = best_of(Ends(20, 40, 1.9, 1.913), FEW, 4)
    assert few.startswith("Step 20 had an evaluation loss of 1.900, the end one of 1.913: too few rows")


def test_overfitting_is_where_the_training_loss_fell_on() -> None:
    over = best_of(Ends(20, 40, 1.9, 3.4, (1.5, 0.4)), BETTER, 4)
    assert over.startswith("Step 20 was better than the final adapter: loss 1.91 instead of 3.42")
    assert over.endswith(
        "The run overfitted: from step 20 on the held-out loss rose from 1.900 to 3.400, while the training "
        "loss fell from 1.500 to 0.400. It learned its rows by heart."
    )
    away = best_of(Ends(20, 40, 1.9, 3.4, (0.4, 1.5)), BETTER, 4)
    assert "overfitted" not in away
    assert away.endswith("and so did the training loss, from 0.400 to 1.500: a lower rate may help.")
    unknown = best_of(Ends(20, 40, 1.9, 3.4), BETTER, 4)
    assert unknown.endswith("From step 20 on the held-out loss rose from 1.900 to 3.400.")


def test_a_best_step_that_was_not_saved_is_said() -> None:
    gone = best_of(Ends(20, 40, 1.9, 3.4), BETTER, 4, saved=False)
    assert gone.endswith("No checkpoint was saved at step 20: save_every decides which are.")
