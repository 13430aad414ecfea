"""The record of the rows that a job trained on, and how those of two jobs differ."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import ConflictError
from arkor_dev.data.messages import turn
from arkor_dev.data.rows import Row
from arkor_dev.local.cards import job_rows
from arkor_dev.local.cards.job_rows import NAME, difference, save_rows
from arkor_dev.local.jobs.job_folder import evaluation_file

if TYPE_CHECKING:
    from pathlib import Path


def row(question: str, answer: str, line: int, file: str = "data/a.jsonl, line") -> Row:
    return Row(turn(question, answer), f"{file} {line}")


def counts(found: Any) -> tuple[int, int, int, int]:
    return found["same"], found["added"], found["removed"], found["changed"]


def test_added_removed_and_changed_rows_are_found(tmp_path: Path) -> None:
    before = [
        row("a?", "1", 1),
        row("b?", "2", 2),
        row("b?", "2", 3),
        row("c?", "3", 4),
        row("gone?", "4", 5),
    ]
    after = [
        row("c?", "3", 1, "other, row"), row("new?", "9", 12), row("a?", "1, corrected", 3),
        row("b?", "2", 4),
        Row([], "t.txt, line 7", text="A key: AKIAQ7RT2LPXW4ZD9VNS \u202e\n<b>"),
    ]  # fmt: skip
    save_rows(tmp_path / "one", before, [row("h?", "1", 9)])
    save_rows(tmp_path / "two", after, [row("h?", "1", 9)])
    found = difference(tmp_path / "one", tmp_path / "two")
    assert counts(found["train"]) == (2, 2, 2, 1)
    told = [(each["kind"], each["where"], each["excerpt"]) for each in found["train"]["rows"]]
    assert told[0] == ("changed", "data/a.jsonl, line 3", "a?")
    assert told[1] == ("added", "data/a.jsonl, line 12", "new?")
    assert {each[2] for each in told[3:]} == {"b?", "gone?"}
    assert "Q7RT2LPXW" not in told[2][2]
    assert told[2][2].endswith("<b>")
    assert counts(found["heldOut"]) == (1, 0, 0, 0)
    back = difference(tmp_path / "two", tmp_path / "one")
    assert counts(back["train"]) == (2, 2, 2, 1)
    assert counts(difference(tmp_path / "one", tmp_path / "one")["train"]) == (5, 0, 0, 0)


def test_a_row_with_a_new_question_counts_as_changed(tmp_path: Path) -> None:
    save_rows(tmp_path / "one", [row("a?", "1", 1), row("b?", "2", 2)], [])
    save_rows(tmp_path / "two", [row("a?", "1", 1), row("B?", "2", 2)], [])
    assert counts(difference(tmp_path / "one", tmp_path / "two")["train"]) == (1, 0, 0, 1)


def test_a_record_without_the_hash_of_files_is_compared(tmp_path: Path) -> None:
    record = {"places": ["a.jsonl, line"], "train": [["1", "2", 0, 3]], "heldOut": []}
    evaluation_file(tmp_path / "one", NAME).write(json.dumps(record).encode())
    save_rows(tmp_path / "two", [row("a?", "1", 1)], [])
    assert counts(difference(tmp_path / "one", tmp_path / "two")["train"])[0] == 0
    assert job_rows.files_read(tmp_path / "one") is None


def test_missing_and_damaged_row_records_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_rows(tmp_path / "one", [row("a?", "1", 1)], [])
    monkeypatch.setattr(job_rows, "MOST_ROWS", 1)
    save_rows(tmp_path / "two", [row("a?", "1", 1)] * 2, [])
    with pytest.raises(ConflictError, match="no record of its rows"):
        difference(tmp_path / "one", tmp_path / "two")
    damaged: Any
    for damaged in (
        [], {"places": [], "train": [["a", "b", 0, 1]], "heldOut": []}, {"places": ["x"], "train": [[1]]},
        {"places": ["x"], "train": [["a", "b", 0, "c"]], "heldOut": []},
        {"places": {}, "train": 1, "heldOut": 1},
    ):  # fmt: skip
        evaluation_file(tmp_path / "two", NAME).write(json.dumps(damaged).encode())
        with pytest.raises(ConflictError, match="no record of its rows"):
            difference(tmp_path / "one", tmp_path / "two")
    (tmp_path / "three").mkdir()
    (tmp_path / "three" / "evaluation").write_text("a file in the way")
    save_rows(tmp_path / "three", [], [])


def test_large_comparisons_have_no_excerpts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_rows, "WITH_EXCERPTS", 1)
    save_rows(tmp_path / "one", [row("a?", "1", 1), row("b?", "1", 2)], [])
    save_rows(tmp_path / "two", [row("a?", "1", 1)], [])
    (gone,) = difference(tmp_path / "two", tmp_path / "one")["train"]["rows"]
    assert (gone["where"], gone["excerpt"]) == ("data/a.jsonl, line 2", "")
