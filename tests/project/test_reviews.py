"""Adding judgements to data/reviews.jsonl: none lost, nothing written through a link, the limit kept."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import BadRequestError, TooLargeError
from arkor_dev.data.exclusions import row_hash
from arkor_dev.data.reviews import FILE, Reviewed, Reviews
from arkor_dev.project import line_file, reviews
from arkor_dev.project.data_editor import DataEditor, Moved, RowChange
from arkor_dev.project.reviews import (
    add_reviews,
    carry_over,
    marks,
    next_row,
    reviewed_row,
    reviews_of,
    summary,
)

if TYPE_CHECKING:
    from pathlib import Path

A = "a" * 16


def test_concurrent_reviews_are_all_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_file, "PATIENCE", 60.0)
    (tmp_path / "data").mkdir()
    (tmp_path / FILE).write_text('{"row": "%s", "by": "no line end"}' % A)  # noqa: UP031

    def judge(name: str) -> None:
        add_reviews(tmp_path, [{"row": f"{at:016x}", "verdict": "accepted", "by": name} for at in range(20)])
        reviews_of(tmp_path)

    threads = [threading.Thread(target=judge, args=(f"person {at}",)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    now = reviews_of(tmp_path)
    assert len(now.rows) == 21
    assert all(len(now.rows[at].people) == 8 for at in range(20))
    assert all("at" in review for review in now.rows[3].people.values())


def test_damaged_linked_and_full_review_files_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_reviews(tmp_path, [])
    assert not (tmp_path / "data").exists()
    add_reviews(tmp_path, [{"row": A}])
    before = (tmp_path / FILE).read_bytes()
    monkeypatch.setattr(reviews, "FILE_LIMIT", len(before) + 10)
    with pytest.raises(TooLargeError):
        add_reviews(tmp_path, [{"row": A}, {"row": A}])
    assert (tmp_path / FILE).read_bytes() == before
    (tmp_path / FILE).write_bytes(before + b"{")
    with pytest.raises(BadRequestError, match="line 2: not JSON"):
        reviews_of(tmp_path)
    carry_over(tmp_path, [Moved(int(A, 16), 7, unmerged=True)])
    assert (tmp_path / FILE).read_bytes() == before + b"{", "it may have judged the new row already"
    (tmp_path / FILE).rename(tmp_path / "elsewhere")
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadRequestError, match="is a symlink"):
        add_reviews(tmp_path, [{"row": A}])


TOML = '[[trainer]]\nname = "bot"\nmodel = "m"\ndataset = ["a.jsonl", "b.csv"]\n'


@pytest.fixture
def judged(tmp_path: Path) -> tuple[Path, DataEditor, list[str]]:
    """Six rows, the sixth a copy of the fifth; the hashes of the first three and of the fifth."""
    (tmp_path / "arkor.toml").write_text(TOML)
    rows = [f'{{"prompt": "Question {n}?", "completion": "Answer."}}' for n in range(3)]
    (tmp_path / "a.jsonl").write_text("\n".join([*rows, "not JSON"]))
    (tmp_path / "b.csv").write_text("prompt,completion\nA?,b\nA?,b\n")
    editor = DataEditor(tmp_path)
    return (
        tmp_path,
        editor,
        [f"{row_hash(row.encode()):016x}" for row in rows] + [f"{row_hash(['A?', 'b']):016x}"],
    )


def test_reviewed_rows_are_counted_and_filtered(judged: tuple[Path, DataEditor, list[str]]) -> None:
    project, editor, (first, second, _, copied) = judged
    files = editor.files_of("bot")
    add_reviews(
        project,
        [
            {"row": first, "verdict": "accepted", "by": "Ann", "tags": ["tone"]},
            {"row": first, "verdict": "rejected", "by": "Bo"},
            {"row": second, "made": {"by": "teacher"}},
            {"row": copied, "verdict": "accepted", "by": "Ann"},
            {"row": copied, "verdict": "accepted", "by": "Bo"},
            {"row": "f" * 16, "verdict": "rejected", "by": "Ann"},
        ],
    )
    now = reviews_of(project)
    assert editor.files_of("bot")[0] is files[0], "judging reads no file again"
    found = summary(now, files)
    counts = {name: found[name] for name in ("rows", "accepted", "rejected", "flagged", "unseen")}
    assert counts == {"rows": 6, "accepted": 2, "rejected": 1, "flagged": 0, "unseen": 3}
    assert (found["made"], found["disputed"], found["tags"]) == (1, 1, [{"name": "tone", "rows": 1}])
    assert found["people"] == [{"name": "Ann", "rows": 3}, {"name": "Bo", "rows": 3}]
    (both,) = found["agreement"]
    assert (both["people"], both["rows"], both["equal"]) == (["Ann", "Bo"], 2, 1)
    assert marks(now, files, 1, 5) == [
        {"row": 1, "verdict": "rejected"}, {"row": 2, "made": True}, {"row": 5, "verdict": "accepted"},
    ]  # fmt: skip
    assert reviewed_row(now, files, 6)["verdict"] == "accepted"
    assert reviewed_row(now, files, 2)["made"] == {"by": "teacher"}
    assert (reviewed_row(now, files, 4)["hash"] != "", reviewed_row(now, files, 3)["reviews"]) == (True, [])

    def go(want: str, after: int, by: str = "Ann", tag: str = "") -> int | None:
        return next_row(now, files, want, after, by, tag)

    assert [go("unseen", after) for after in (0, 2, 3, 4, 6)] == [2, 3, 4, 2, 2]
    assert [go("accepted", after) for after in (0, 5, 6)] == [5, 6, 5]
    assert (go("made", 2), go("disputed", 0), go("flagged", 0), go("", 3, tag="tone")) == (2, 1, None, 1)
    assert go("unseen", 0, by="Cy") == 1


def test_a_rubric_judge_counts_once_it_agrees_with_people() -> None:
    rows = {
        digest: Reviewed(
            {
                "Ann": {"row": f"{digest:016x}", "verdict": "accepted" if digest % 2 else "rejected"},
                "qwen (rubric)": {
                    "row": f"{digest:016x}",
                    "tags": [f"rubric: {'accepted' if digest % 2 else 'rejected'}"],
                },
            }
        )
        for digest in range(1, 21)
    }
    files: list[Any] = [SimpleNamespace(hashes=list(rows), broken=False)]
    few = summary(Reviews({digest: rows[digest] for digest in list(rows)[:19]}), files)
    assert [(each["needs"], each["heard"], each["scored"]) for each in few["rubrics"]] == [(1, False, 19)]
    (judge,) = summary(Reviews(rows), files)["rubrics"]
    assert (judge["by"], judge["rows"], judge["equal"], judge["kappa"]) == ("qwen (rubric)", 20, 20, 1.0)
    assert (judge["needs"], judge["heard"]) == (0, True)


def test_reviews_follow_an_edited_row(
    judged: tuple[Path, DataEditor, list[str]],
) -> None:
    project, editor, (first, second, *_) = judged
    add_reviews(
        project, [{"row": first, "verdict": "flagged", "by": "Ann"}, {"row": second, "made": {"n": 1}}]
    )
    record = {"prompt": "Question 0?", "completion": "Better."}
    done = editor.change(
        "bot", [RowChange(0, first, record), RowChange(0, second, {**record, "prompt": "1?"})]
    )
    files = editor.files_of("bot")
    row, other = (reviewed_row(reviews_of(project), files, number) for number in (1, 2))
    assert (row["verdict"], row["reviews"][0]["by"], other["made"]) == ("flagged", "Ann", {"n": 1})
    editor.undo(done["undo"])
    assert reviewed_row(reviews_of(project), editor.files_of("bot"), 1)["verdict"] == "flagged"
    first_part, second_part = {"prompt": "0", "completion": "a"}, {"prompt": "0", "completion": "b"}
    done = editor.change("bot", [RowChange(0, first, first_part, after=[second_part])])
    files = editor.files_of("bot")
    parts = [reviewed_row(reviews_of(project), files, number) for number in (1, 2)]
    assert [part["verdict"] for part in parts] == ["flagged", "flagged"]
    editor.undo(done["undo"])
    both = {"prompt": "0 and 1", "completion": "c"}
    changes = [RowChange(0, first, both), RowChange(0, second, delete=True, into=first)]
    done = editor.change("bot", changes)
    row = reviewed_row(reviews_of(project), editor.files_of("bot"), 1)
    assert (row["made"], row["reviews"]) == ({"n": 1}, []), "nobody has judged the merged row"
    editor.undo(done["undo"])
    editor.change("bot", [RowChange(0, second, record, insert=True)])
    assert "made" not in reviewed_row(reviews_of(project), editor.files_of("bot"), 3), "a new row"
