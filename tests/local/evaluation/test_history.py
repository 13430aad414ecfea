"""What a run knows of its evaluations: the best one, also after an interruption."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.evaluation import results

pytest.importorskip("numpy")

from arkor_dev.local.evaluation.history import History

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import Evaluation, EvaluationBudget

ROWS = [1.0, 1.3, 0.9, 1.1, 1.2, 1.05, 0.95, 1.15, 1.25, 1.0] * 2
HALF = [place // 2 % 2 == 0 for place in range(20)]


def higher(by: float) -> list[float]:
    return [loss + by + 0.02 * (place % 3) for place, loss in enumerate(ROWS)]


def best_of(history: History, groups: list[int], **more: Any) -> Any:
    """The fields that an evaluation gets."""
    evaluation: Evaluation = {"verdict": "same", "sentence": "The same."}
    history.add_best(evaluation, groups, **more)
    return {name: value for name, value in evaluation.items() if name not in ("verdict", "sentence")}


def test_overfitting_is_reported_with_its_step(tmp_path: Path) -> None:
    history = History(tmp_path)
    for step, by in ((10, 0.5), (20, 0.0), (30, 0.2), (40, 0.4)):
        for part in (0.1, 0.3):
            history.learned(part + 1 / step)
        history.add(step, 1.0 + by, higher(by), 1.0 + by)
    history.end(40)
    said = best_of(History(tmp_path), list(range(20)), saved=[20, 40], chose=HALF)
    assert (said["bestStep"], said["bestVerdict"], said["bestKept"]) == (20, "better", True)
    assert said["bestSentence"].startswith(
        "Step 20 was better than the final adapter: loss 1.1080 vs. 1.5080 on 10 held-out rows that did not "
        "choose it; 99 % interval"
    )
    assert (
        "The run overfitted: from step 20 on the held-out loss rose from 1.000 to 1.400, while the training "
        "loss fell from 0.250 to 0.225." in said["bestSentence"]
    )
    assert best_of(history, list(range(20)), saved=[10])["bestKept"] is False


def test_the_chosen_step_is_compared_on_the_judging_rows(tmp_path: Path) -> None:
    """If those that choose prefer step 10 and the others step 20, step 10 is not called better."""
    history = History(tmp_path)
    lucky = [loss - (0.5 if chooses else -0.5) for loss, chooses in zip(ROWS, HALF, strict=True)]
    history.add(10, 1.09, lucky, 0.6)
    history.add(20, 1.09, ROWS, 1.1)
    history.end(20)
    said = best_of(history, list(range(20)), chose=HALF)
    assert (said["bestStep"], said["bestVerdict"]) == (10, "worse")
    assert said["bestSentence"].startswith(
        "The final adapter is better than that of step 10, the best of 2 on"
    )


def test_too_few_rows_compare_no_steps(tmp_path: Path) -> None:
    history = History(tmp_path)
    for step, by in ((10, 0.0), (20, 0.9)):
        history.add(step, 1.0 + by, higher(by)[:12], 1.0 + by)
    history.end(20)
    said = best_of(history, list(range(12)), chose=[True] * 12)
    assert (said["bestStep"], said["bestVerdict"]) == (10, "unclear")
    assert said["bestSentence"] == (
        "The adapter of step 10 had an evaluation loss of 1.000, the final one 1.900. 12 rows are too few to "
        "both choose a step and compare it: that takes 16."
    )


@pytest.mark.parametrize(
    ("losses", "extend_to"),
    [
        ([3.0, 2.4, 2.0], 45),
        ([3.0, 2.0, 1.97], None),  # it has levelled off
        ([3.0, 2.0, 2.2], None),  # it overfits
        ([3.0, 2.0], None),  # two evaluations show no course
    ],
)
def test_a_falling_loss_proposes_more_steps(
    tmp_path: Path, losses: list[float], extend_to: int | None
) -> None:
    history = History(tmp_path)
    for step, loss in enumerate(losses, 1):
        history.add(10 * step, loss, [loss] * 20, loss)
    history.end(10 * len(losses))
    assert best_of(history, list(range(20)), margin=0.01).get("extendTo") == extend_to


def test_the_choice_of_checkpoint_names_the_rows(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.add(10, 1.0, ROWS, 1.0)
    assert history.choice(HALF, None, stops_early=True) is None, "a single evaluation leaves no choice"
    history.add(20, 0.9, ROWS, 0.9)
    assert history.choice(HALF, None, stops_early=False) is None, "the last step's adapter was not chosen"
    assert history.choice(HALF, None, stops_early=True) == {
        "evaluations": 2,
        "chose": 10,
        "judged": 10,
        "sentence": "Early stopping chose this adapter from 2 evaluations, by its loss on 10 of the 20 "
        "held-out rows. Only the other 10 judge it.",
    }
    checkpoint = history.choice(HALF, 10, stops_early=False)
    assert checkpoint
    assert checkpoint["sentence"] == (
        "This checkpoint is one of 2 that were evaluated, and 10 of the 20 held-out rows are for choosing "
        "one. Only the other 10 judge it."
    )
    too_few = history.choice([True] * 12, None, stops_early=True)
    assert too_few
    assert (too_few["chose"], too_few["judged"]) == (12, 0)
    assert too_few["sentence"].endswith(
        "none is left to judge it: hold out at least 16 independent rows (eval_split)."
    )


def test_a_best_step_by_chance_is_not_called_better(tmp_path: Path) -> None:
    history = History(tmp_path)
    noise = [0.3, -0.3, 0.2, -0.25, 0.1, -0.15, 0.25, -0.2, 0.1, -0.1] * 2
    history.add(10, 1.09, ROWS, 1.09)
    history.add(20, 1.1, [loss + each for loss, each in zip(ROWS, noise, strict=True)], 1.1)
    history.end(20)
    said = best_of(history, list(range(20)), chose=HALF)
    assert (said["bestStep"], said["bestVerdict"]) == (10, "unclear")
    assert said["bestSentence"].startswith(
        "No clear difference between the final adapter and that of step 10"
    )
    assert best_of(history, list(range(20)), margin=0.9, chose=HALF)["bestVerdict"] == "same"


def test_a_resumed_run_keeps_its_valid_history(tmp_path: Path) -> None:
    first = History(tmp_path)
    for step, loss in ((10, 2.0), (20, 1.0), (30, 0.5)):
        first.add(step, loss, [loss] * 10, loss)
    again = History(tmp_path)
    again.learned(0.5)
    again.add(30, 1.5, [1.5] * 10, 1.5)
    assert again.trained == {30: 0.5}
    assert again.losses == {10: 2.0, 20: 1.0, 30: 1.5}
    assert again.rows == {10: [2.0] * 10, 20: [1.0] * 10, 30: [1.5] * 10}
    again.add(20, 1.2, [1.2] * 10, 1.2)
    assert again.losses == {10: 2.0, 20: 1.2}
    again.end(20)
    assert History(tmp_path).final == 20


def test_large_histories_keep_the_best_and_last_evaluation(tmp_path: Path) -> None:
    history = History(tmp_path)
    for step, loss in ((10, 2.0), (20, 1.0), (30, 1.7), (40, 1.5)):
        history.add(step, loss, [loss] * 9000, loss)
    assert {step: rows[0] for step, rows in History(tmp_path).rows.items()} == {20: 1.0, 40: 1.5}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"losses": 1}',
        '{"trained": {"1": "x"}}',
        '{"losses": {"x": 1}}',
        '{"losses": {"1": "nan"}}',
        '{"losses": {"1": 2.0}}',
        '{"rows": {"1": ["x"]}}',
        "\0",
    ],
)
def test_an_unreadable_history_is_ignored(tmp_path: Path, text: str) -> None:
    path = results.history_file(tmp_path).path
    path.parent.mkdir()
    path.write_text(text)
    history = History(tmp_path)
    assert (history.losses, history.rows, best_of(history, [])) == ({}, {}, {})
    history.add(5, 1.0, [1.0], 1.0)
    assert History(tmp_path).losses == {5: 1.0}


def test_how_a_strength_was_chosen_outlives_the_run_and_is_checked(tmp_path: Path) -> None:
    budget: EvaluationBudget = {
        "maxHarm": 0.2, "kept": True, "strength": 0.6, "harm": 0.1, "questions": 64, "sentence": "At 60 %.",
    }  # fmt: skip
    History(tmp_path).turned_down(budget)
    again = History(tmp_path)
    assert again.budget == budget
    again.add(10, 1.0, ROWS, 1.0)
    assert History(tmp_path).budget == budget
    chose = [True, False] * 8
    assert again.choice(chose, None, stops_early=False) is None  # no row chose the strength
    stepped: EvaluationBudget = {**budget, "step": 9, "steps": 4}
    again.turned_down(stepped)
    choice = History(tmp_path).choice(chose, None, stops_early=True)
    assert choice == {
        "evaluations": 4, "chose": 8, "judged": 8,
        "sentence": "The step of this adapter was chosen from 4, by its loss on 8 of the 16 held-out rows. "
        "Only the other 8 judge it.",
    }  # fmt: skip
    assert again.choice(chose, 9, stops_early=False) is None  # a checkpoint of a run without evaluations
    broken = (
        {"kept": 1},
        {"strength": "1"},
        {"sentence": None},
        {"steps": "4"},
        {"steps": 0},
        {"step": True},
    )
    for wrong in ("x", *({**budget, **change} for change in broken)):
        results.write(results.history_file(tmp_path), {"budget": wrong})
        assert History(tmp_path).budget is None
    again.turned_down(None)
    assert History(tmp_path).budget is None
    assert History(tmp_path).losses == {10: 1.0}
