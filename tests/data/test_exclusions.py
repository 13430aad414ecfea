"""Rows that a data set excludes: by content, wherever they stand, in every format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from arkor_dev.data.exclusions import are_entries, entry_of, row_hash
from arkor_dev.data.findings.check import check_data
from arkor_dev.data.reader import open_data
from arkor_dev.data.rows import Row
from arkor_dev.data.sources import every_file

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.contract.shapes import DatasetSource
    from arkor_dev.data.reader import DataFile

ROWS = [{"prompt": f"Question {n % 4}?", "completion": f"Answer {n % 4}."} for n in range(8)]
"""Four rows, each of them twice."""


def written(path: Path, rows: list[dict[str, str]], indent: int | None = None) -> None:
    if path.suffix == ".csv":
        lines = ["prompt,completion", *(f'{row["prompt"]},"{row["completion"]}"' for row in rows)]
    elif path.suffix == ".json":
        lines = [json.dumps(rows, indent=indent)]
    else:
        lines = [json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n")


def entries(path: Path) -> list[str]:
    """The entry of each row as if it were the first with its content."""
    source: DatasetSource = {"type": "file", "path": path.name}
    with open_data(every_file(source, path.parent, _no_fetch)) as data:
        return [entry_of(row_hash(found.record.raw), 1) for found in data.scan()]


def _no_fetch(_: DatasetSource) -> DataFile:
    raise AssertionError("nothing is to be fetched")


def answers(source: DatasetSource, project: Path) -> list[tuple[int, str]]:
    """The number and the answer of each row that is trained on."""
    with open_data(every_file(source, project, _no_fetch)) as data:
        items = list(data)
    rows = [(item.location.number, item.row) for item in items if isinstance(item.row, Row)]
    return [(number, row.messages[-1]["content"]) for number, row in rows]


@pytest.mark.parametrize("name", ["d.jsonl", "d.csv", "d.json"])
def test_rows_are_excluded_by_content_and_occurrence(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    written(path, ROWS)
    known = entries(path)
    assert known[:4] == known[4:]
    assert len(set(known)) == 4
    source: DatasetSource = {"type": "file", "path": name, "exclude": [known[1], f"{known[2]}#2"]}
    kept = [1, 3, 4, 5, 6, 8]
    assert [number for number, _ in answers(source, tmp_path)] == kept
    # A row that has moved, or is formatted in another way, stays excluded; an edited one does not.
    moved = [{"prompt": "New?", "completion": "Yes."}, *ROWS]
    written(path, moved, indent=1)
    assert [number - 1 for number, _ in answers(source, tmp_path)] == [0, *kept]
    moved[2] = {**moved[2], "completion": "Another answer."}
    written(path, moved)
    assert (3, "Another answer.") in answers(source, tmp_path)


def test_exclusions_apply_to_one_source(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("a.jsonl", "folder/b.jsonl", "folder/c.jsonl"):
        written(tmp_path / name, ROWS[:2])
    entry = entries(tmp_path / "a.jsonl")[0]
    folder: DatasetSource = {"type": "file", "path": "folder", "exclude": [f"{entry}#2"]}
    both: DatasetSource = {"type": "list", "sources": [{"type": "file", "path": "a.jsonl"}, folder]}
    assert [number for number, _ in answers(both, tmp_path)] == [1, 2, 3, 4, 6]


def test_a_check_skips_excluded_rows(tmp_path: Path) -> None:
    secret = {"prompt": "Key?", "completion": "It is AKIAQ7RT2LPXW4ZD9VNS, keep it."}
    path = tmp_path / "d.jsonl"
    written(path, [*ROWS[:4], secret])
    source: DatasetSource = {"type": "file", "path": path.name}
    codes = [found["code"] for found in check_data(every_file(source, tmp_path, _no_fetch))["findings"]]
    assert "secret" in codes
    source["exclude"] = [entries(path)[-1], "0123456789abcdef"]
    report = check_data(every_file(source, tmp_path, _no_fetch))
    assert report["rows"] == 4
    (finding,) = report["findings"]
    assert (finding["code"], finding["level"], finding["rows"][0]["row"]) == ("excluded", "note", 5)
    assert "Q7RT2LPXW" not in finding["rows"][0]["excerpt"]
    assert any(sentence.startswith("1 entry of exclude") for sentence in report["leftOut"])


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        (["0123456789abcdef", "0123456789abcdef#12"], True),
        ([], True),
        (["0123456789abcde"], False),
        (["0123456789ABCDEF"], False),
        (["0123456789abcdef#0"], False),
        (["0123456789abcdef\n"], False),
        ([7], False),
        ("0123456789abcdef", False),
        (["0123456789abcdef"] * 1001, False),
    ],
)
def test_exclusion_entries_are_validated(value: object, valid: bool) -> None:
    assert are_entries(value) == valid
