"""Answers scored in a process of their own: each metric, a function of the project, and what goes wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("numpy")

from arkor_dev.local.evaluation import own_set_scores
from arkor_dev.local.evaluation.own_set_scores import Scorer, score_part
from arkor_dev.local.evaluation.rates import by_chance
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from arkor_dev.contract.shapes import EvaluationSet

ROWS = [
    {"question": "q1", "wanted": "Log 01:15.", "answer": " Log  01:15.\n"},
    {"question": "q2", "wanted": "hold", "answer": "It is in the HOLD of the ferry"},
    {"question": "q3", "wanted": "x", "answer": '{"order": "A1"}'},
    {"question": "q4", "wanted": "x", "answer": ""},
]
POLITE = """
import helper
from os import system

print("said on the way")


def polite(question, answer, wanted):
    return helper.LEVEL if answer else False


def fails(question, answer, wanted):
    raise ValueError("no such question " + question)


def endless(question, answer, wanted):
    import time
    while True:
        time.sleep(1)


def odd(question, answer, wanted):
    return "seven"


def gone(question, answer, wanted):
    import os
    os._exit(3)


def forks(question, answer, wanted):
    import os, time
    if not os.fork():
        os.setsid()
        for _ in range(5):
            if not os.fork():
                os.setsid()
                time.sleep(600)
        time.sleep(600 if question == "q1" else 0)
        os._exit(0)
    return 1


def greedy(question, answer, wanted):
    return len(bytearray(3 << 30))


def forks_and_hangs(question, answer, wanted):
    forks(question, answer, wanted)
    endless(question, answer, wanted)


