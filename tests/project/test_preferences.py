"""Votes and ratings in files of the project: none lost, each taken back alone, until it was trained on."""

from __future__ import annotations

import json
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import BadRequestError, ConflictError, NotFoundError, TooLargeError
from arkor_dev.data.preferences import RATINGS
from arkor_dev.data.row_parser import row_of
from arkor_dev.project import line_file
from arkor_dev.project.corrections import add_correction
from arkor_dev.project.line_file import includes
from arkor_dev.project.preferences import FILES, add_preference, read_preferences, remove_preference

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.data.rows import RowMessage

FILE, RATED = FILES
PROMPT: list[RowMessage] = [{"role": "user", "content": "Where?\n\u2028<script>"}]
VOTE: Any = {"prompt": PROMPT, "chosen": "Here.", "rejected": "There."}
RATING: Any = {"prompt": PROMPT, "completion": "Here.", "label": False}


def vote(project: Path, **more: Any) -> str:
    return add_preference(project, VOTE | more, "Ann", ["final:a", "base:b"])["id"]


def rows(project: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (project / FILE).read_text().split("\n") if line]


def test_votes_and_ratings_are_valid_training_rows(tmp_path: Path) -> None:
    first = add_preference(tmp_path, VOTE, "Ann", ["final:a", "base:b"])
    add_preference(tmp_path, RATING, "", ["final:a"])
    add_correction(
        tmp_path, [*PROMPT, {"role": "assistant", "content": "Here."}], "There.", "bot · final adapter"
    )
    (pair,) = rows(tmp_path)
    # A single rating would be an invalid row for a method that learns from pairs.
    rating = json.loads((tmp_path / RATED).read_text())
    assert pair == {**VOTE, "given": {**pair["given"], "by": "Ann", "models": ["final:a", "base:b"]}}
    read = [row_of(row, "row", None, {}, forms=RATINGS) for row in (pair, rating)]
    assert read[0].extra["rejected"][-1]["content"] == "There."
    assert read[1].extra == {"desirable": False}
    found = read_preferences(tmp_path)
    assert (found["pairs"], found["ratings"], found["corrections"], found["older"]) == (1, 1, 1, 0)
    assert found["rows"][0] == first
    assert (first["line"], first["kind"], first["prompt"]) == (1, "pair", PROMPT)
    assert (found["rows"][1]["label"], found["rows"][1]["models"]) == (False, ["final:a"])
    with pytest.raises(TooLargeError):
        vote(tmp_path, chosen="x" * 300_000)


def test_a_vote_is_removed_anywhere_in_the_file(tmp_path: Path) -> None:
    first, second, third = (vote(tmp_path, chosen=f"{n}") for n in range(3))
    remove_preference(tmp_path, second, {})
    assert [row["given"]["id"] for row in rows(tmp_path)] == [first, third]
    with pytest.raises(NotFoundError):
        remove_preference(tmp_path, second, {})
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["preferences.jsonl"]


def test_votes_that_were_trained_on_cannot_be_removed(tmp_path: Path) -> None:
    given = vote(tmp_path)
    at = read_preferences(tmp_path)["rows"][0]["at"]
    with pytest.raises(ConflictError, match="bot has learned from this"):
        remove_preference(tmp_path, given, {FILE: [("2020-01-01T00:00:00Z", "old"), (at, "bot")]})
    learned = [("2020-01-01T00:00:00Z", "old"), ("no time", "odd")]
    remove_preference(tmp_path, given, {FILE: learned, RATED: [(at, "another file")]})
    assert rows(tmp_path) == []


def test_foreign_lines_are_kept_and_damaged_ones_named(tmp_path: Path) -> None:
    given = vote(tmp_path)
    with (tmp_path / FILE).open("a") as file:
        file.write('{"prompt": "by hand", "chosen": "a", "rejected": "b"}\n{"prompt": "x", "chos')
    vote(tmp_path, chosen="later")
    found = read_preferences(tmp_path)
    assert found["pairs"] == 3
    assert found["problem"].startswith(f"{FILE}, line 3: not JSON (")
    assert "column 17" in found["problem"]
    remove_preference(tmp_path, given, {})
    assert (tmp_path / FILE).read_text().startswith('{"prompt": "by hand"')
    assert read_preferences(tmp_path)["pairs"] == 2


@pytest.mark.parametrize(
    "more",
    [
        {"given": {"models": 3, "at": 1}},
        {"prompt": [{"from": "human", "value": "Where?"}]},
        {"prompt": [{"role": "developer", "content": [{"type": "text", "text": "Where?"}]}]},
    ],
)
def test_lines_written_by_hand_are_listed(tmp_path: Path, more: dict[str, Any]) -> None:
    file = tmp_path / FILE
    file.parent.mkdir()
    file.write_text(json.dumps({**VOTE, **more}) + "\n")
    (row,) = read_preferences(tmp_path)["rows"]
    assert row["models"] == []
    assert [message["content"] for message in row["prompt"]] == [
        "Where?" if "prompt" in more else PROMPT[0]["content"]
    ]


def test_concurrent_votes_are_all_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adding and taking back, each in a thread: a waiting one must see the file that is there now."""
    monkeypatch.setattr(line_file, "PATIENCE", 60.0)
    gone = [vote(tmp_path, chosen=f"gone {n}") for n in range(8)]
    calls: list[Callable[[], object]] = [
        *(partial(vote, tmp_path, chosen=f"new {n}") for n in range(8)),
        *(partial(remove_preference, tmp_path, each, {}) for each in gone),
    ]
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(row["chosen"] for row in rows(tmp_path)) == [f"new {n}" for n in range(8)]


def test_votes_are_not_written_through_a_symlink(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("")
    (tmp_path / "data").mkdir()
    (tmp_path / FILE).symlink_to(elsewhere)
    with pytest.raises(BadRequestError, match="is a symlink"):
        vote(tmp_path)
    assert elsewhere.read_text() == ""


def test_data_sets_that_include_preferences_are_recognized() -> None:
    for path in (FILE, "data", "."):
        assert includes({"type": "list", "sources": [{"type": "file", "path": path}]}, FILE)
    for source in (None, {"type": "file", "path": "data/a.jsonl"}, {"type": "huggingface", "name": FILE}):
        assert not includes(source, FILE)
