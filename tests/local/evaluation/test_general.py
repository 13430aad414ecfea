"""The general questions: enough of them, of each topic, none twice, short."""

from __future__ import annotations

import json
from collections import Counter

from arkor_dev.local.evaluation.general import DRY, QUESTIONS, encoded, questions
from arkor_dev.local.workers.errors import JobFailure


def test_there_are_enough_questions_of_every_topic() -> None:
    told = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    assert len(told) >= 60
    assert min(Counter(each["topic"] for each in told).values()) >= 8
    assert len({each["question"] for each in told}) == len(told)
    for each in told:
        assert set(each) == {"topic", "question", "answer"}
        assert each["answer"].strip()
        assert len(each["question"]) + len(each["answer"]) <= 240, each


def test_a_dry_run_asks_a_few_of_different_topics() -> None:
    few = questions(DRY)
    assert len(few) == DRY
    assert len(questions()) > 60
    assert {row.where for row in few} < {row.where for row in questions()}


def test_a_question_that_the_model_cannot_have_is_left_out() -> None:
    rows = questions()

    def encode(row: object) -> str:
        if row is rows[3]:
            raise JobFailure("too long for it")
        return "tokens"

    assert encoded(rows, encode) == ["tokens"] * (len(rows) - 1)
