"""Own sets in a job's config: what each may say."""

from __future__ import annotations

from typing import Any

import pytest

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.settings.own_sets import MOST, fault_of, importable, sets_fault
from arkor_dev.local.jobs.job_config import check_config

GOOD: dict[str, Any] = {"name": "refunds", "path": "data/refunds.jsonl"}
JUDGE: dict[str, Any] = {"teacher": "http://localhost:1234/v1", "model": "wise"}
RUBRIC: dict[str, Any] = {"metric": "rubric", "rubric": "1: polite", "judge": JUDGE}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"metric": "exact_match"},
        {"metric": "contains"},
        {"metric": "regex"},
        {"metric": "regex", "pattern": r"^\d+$"},
        {"metric": "json_schema", "schema": {"type": "object"}},
        {"metric": "tool_call"},
        {"metric": "checks:polite"},
        {"metric": "my.checks:polite_1"},
        RUBRIC,
        {**RUBRIC, "range": [-1, 5], "rubric": "# Tone\n\n1: polite"},
        {
            **RUBRIC,
            "judge": {**JUDGE, "keyEnv": "JUDGE_2_API_KEY", "budgetRequests": 1, "budgetTokens": 10**9},
        },
    ],
)
def test_valid_evaluation_sets_pass(more: dict[str, Any]) -> None:
    assert fault_of({**GOOD, **more}) is None
    assert sets_fault([{**GOOD, **more}]) is None


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"path": None}, "path"),
        ({"metric": "accuracy"}, "metric"),
        ({"metric": "os.path:"}, "metric"),
        ({"metric": ":x"}, "metric"),
        ({"metric": "a/b:x"}, "metric"),
        ({"metric": "..a:x"}, "metric"),
        ({"metric": 7}, "metric"),
        ({"pattern": "x"}, "pattern"),
        ({"metric": "regex", "pattern": "("}, "pattern"),
        ({"metric": "contains", "schema": {}}, "schema"),
        ({"metric": "tool_call", "pattern": "x"}, "pattern"),
        ({"metric": "json_schema"}, "schema"),
        ({"metric": "json_schema", "schema": {"format": "x"}}, "schema"),
        ({"metric": "contains", "rubric": "x"}, "rubric"),
        ({"metric": "contains", "range": [0, 1]}, "range"),
        ({**RUBRIC, "metric": "loss"}, "rubric"),
        ({**RUBRIC, "rubric": None}, "rubric"),
        ({**RUBRIC, "rubric": " \n"}, "rubric"),
        ({**RUBRIC, "rubric": "x" * 8001}, "rubric"),
        ({**RUBRIC, "range": [1, 0]}, "range"),
        ({**RUBRIC, "range": [0, 0]}, "range"),
        ({**RUBRIC, "range": [0, float("inf")]}, "range"),
        ({**RUBRIC, "range": [False, True]}, "range"),
        ({**RUBRIC, "range": [0, 1, 2]}, "range"),
        ({**RUBRIC, "range": 5}, "range"),
        ({**RUBRIC, "judge": None}, "judge"),
        ({**RUBRIC, "judge": "http://localhost:1/v1"}, "judge"),
        ({**RUBRIC, "judge": {"teacher": JUDGE["teacher"]}}, "judge"),
        ({**RUBRIC, "judge": {**JUDGE, "teacher": "base"}}, "judge"),
        ({**RUBRIC, "judge": {**JUDGE, "teacher": "http://me:secret@host/v1"}}, "judge"),
        ({**RUBRIC, "judge": {**JUDGE, "keyEnv": "sk-secret"}}, "judge"),
        ({**RUBRIC, "judge": {**JUDGE, "keyEnv": "AWS_SECRET_ACCESS_KEY"}}, "judge"),
        ({**RUBRIC, "judge": {**JUDGE, "budgetRequests": 0}}, "judge"),
        ({**RUBRIC, "judge": {**JUDGE, "key": "x"}}, "judge"),
    ],
)
def test_invalid_evaluation_sets_name_the_key(more: dict[str, Any], key: str) -> None:
    told = {**GOOD, **more}
    fault = fault_of(told)
    assert fault
    assert fault[0] == key
    config = {"model": "m", "datasetSource": {"type": "file", "path": "x"}, "evaluations": [told]}
    with pytest.raises(BadRequestError, match=rf"config\.evaluations\[0\]\.{key}"):
        check_config(config)


@pytest.mark.parametrize("sets", [{}, "x", [7], [GOOD] * (MOST + 1), [GOOD, GOOD]])
def test_evaluation_sets_have_unique_names(sets: object) -> None:
    assert sets_fault(sets)
    assert sets_fault([]) is None
    assert sets_fault([GOOD, {**GOOD, "name": "others"}]) is None


def test_an_archive_brings_neither_code_nor_a_judge_along() -> None:
    sets = [{**GOOD, **more} for more in ({}, {"metric": "contains"}, {"metric": "checks:polite"}, RUBRIC)]
    assert importable(sets) == sets[:2]
