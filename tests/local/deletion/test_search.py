"""Which files contain passages of deleted rows, and which still do after a deletion."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import sqlite3
import tarfile
import zipfile
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from arkor_dev.data.passages import Passages
from arkor_dev.local.deletion import file_texts, search
from arkor_dev.local.deletion.search import Search
from arkor_dev.local.deletion.service import _delete_answers, _delete_rows
from arkor_dev.local.jobs.database import DATABASE
from arkor_dev.local.jobs.store import Store
from arkor_dev.teacher.ledger import FILE as LEDGER
from arkor_dev.teacher.ledger import Ledger
from tests.local.jobs.test_store import CONFIG

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.deletion.messages import Found

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
    monkeypatch.setattr(search, "LARGEST", 20_000)
    monkeypatch.setattr(file_texts, "MOST_UNPACKED", 100_000)
    (project / "bad.jsonl.gz").write_bytes(b"\x1f\x8b no gzip")
    (project / "bad.tar").write_bytes(b"no tar" * 200)
    (project / "bad.zip").write_bytes(b"PK no zip")
    with zipfile.ZipFile(project / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(10):
            packed.writestr(f"zeros{number}.txt", "0" * 20_000)
    (project / "bomb.tar.gz").write_bytes(gzip.compress(tarred("skipped.safetensors", b"0" * 200_000)))
    (project / "large.txt").write_text("x" * 20_001)
    (project / "deep.json").write_text("[" * 900)
    (project / "image.png").write_bytes(b"\x89PNG\0")
    (project / "weights.safetensors").write_text(SECRET)
    outside = tmp_path / "outside.txt"
    outside.write_text(SECRET)
    (project / "link.txt").symlink_to(outside)
    (project / "notes.txt").write_text(f"… {SECRET} …")
    result = found(folders)
    assert [copy["name"] for copy in result.copies] == ["notes.txt"]
    assert dict(one[:-1].split(" (", 1) for one in result.unsearched) == {
        "bad.jsonl.gz": "it is damaged",
        "bad.tar": "it is damaged",
        "bad.zip": "it is damaged",
        "bomb.tar.gz": "too large",
        "bomb.zip": "too large",
        "image.png": "not text",
        "large.txt": "too large",
    }


def test_archives_that_cannot_be_unpacked_are_listed_and_the_rest_of_them_is_searched(
    folders: tuple[Path, Path],
) -> None:
    _, project = folders
    locked = project / "locked.zip"
    with zipfile.ZipFile(locked, "w") as packed:
        packed.writestr("a.txt", OTHER)
        packed.writestr("b.txt", SECRET)
    content = bytearray(locked.read_bytes())
    entry = content.index(b"PK\x01\x02")
    content[entry + 8] |= 1  # encrypted
    locked.write_bytes(content)
    odd = bytearray(content)
    odd[entry + 8] &= ~1
    odd[entry + 10] = 99  # an unknown method
    (project / "odd.zip").write_bytes(odd)
    once = bytearray(odd)
    second = once.index(b"PK\x01\x02", entry + 1)
    once[second + 10] = 99
    (project / "both.zip").write_bytes(once)
    result = found(folders)
    assert {copy["name"] for copy in result.copies} == {"locked.zip", "odd.zip"}
    (missed,) = result.unsearched
    assert missed.startswith("both.zip (a.txt: ")
    assert "b.txt: " in missed
    only = bytearray(locked.read_bytes())
    only[only.index(b"PK\x01\x02", entry + 1) + 8] |= 1
    locked.write_bytes(only)
    assert "locked.zip (a.txt: it has a password, b.txt: it has a password)" in found(folders).unsearched


def test_files_packed_in_one_another_are_searched_to_a_depth(folders: tuple[Path, Path]) -> None:
    _, project = folders
    inner = gzip.compress(tarred("Secret.TXT", SECRET.encode()))
    (project / "one.TGZ").write_bytes(inner)
    (project / "two.tar").write_bytes(tarred("one.tar.gz", inner))
    (project / "three.tar.xz").write_bytes(lzma.compress(tarred("two.tar", tarred("one.tgz", inner))))
    with zipfile.ZipFile(project / "two.zip", "w") as packed, io.BytesIO() as nested:
        with zipfile.ZipFile(nested, "w") as one:
            one.writestr("a.txt", SECRET)
        packed.writestr("one.zip", nested.getvalue())
    result = found(folders)
    assert [copy["name"] for copy in result.copies] == ["one.TGZ", "two.tar", "two.zip"]
    assert result.unsearched == ["three.tar.xz (two.tar: one.tgz: packed too deeply)"]


def test_what_is_not_searched_is_said(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    data, project = folders
    for name in (".git", "web/node_modules", "venv"):
        (project / name).mkdir(parents=True)
        (project / name / "a.txt").write_text(SECRET)
    (project / "utf16.txt").write_text(SECRET, encoding="utf-16")
    (project / "utf16_without_mark.txt").write_bytes(SECRET.encode("utf-16-le"))
    # U+FFFD is text: models write it. So is a character over the end of a piece, but not a part of one.
    (project / "answers.md").write_text("An answer with \ufffd", encoding="utf-8")
    edge = b"x" * (file_texts.PIECE - 1) + "€".encode()
    (project / "edge.txt").write_bytes(edge)
    (project / "cut.txt").write_bytes(edge[:-1])
    (project / "paper.pdf").write_text("%PDF-1.7 ...")
    (project / "mine.sqlite").write_bytes(b"SQLite format 3\0")
    (project / "rows.tar").write_bytes(tarred("rows.parquet", b"PAR1\0"))
    with zipfile.ZipFile(project / "sheet.xlsx", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.xml", SECRET)
    state = data / "jobs" / "job_0" / "checkpoints" / "4" / "state.pt"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"numbers of an optimizer\0")
    (data / "venv").mkdir()
    (data / "venv" / "a.txt").write_text(SECRET)
    result = found(folders)
    assert [copy["name"] for copy in result.copies] == ["venv/a.txt", "utf16.txt", ".git/a.txt"]
    assert result.unsearched == [
        "venv/ (not searched)",
        "cut.txt (not text)",
        "mine.sqlite (not text)",
        "paper.pdf (not text)",
        "rows.tar (rows.parquet: not text)",
        "sheet.xlsx (not text)",
        "utf16_without_mark.txt (not text)",
        "web/node_modules/ (not searched)",
        "the history in .git (Git can't read it)",
    ]
    monkeypatch.setattr(search, "MOST_UNSEARCHED", 3)
    cut = found(folders)
    assert (len(cut.unsearched), cut.unsearched_count) == (3, 9)
    monkeypatch.setattr(search, "SECONDS", -1.0)
    late = found(folders)
    assert late.copies == []
    assert late.unsearched_count > 8
    assert late.unsearched[0].endswith("(the time was over)")


def test_a_passage_across_an_escaped_newline_is_found_in_every_column(folders: tuple[Path, Path]) -> None:
    data, _ = folders
    broken = SECRET.replace(" and her", "\nand her")
    with closing(Store(data / DATABASE, "local")) as store:
        job = store.create("job", CONFIG)["id"]
        for column in ("config", "evaluation"):
            query = f"UPDATE jobs SET {column} = ?"  # noqa: S608 - the two above
            store.writing.execute(query, (json.dumps({"prompt": broken}),))
            assert [copy["kind"] for copy in found(folders).copies] == ["job"], column
            store.writing.execute(query, ("{}",))
            assert found(folders).copies == []
        store.edit(job, {"notes": broken})
        assert [copy["kind"] for copy in found(folders).copies] == ["job"]


def test_a_damaged_database_is_listed(folders: tuple[Path, Path]) -> None:
    data, project = folders
    (data / LEDGER).write_bytes(b"not a database, " * 100)
    (project / "notes.txt").write_text(SECRET)
    result = found(folders)
    assert [copy["name"] for copy in result.copies] == ["notes.txt"]
    assert result.unsearched == [f"{data / LEDGER} (it is damaged)"]


def tarred(name: str, content: bytes) -> bytes:
    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        return file.getvalue()


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
