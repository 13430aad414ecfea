"""What a run knows of its evaluations: the best one, also after an interruption."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.evaluation import results

pytest.importorskip("numpy")

from arkor_dev.local.evaluation.history import History

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [1.0, 1.3, 0.9, 1.1, 1.2, 1.05, 0.95, 1.15, 1.25, 1.0]


def higher(by: float) -> list[float]:
    return [loss + by + 0.02 * (place % 3) for place, loss in enumerate(ROWS)]


def test_overfitting_is_said_with_its_step(tmp_path: Path) -> None:
    history = History(tmp_path)
    for step, by in ((10, 0.5), (20, 0.0), (30, 0.2), (40, 0.4)):
        for part in (0.1, 0.3):
            history.learned(part + 1 / step)
        history.add(step, 1.0 + by, higher(by))
    history.end(40)
    said = History(tmp_path).verdict(list(range(10)), saved=[20, 40])
    assert (said["bestStep"], said["bestVerdict"], said["bestKept"]) == (20, "better", True)
    assert said["bestSentence"].startswith("Step 20 was better than the final adapter")
    assert (
        "The run overfitted: from step 20 on the held-out loss rose from 1.000 to 1.400, while the training "
        "loss fell from 0.250 to 0.225." in said["bestSentence"]
    )
    assert history.verdict(list(range(10)), saved=[10])["bestKept"] is False


def test_a_best_step_by_chance_is_not_called_better(tmp_path: Path) -> None:
    history = History(tmp_path)
    noise = [0.3, -0.3, 0.2, -0.25, 0.1, -0.15, 0.25, -0.2, 0.1, -0.1]
    history.add(10, 1.09, ROWS)
    history.add(20, 1.1, [loss + each for loss, each in zip(ROWS, noise, strict=True)])
    history.end(20)
    said = history.verdict(list(range(10)))
    assert (said["bestStep"], said["bestVerdict"]) == (10, "unclear")
    assert said["bestSentence"].startswith("No clear difference between the final adapter and the best one:")
    assert history.verdict(list(range(10)), margin=0.9)["bestVerdict"] == "same"


def test_a_run_that_goes_on_knows_what_came_before_and_not_what_is_void(tmp_path: Path) -> None:
    first = History(tmp_path)
    for step, loss in ((10, 2.0), (20, 1.0), (30, 0.5)):
        first.add(step, loss, [loss] * 10)
    again = History(tmp_path)
    again.learned(0.5)
    again.add(30, 1.5, [1.5] * 10)
    assert again.trained == {30: 0.5}
    assert again.losses == {10: 2.0, 20: 1.0, 30: 1.5}
    assert again.rows == {10: [2.0] * 10, 20: [1.0] * 10, 30: [1.5] * 10}
    again.add(20, 1.2, [1.2] * 10)
    assert again.losses == {10: 2.0, 20: 1.2}
    again.end(20)
    assert History(tmp_path).final == 20


def test_of_very_many_rows_the_best_and_the_last_are_kept(tmp_path: Path) -> None:
    history = History(tmp_path)
    for step, loss in ((10, 2.0), (20, 1.0), (30, 1.7), (40, 1.5)):
        history.add(step, loss, [loss] * 9000)
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
        '{"rows": {"1": ["x"]}}',
        "\0",
    ],
)
def test_a_file_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    path = results.history_file(tmp_path).path
    path.parent.mkdir()
    path.write_text(text)
    history = History(tmp_path)
    assert (history.losses, history.rows, history.verdict([])) == ({}, {}, {})
    history.add(5, 1.0, [1.0])
    assert History(tmp_path).losses == {5: 1.0}
