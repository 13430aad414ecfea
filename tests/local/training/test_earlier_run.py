"""A row is not deleted from an adapter while another row has the same content."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from arkor_dev.data.rows import Row
from arkor_dev.local.training.earlier_run import check_forgettable
from arkor_dev.local.workers.errors import JobFailure


def row(where: str, answer: str) -> Row:
    return Row([{"role": "user", "content": "Who?"}, {"role": "assistant", "content": answer}], where)


TRAIN = [row("chats.jsonl, line 1", "Ada"), row("chats.jsonl, line 2", "Bob")]
DELETED = {"chats.jsonl, line 2"}


def test_a_row_that_nothing_else_has_can_be_deleted() -> None:
    other = [row("judges.jsonl, line 1", "Ada")]
    check_forgettable(DELETED, TRAIN, other, other)


def test_copies_by_the_weight_of_a_source_are_deleted_with_it() -> None:
    check_forgettable(DELETED, [*TRAIN, TRAIN[1]], [], [])


@pytest.mark.parametrize("part", ["training", "held out", "replay data set"])
def test_a_row_with_the_same_content_is_refused(part: str) -> None:
    copy = [row("copy.jsonl, line 7", "Bob")]
    rows = [copy if part == name else [] for name in ("training", "held out", "replay data set")]
    with pytest.raises(
        JobFailure, match=r"copy\.jsonl, line 7.* has the same content as .*line 2"
    ) as failure:
        check_forgettable(DELETED, [*TRAIN, *rows[0]], rows[1], rows[2])
    assert part == "training" or part in str(failure.value)
