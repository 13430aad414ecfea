"""Which places hold passages of deleted rows, and what is left once they are deleted."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from arkor_dev.data.passages import Passages
from arkor_dev.local.deletion import search
from arkor_dev.local.deletion.search import Search
from arkor_dev.local.deletion.service import _delete_answers, _delete_rows
from arkor_dev.local.jobs.database import DATABASE
from arkor_dev.local.jobs.store import Store
from arkor_dev.teacher.ledger import FILE as LEDGER
from arkor_dev.teacher.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.deletion.search import Found

SECRET = "Ann Miller lives at 7 Willow Lane, and her card ends in 4921."
OTHER = "Ben lives at 9 Oak Street, and his card ends in 1234 (he says)."


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    data, project = tmp_path / "data", tmp_path / "project"
    data.mkdir()
    project.mkdir()
    with closing(Store(data / DATABASE, "local")):
        pass
    return data, project


def found(folders: tuple[Path, Path], *data_files: Path) -> Found:
    passages = Passages.of([SECRET], [OTHER])
    return Search(passages, *folders, {"job_0": "first"}, set(data_files)).run()


def test_rows_of_databases_are_found_and_overwritten(folders: tuple[Path, Path]) -> None:
    data, _ = folders
    with closing(Store(data / DATABASE, "local")) as store:
        for number, text in enumerate((OTHER, SECRET), 1):
            event = json.dumps({"messages": [{"content": f"é {text}"}]})
            db = store.writing
            db.execute("INSERT INTO events VALUES ('job_0', ?, 'sample.created', ?)", (number, event))
            db.execute(
                "INSERT INTO endpoint_requests (deployment, at, call, status, stream, prompt, completion, "
                "seconds, said) VALUES ('d', 't', 'chat', 200, 0, 1, 1, 1, ?)",
                (event,),
            )
    Ledger(data).close()
    answers = [("aa", OTHER), ("bb", json.dumps([SECRET]))]
    with closing(sqlite3.connect(data / LEDGER)) as ledger, ledger:
        ledger.executemany("INSERT INTO answers VALUES (?, ?)", answers)
    result = found(folders)
    assert [(copy["kind"], copy["name"]) for copy in result.copies] == [
        ("event", "event 2 of first"),
        ("log", "request 2 in the log of an endpoint"),
        ("answer", "kept answer bb of a teacher"),
    ]
    assert all(copy["deletable"] for copy in result.copies)
    with closing(Store(data / DATABASE, "local")) as store:
        _delete_rows(store, list(result.keys.values()))
        assert store.writing.execute("SELECT id FROM events").fetchall() == [(1,)]
        said = store.writing.execute("SELECT said IS NULL FROM endpoint_requests").fetchall()
        assert said == [(0,), (1,)]
    _delete_answers(data, list(result.keys.values()))
    assert found(folders).copies == []
    for file in data.glob("*.sqlite*"):
        assert b"Willow" not in file.read_bytes()


def test_damaged_and_hostile_files_are_listed_and_end_nothing(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, project = folders
    monkeypatch.setattr(search, "LARGEST", 1000)
    (project / "bad.jsonl.gz").write_bytes(b"\x1f\x8b no gzip")
    (project / "bad.tar").write_bytes(b"no tar" * 200)
    (project / "bad.zip").write_bytes(b"PK no zip")
    with zipfile.ZipFile(project / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("zeros.txt", "0" * 10_000)
    (project / "large.txt").write_text("x" * 1001)
    (project / "deep.json").write_text("[" * 900)
    (project / "image.png").write_bytes(b"\x89PNG\0" + SECRET.encode())
    (project / "weights.safetensors").write_text(SECRET)
    outside = tmp_path / "outside.txt"
    outside.write_text(SECRET)
    (project / "link.txt").symlink_to(outside)
    (project / "notes.txt").write_text(f"… {SECRET} …")
    result = found(folders)
    assert [copy["name"] for copy in result.copies] == ["notes.txt"]
    assert set(result.unsearched) == {"bad.jsonl.gz", "bad.tar", "bad.zip", "bomb.zip", "large.txt"}


def test_data_files_are_told_apart_and_never_deletable(folders: tuple[Path, Path]) -> None:
    _, project = folders
    for name in ("rows.csv", "copy.csv"):
        (project / name).write_text(f'question,answer\nWho?,"{SECRET}"\n')
    result = found(folders, project / "rows.csv")
    assert [(copy["name"], copy["kind"], copy["deletable"]) for copy in result.copies] == [
        ("copy.csv", "file", False),
        ("rows.csv", "data", False),
    ]


def test_parquet_is_searched(folders: tuple[Path, Path]) -> None:
    table = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    _, project = folders
    for name, text in (("a.parquet", SECRET), ("b.parquet", OTHER)):
        parquet.write_table(table.table({"prompt": ["Who?"], "completion": [text]}), project / name)
    assert [copy["name"] for copy in found(folders).copies] == ["a.parquet"]
