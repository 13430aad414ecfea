"""What is kept of evaluations: found by what it is of, and trusted only where it is what it should be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.evaluation import results
from arkor_dev.local.jobs import job_folder

if TYPE_CHECKING:
    from pathlib import Path

SCORES: results.Scores = {"rows": "a", "tokens": "b", "groups": [0, 1], "adapter": [1.0, 2], "margin": 0.01}


def test_each_evaluation_has_its_own_file(tmp_path: Path) -> None:
    asked = [(None, None), (5, None), (None, "data/a.jsonl"), (5, "data/a.jsonl"), (None, "../../etc/passwd")]
    files = [results.result_file(tmp_path, step, data) for step, data in asked]
    assert len(set(files)) == len(files)
    assert {file.path.parent for file in files} == {tmp_path / "evaluation"}
    for number, (step, data) in enumerate(asked):
        results.write(results.result_file(tmp_path, step, data), {"evaluation": {"seconds": number}})
    assert [results.result(tmp_path, *each)["evaluation"]["seconds"] for each in asked] == [0, 1, 2, 3, 4]  # type: ignore[index]


@pytest.mark.parametrize(
    "text", ["", "[]", "7", "{}", '{"evaluation": 1}', "\0", "[" * 5000, '{"evaluation": NaN}']
)
def test_invalid_result_files_are_ignored(tmp_path: Path, text: str) -> None:
    path = results.result_file(tmp_path, None).path
    path.parent.mkdir()
    path.write_text(text)
    assert results.result(tmp_path, None, None) is None


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results.write(results.result_file(tmp_path, None), {"evaluation": {"sentence": "x" * 100}})
    assert results.result(tmp_path, None, None)
    monkeypatch.setattr(job_folder, "RESULT_LIMIT", 100)
    assert results.result(tmp_path, None, None) is None


@pytest.mark.parametrize(
    "other",
    [
        {"adapter": []},
        {"adapter": [1.0]},
        {"adapter": [1.0, math.nan]},
        {"adapter": [1.0, "2"]},
        {"adapter": None},
        {"groups": [0, "1"]},
        {"groups": [0, True]},
        {"rows": 1},
        {"tokens": None},
        {"higher": 1},
        {"keys": [1, "2"]},
        {"keys": None},
        {"keys": ["a"]},
        {"margin": math.inf},
        {"chose": [True]},
        {"chose": [1, 0]},
        {"chose": "yes"},
    ],
    ids=str,
)
def test_stored_scores_are_validated(other: dict[str, Any]) -> None:
    assert results.is_score(SCORES)
    assert not results.is_score({**SCORES, **other})
    assert not results.is_score(None)
    assert not results.is_score([SCORES])


@pytest.mark.parametrize(
    "found", [None, [], {"evaluation": {"general": {"rows": "24"}}}, {"evaluation": None}]
)
def test_the_number_of_questions_may_be_unknown(found: Any) -> None:
    assert results.questions_in(found) is None
    assert results.questions_in({"evaluation": {"general": {"rows": 24}}}) == 24


@pytest.mark.parametrize(
    "told", [{"count": 10**9, "longest": 64}, {"count": 8, "longest": 10**9}, {"count": True}]
)
def test_stored_answer_lengths_are_bounded(told: dict[str, Any]) -> None:
    assert results.answers_in({"evaluation": {"general": {"answers": {"count": 8, "longest": 64}}}}) == (
        8,
        64,
    )
    assert results.answers_in({"evaluation": {"general": {"answers": {"longest": 64, **told}}}}) is None


def test_lists_from_result_files_contain_objects_only() -> None:
    assert results.objects([{"row": 1}, "x", None, [1]]) == [{"row": 1}]
    assert results.objects("x") == results.objects(None) == results.objects({"a": 1}) == []


def test_rows_that_chose_either_adapter_are_excluded() -> None:
    one: results.Scores = {**SCORES, "chose": [True, False]}
    other: results.Scores = {**SCORES, "chose": [False, False]}
    assert results.is_score(one)
    assert results.chose_either(one, other) == [True, False]
    assert results.chose_either(SCORES, other) == [False, False]
    assert results.chose_either(SCORES, SCORES) == []
