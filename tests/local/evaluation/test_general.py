"""The general questions: enough of them, of each topic, none twice, short."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from arkor_dev.local.evaluation.general import (
    ANSWERS,
    ANSWERS_SHARE,
    COUNTS,
    DRY,
    QUESTIONS,
    SHARE,
    WRITTEN,
    TokenCounts,
    affordable,
    answerable,
    encoded,
    fewer,
    questions,
)
from arkor_dev.local.workers.errors import JobFailure

if TYPE_CHECKING:
    from arkor_dev.data.rows import Row


def test_there_are_enough_questions_of_every_topic() -> None:
    told = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    assert len(told) >= 60
    assert min(Counter(each["topic"] for each in told).values()) >= 8
    assert len({each["question"] for each in told}) == len(told)
    for each in told:
        assert set(each) == {"topic", "question", "answer"}
        assert each["answer"].strip()
        assert len(each["question"]) + len(each["answer"]) <= 240, each


def test_a_dry_run_asks_few_questions_of_different_topics() -> None:
    few = questions(DRY)
    assert len(few) == DRY
    assert len(questions()) > 60
    assert {row.where for row in few} < {row.where for row in questions()}


def test_questions_the_model_cannot_encode_are_left_out() -> None:
    rows = questions()

    def encode(row: Row) -> str:
        if row is rows[3]:
            raise JobFailure("too long for it")
        return "tokens"

    assert encoded(rows, encode) == ["tokens"] * (len(rows) - 1)


def test_fewer_questions_cover_every_topic_deterministically() -> None:
    rows, topics = questions(), {}
    for number, line in enumerate(QUESTIONS.read_text(encoding="utf-8").splitlines(), 1):
        topics[f"general question {number}"] = json.loads(line)["topic"]
    before: set[str] = set()
    for count in sorted(COUNTS):
        some = fewer(rows, count)
        names = [row.where for row in some]
        assert len(names) == min(count, len(rows))
        assert names == [row.where for row in fewer(rows, count)]
        assert names == [row.where for row in rows if row.where in names], "in the order of the file"
        assert before < set(names), "who asks for more asks for these as well"
        before = set(names)
    each = Counter(topics[row.where] for row in fewer(rows, COUNTS[-1]))
    assert len(each) == len(set(topics.values()))
    assert max(each.values()) - min(each.values()) <= 1


def test_an_unusable_question_is_replaced() -> None:
    rows = questions()
    some = fewer(rows, 24)
    without = fewer([row for row in rows if row is not some[0]], 24)
    assert len(without) == 24
    assert set(map(id, some[1:])) < set(map(id, without))


@pytest.mark.parametrize("steps", [1, 10, 40, 100, 1000])
def test_the_comparison_takes_a_small_share_of_the_run(steps: int) -> None:
    work = TokenCounts(step=600, held_out=1500, question=60)
    count = affordable(work, COUNTS, steps, 10)
    run = 3 * steps * work.step + -(-steps // 10) * work.held_out
    taken = work.held_out + 2 * count * work.question
    if count > COUNTS[-1]:
        assert taken <= SHARE * (run + taken)
    else:
        more = work.held_out + 2 * COUNTS[-2] * work.question
        assert more > SHARE * (run + more)


@pytest.mark.parametrize("steps", [1, 40, 400, 4000, 40_000])
def test_answers_take_a_small_share_of_the_run(steps: int) -> None:
    work = TokenCounts(step=600, held_out=1500, question=60)
    count, longest = answerable(work, steps, 10)
    taken = 2 * count * longest * WRITTEN
    run = 3 * steps * work.step + -(-steps // 10) * work.held_out
    assert taken <= ANSWERS_SHARE * run or (count, longest) == ANSWERS[-1]
    better = [each for each in ANSWERS if each[0] * each[1] > count * longest]
    assert all(2 * more * length * WRITTEN > ANSWERS_SHARE * run for more, length in better)
    assert (steps < 4000) == ((count, longest) != ANSWERS[0])


def test_the_number_of_questions_grows_with_the_run() -> None:
    work = TokenCounts(step=600, held_out=1500, question=60)
    assert affordable(work, COUNTS, 1000, 250) == 64
    assert affordable(work, COUNTS, 1, 0) == 24
    assert affordable(work, (8,), 1, 0) == 8
