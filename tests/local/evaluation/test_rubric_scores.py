"""Answers scored by a judge, a real HTTP server: what it may say, cost and do wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest

pytest.importorskip("numpy")

from arkor_dev.local.evaluation.answer_scorer import JudgeFailure
from arkor_dev.local.evaluation.answers import Stopped
from arkor_dev.local.evaluation.rubric_scores import RubricScorer, score_in
from arkor_dev.local.evaluation.scorers import check_scorers
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.teacher import asker
from arkor_dev.teacher.ledger import FILE, Ledger, Spent
from tests.support.scripted_teacher import Said, scripted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.contract.shapes import EvaluationSet

KEY = "sk-secret-0123456789"
ROWS = [
    {"question": "How many?", "answer": "three", "wanted": "three"},
    {"question": "How many?", "answer": "four \ud800", "wanted": ""},
    {"question": "How many?", "answer": "three", "wanted": "three"},
]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asker, "PAUSES", (0.01,))


def a_set(url: str, **more: Any) -> EvaluationSet:
    judge = {"teacher": url, "model": "wise", **more.pop("judge", {})}
    own = {"name": "right", "path": "x", "metric": "rubric", "rubric": "1: it is three.", "judge": judge}
    return cast("EvaluationSet", {**own, **more})


def scorer(url: str, data: Path, stopped: Callable[[], bool] = lambda: False, **more: Any) -> RubricScorer:
    return RubricScorer(a_set(url, **more), data, "job_1", stopped)


def spent(data: Path) -> Spent:
    ledger = Ledger(data)
    try:
        return ledger.spent("job job_1: right")
    finally:
        ledger.close()


def right(_: int, body: dict[str, Any]) -> Said:
    shown = json.loads(body["messages"][1]["content"])
    return Said([{"reason": "It says so.", "score": float(shown["answer"] == "three")}])


def test_a_judge_sees_rubric_range_and_answers(tmp_path: Path) -> None:
    with scripted(right) as judge, scorer(judge.url, tmp_path, range=[0, 5]) as score:
        assert score(ROWS) == [1, 0, 1]
    assert len(judge.bodies) == 2, "equal answers are asked about once"
    instructions = judge.bodies[0]["messages"][0]["content"]
    assert "from 0 to 5" in instructions
    assert instructions.endswith("1: it is three.")
    shown = sorted((json.loads(text) for text in judge.asked()), key=len)
    assert shown[0] == {"question": "How many?", "answer": "four ?"}
    assert shown[1] == ROWS[0]


def test_scores_are_kept_for_all_jobs(tmp_path: Path) -> None:
    with scripted(right) as judge:
        with scorer(judge.url, tmp_path) as score:
            score(ROWS)
        with scorer(judge.url, tmp_path) as score:
            assert score(ROWS) == [1, 0, 1]
        assert len(judge.bodies) == 2
        with scorer(judge.url, tmp_path, rubric="another") as score:
            score(ROWS)
        assert len(judge.bodies) == 4
    assert spent(tmp_path).requests == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"rows": [{"reason": "", "score": 0.5}]}', 0.5),
        ('Well. {"rows": [{"score": 1}]}', 1.0),
        ('<think>{"rows": [{"score": 1}]}</think>{"rows": [{"score": 0}]}', 0.0),
        ('{"rows": [{"score": 1.01}]}', None),
        ('{"rows": [{"score": -0.01}]}', None),
        ('{"rows": [{"score": NaN}]}', None),
        ('{"rows": [{"score": Infinity}]}', None),
        ('{"rows": [{"score": 1' + "0" * 400 + "}]}", None),
        ('{"rows": [{"score": true}]}', None),
        ('{"rows": [{"score": "1"}]}', None),
        ('{"rows": [{"score": [1]}]}', None),
        ('{"rows": [{"score": 1}, {"score": 0}]}', None),
        ('{"rows": [1]}', None),
        ('{"rows": []}', None),
        ("The score is 1.", None),
        ("[" * 100_000, None),
        ("", None),
    ],
)
def test_only_one_number_within_the_range_is_a_score(text: str, expected: float | None) -> None:
    assert score_in(text, 0, 1) == expected


def test_a_score_that_cannot_be_read_is_asked_for_again(tmp_path: Path) -> None:
    def script(number: int, body: dict[str, Any]) -> Said:
        return Said([{"score": 7}]) if number == 0 else right(number, body)

    with scripted(script) as judge, scorer(judge.url, tmp_path) as score:
        assert score(ROWS[:1]) == [1]
    assert [body["temperature"] for body in judge.bodies] == [0, 0.5]


def test_a_judge_without_scores_is_named(tmp_path: Path) -> None:
    said = "The score is beyond all numbers."
    with scripted(lambda *_: Said(text=said)) as judge, scorer(judge.url, tmp_path) as score:
        with pytest.raises(JudgeFailure, match="answered 3 times without a score from 0 to 1") as refused:
            score(ROWS[:1])
        assert said not in str(refused.value)
        judge.script = right
        assert score(ROWS[:1]) == [1], "what could not be read is not kept"


def test_a_judge_out_of_reach_loses_no_score(tmp_path: Path) -> None:
    def script(number: int, body: dict[str, Any]) -> Said:
        return right(number, body) if "three" in body["messages"][1]["content"] else Said(status=503)

    with scripted(script) as judge, scorer(judge.url, tmp_path) as score:
        with pytest.raises(JudgeFailure, match=r"gives no scores: .* is busy \(503\), 6 times\. Resume"):
            score(ROWS)
        judge.script = right
        before = len(judge.bodies)
        assert score(ROWS) == [1, 0, 1]
        assert len(judge.bodies) == before + 1
    with (
        scorer("http://127.0.0.1:1/v1", tmp_path) as score,
        pytest.raises(JudgeFailure, match=r"cannot be reached \(connection refused\), 6 times"),
    ):
        score(ROWS)


def test_the_budget_holds(tmp_path: Path) -> None:
    rows = [{"question": "q", "answer": str(number)} for number in range(8)]
    with scripted(right) as judge, scorer(judge.url, tmp_path, judge={"budgetRequests": 3}) as score:
        with pytest.raises(JudgeFailure, match="its budget of 3 requests for this job is spent"):
            score(rows)
        assert len(judge.bodies) == 3
    with scripted(right) as judge, scorer(judge.url, tmp_path, judge={"budgetTokens": 10}) as score:
        with pytest.raises(JudgeFailure, match="10,000 requests or 10 tokens"):
            score(rows)
        assert judge.bodies == []


def test_a_job_that_must_stop_does_not_wait_for_its_judge(tmp_path: Path) -> None:
    stop: list[bool] = []

    def script(number: int, body: dict[str, Any]) -> Said:
        stop.append(True)
        return Said([{"score": 1}], slow=5)

    with scripted(script) as judge, scorer(judge.url, tmp_path, lambda: bool(stop)) as score:
        with pytest.raises(Stopped):
            score(ROWS[:1])
        assert len(judge.bodies) == 1
    assert spent(tmp_path).output == 300, "a request under way counts in full"


def test_the_key_is_sent_and_appears_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = a_set("http://127.0.0.1:1/v1", judge={"keyEnv": "JUDGE_API_KEY"})
    monkeypatch.delenv("JUDGE_API_KEY", raising=False)
    with pytest.raises(JobFailure, match="right needs its key in the environment variable JUDGE_API_KEY"):
        check_scorers([{"name": "other", "path": "x", "metric": "contains"}, own], tmp_path)
    monkeypatch.setenv("JUDGE_API_KEY", KEY)
    check_scorers([own], tmp_path)
    with pytest.raises(JobFailure, match="would send the key in clear text"):
        check_scorers([a_set("http://example.org/v1", judge={"keyEnv": "JUDGE_API_KEY"})], tmp_path)

    def script(number: int, body: dict[str, Any]) -> Said:
        if number:
            return Said(status=401, text=f"Wrong key: {KEY}")
        return Said([{"reason": f"The key is {KEY}", "score": 1}])

    with scripted(script) as judge, scorer(judge.url, tmp_path, judge={"keyEnv": "JUDGE_API_KEY"}) as score:
        assert score(ROWS[:1]) == [1]
        with pytest.raises(JudgeFailure, match="refuses the request") as refused:
            score(ROWS[1:2])
    assert judge.keys == [f"Bearer {KEY}"] * 2
    assert KEY not in str(refused.value)
    kept = b"".join(path.read_bytes() for path in tmp_path.glob(f"{FILE}*"))
    assert b"The key is" in kept
    assert KEY.encode() not in kept