NUMBER = 7
"""


def scored(settings: Any, project: Path, rows: Any, name: str) -> list[float]:
    with Scorer(settings, project, name) as score:
        return score(rows)


@pytest.fixture
def own_project(tmp_path: Path) -> Path:
    (tmp_path / "my").mkdir()
    (tmp_path / "my" / "checks.py").write_text(POLITE)
    (tmp_path / "helper.py").write_text("LEVEL = 0.5\n")
    # What a project calls its files must not come between the standard library and ours.
    (tmp_path / "json.py").write_text("raise RuntimeError('not this one')\n")
    (tmp_path / "elsewhere.py").symlink_to("/usr/lib/python3/dist-packages/nothing.py")
    return tmp_path


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"metric": "exact_match"}, [1, 0, 0, 0]),
        ({"metric": "contains"}, [1, 1, 0, 0]),
        ({"metric": "regex", "pattern": "^It"}, [0, 1, 0, 0]),
        ({"metric": "regex"}, [0, 0, 0, 0]),
        ({"metric": "json_schema", "schema": {"type": "object", "required": ["order"]}}, [0, 0, 1, 0]),
        ({"metric": "my.checks:polite"}, [0.5, 0.5, 0.5, 0]),
    ],
)
def test_each_metric_scores_answers(own_project: Path, told: dict[str, Any], expected: list[float]) -> None:
    assert scored(told, own_project, ROWS, "own") == expected


def test_tool_calls_are_scored_and_rows_without_tools_refused(own_project: Path) -> None:
    fields = {"question": "", "wanted": "", "tools": ["find"], "calls": [["find", '{"id": 1}']]}
    rows = [
        {**fields, "answer": '<tool_call>{"name": "find", "arguments": {"id": 1.0}}</tool_call>'},
        {**fields, "answer": "I call find."},
    ]
    assert scored({"metric": "tool_call"}, own_project, rows, "own") == [1, 0]
    with pytest.raises(JobFailure, match="The row has no tools with a function's name"):
        scored({"metric": "tool_call"}, own_project, [{**rows[0], "tools": []}], "own")


def test_a_row_may_have_its_own_pattern(own_project: Path) -> None:
    row = {"question": "", "wanted": r"\d\d:\d\d", "answer": "at 01:15"}
    assert scored({"metric": "regex"}, own_project, [row], "own") == [1]


@pytest.mark.parametrize(
    ("metric", "why"),
    [
        ("my.checks:fails", r"my\.checks:fails failed: ValueError: no such question q1"),
        ("my.checks:odd", "must be a finite number"),
        ("my.checks:gone", "ended without scores"),
        ("my.checks:greedy", r"my\.checks:greedy needs more than 2 GiB of memory, the limit for a metric"),
        ("my.checks:missing", "defines no function missing"),
        ("my.checks:NUMBER", "defines no function NUMBER"),
        ("my.checks:system", "defines no function system"),
        ("os:system", "is not in the project"),
        ("elsewhere:x", "outside the project"),
    ],
)
def test_failing_metrics_have_the_reason(own_project: Path, metric: str, why: str) -> None:
    with pytest.raises(JobFailure, match=why):
        scored({"metric": metric}, own_project, ROWS, "own")


def test_a_hanging_metric_is_killed(own_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_set_scores, "SECONDS", 1.0)
    with pytest.raises(JobFailure, match="The metric of own took longer than 1 s"):
        scored({"metric": "my.checks:forks_and_hangs"}, own_project, ROWS, "own")
    assert running(own_project) == []


def test_processes_left_by_a_metric_are_killed(own_project: Path) -> None:
    assert scored({"metric": "my.checks:forks"}, own_project, ROWS, "own") == [1, 1, 1, 1]
    assert running(own_project) == []


def running(project: Path) -> list[Path]:
    """The processes that work in a folder."""
    return [path for path in Path("/proc").glob("[0-9]*") if str(project) in _folder(path)]


def _folder(process: Path) -> str:
    try:
        return str((process / "cwd").readlink())
    except OSError:
        return ""


def test_a_slow_regular_expression_is_stopped(own_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_set_scores, "SECONDS", 1.0)
    row = {"question": "", "wanted": "", "answer": "a" * 60 + "!"}
    with pytest.raises(JobFailure, match="took longer"):
        scored({"metric": "regex", "pattern": "^(a+)+$"}, own_project, [row], "own")


def test_rates_are_counts_with_bounded_intervals() -> None:
    told: EvaluationSet = {"name": "refunds", "path": "x", "metric": "exact_match"}
    base, adapter = [0.0] * 25 + [1.0] * 5, [1.0] * 20 + [0.0] * 5 + [1.0] * 4 + [0.0]
    part = score_part(told, base, adapter, list(range(30)), 40)
    assert (part["base"], part["adapter"], part["verdict"]) == (0.16667, 0.8, "better")
    assert part["difference"]["mean"] == pytest.approx(19 / 30, abs=1e-4)
    assert -1 <= part["difference"]["low"] <= part["difference"]["high"] <= 1
    assert part["sentence"].startswith(
        "refunds: better, 24 of 30 answers equal to the wanted answer vs. 5 for the base; 95 % interval "
        "of the"
    )
    assert (part["of"], part["metric"]) == (40, "exact_match")
    back = score_part(told, adapter, base, list(range(30)), 30)
    assert back["verdict"] == "worse"
    assert "of" not in back
    same = score_part(told, base, base, list(range(30)), 30)
    assert same["verdict"] == "same"
    few = score_part(told, base[:3], adapter[:3], list(range(3)), 3)
    assert (few["verdict"], few["tooFew"]) == ("unclear", True)
    assert few["sentence"].startswith("refunds: too few rows to tell, ")
    assert "interval" not in few["sentence"]


def test_the_verdict_counts_right_tool_calls() -> None:
    told: EvaluationSet = {"path": "x", "name": "tools", "metric": "tool_call"}
    base, adapter = [1.0] * 12 + [0.0] * 38, [1.0] * 41 + [0.0] * 9
    part = score_part(told, base, adapter, list(range(50)), 50)
    assert part["sentence"].startswith(
        "tools: better, 41 of 50 answers with the right tool calls vs. 12 for the base; 95 % interval of the"
    )
    same = score_part(told, base, base, list(range(50)), 50)
    assert (same["verdict"], same["difference"]["mean"]) == ("same", 0)
    assert same["difference"]["low"] <= 0 <= same["difference"]["high"]


def test_a_change_of_every_answer_has_an_interval() -> None:
    told: EvaluationSet = {"path": "x", "name": "facts", "metric": "exact_match"}
    part = score_part(told, [0.0] * 40, [1.0] * 40, list(range(40)), 40)
    # Clopper and Pearson: 0.025 ** (1 / 40)
    assert part["difference"] == {"mean": 1.0, "low": 0.9119, "high": 1.0}
    back = score_part(told, [1.0] * 40, [0.0] * 40, [number // 4 for number in range(40)], 40)
    assert back["difference"] == {"mean": -1.0, "low": -1.0, "high": -0.5887}  # 10 groups, 99 %
    assert (part["verdict"], back["verdict"]) == ("better", "worse")


def test_score_verdicts_depend_on_significance() -> None:
    told: EvaluationSet = {"path": "x", "name": "refunds", "metric": "contains"}

    def verdict(gained: int, lost: int, rows: int) -> str:
        base = [0.0] * gained + [1.0] * lost + [0.0] * (rows - gained - lost)
        adapter = [1.0] * gained + [0.0] * lost + [0.0] * (rows - gained - lost)
        return score_part(told, base, adapter, list(range(rows)), rows)["verdict"]

    assert [verdict(*each) for each in ((11, 0, 12), (12, 0, 12), (8, 0, 12), (9, 0, 12))] == ["better"] * 4
    assert [verdict(*each) for each in ((6, 0, 12), (1, 0, 12), (6, 3, 12), (3, 0, 7))] == ["unclear"] * 4
    assert (verdict(0, 11, 12), verdict(0, 0, 12)) == ("worse", "same")
    assert by_chance([0.0] * 6, [1.0] * 6) == pytest.approx(2 / 64)
    assert by_chance([0.0, 1.0], [1.0, 0.0]) == 1


TONE: EvaluationSet = {"name": "tone", "path": "x", "metric": "a:b"}


def test_custom_scores_are_reported_as_means() -> None:
    part = score_part(TONE, [2.0] * 10, [5.0 + n / 10 for n in range(10)], list(range(10)), 10)
    assert part["sentence"].startswith(
        "tone: better, mean score 5.45 vs. 2.00 for the base on 10 rows; 99 % interval"
    )
    assert part["difference"]["low"] > 1
