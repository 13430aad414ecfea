"""Corrections in data/corrections.jsonl: each whole, never over another's line, and undone exactly."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import ArkorError, status_of
from arkor_dev.data.messages import turn
from arkor_dev.project import corrections as module
from arkor_dev.project import line_file
from arkor_dev.project.arkor_toml import load_trainers, revision
from arkor_dev.project.corrections import (
    FILE,
    add_correction,
    includes_corrections,
    read_corrections,
    undo_correction,
)
from arkor_dev.project.write_settings import write_dataset

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.data.rows import RowMessage


def chat(question: str, answer: str) -> list[RowMessage]:
    return turn(question, answer)


def add(project: Path, question: str = "Where?", answer: str = "Here.") -> Any:
    return add_correction(project, chat(question, answer), "There.", "bot · final adapter")


def refused(project: Path, status: int, words: str, call: Any = add) -> None:
    """The refusal's status and words; the file must be as it was."""
    path = project / FILE
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(ArkorError, match=words) as fault:
        call(project)
    assert status_of(fault.value) == status
    assert (path.read_bytes() if path.is_file() else None) == before


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def test_a_correction_appends_one_line(project: Path) -> None:
    first = add(project, "Where is it?\n\u2028é", "In the ledger.")
    assert (first["file"], first["line"], first["sameQuestion"]) == (FILE, 1, [])
    before = (project / FILE).read_bytes()
    second = add(project, "And then?", "Nothing.")
    assert second["line"] == 2
    content = (project / FILE).read_bytes()
    assert content.startswith(before)
    rows = [json.loads(line) for line in content.decode().split("\n")[:-1]]
    assert [row["messages"] for row in rows] == [
        chat("Where is it?\n\u2028é", "In the ledger."),
        chat("And then?", "Nothing."),
    ]
    assert rows[0]["corrected"]["instead"] == "There."
    read, older = read_corrections(project)
    assert ([row["line"] for row in read], older) == ([1, 2], 0)
    assert read[0]["by"] == "bot · final adapter"


def test_existing_lines_are_kept(project: Path) -> None:
    (project / "data").mkdir()
    path = project / FILE
    path.write_bytes(b'{"prompt": "a", "completion": "b"}\nno json \xff\n\n[1]\n{"messages": 5}\n{"half')
    path.chmod(0o640)
    before = path.read_bytes()
    added = add(project)
    content = path.read_bytes()
    assert content.startswith(before + b"\n{"), "a line without an end of its own is not run into"
    assert added["line"] == 7
    assert path.stat().st_mode & 0o777 == 0o640
    assert [row["line"] for row in read_corrections(project)[0]] == [7]
    undo_correction(project, added["undo"])
    assert path.read_bytes() == before


def test_a_repeated_correction_is_refused(project: Path) -> None:
    add(project, "Where?", "Here.")
    refused(project, 409, "same correction is in line 1", lambda at: add(at, " Where? ", "Here.\n"))
    other = add(project, "Where?", "Somewhere else.")
    assert other["sameQuestion"] == [1]
    assert add(project, "When?", "Now.")["sameQuestion"] == []


def test_undo_removes_only_the_added_line(project: Path) -> None:
    first = add(project)
    kept = (project / FILE).read_bytes()
    second = add(project, "And then?", "Nothing.")
    refused(project, 409, "changed since", lambda at: undo_correction(at, first["undo"]))
    undo_correction(project, second["undo"])
    assert (project / FILE).read_bytes() == kept
    refused(project, 409, "changed since", lambda at: undo_correction(at, second["undo"]))
    again = add(project, "And then?", "Nothing.")
    undo_correction(project, again["undo"])


def test_undo_of_the_first_correction_deletes_a_new_file(project: Path) -> None:
    undo_correction(project, add(project)["undo"])
    assert not (project / FILE).exists()
    refused(project, 409, "changed since", lambda at: undo_correction(at, "n.0.5.1.1." + "0" * 32))
    (project / FILE).write_bytes(b"")
    undo_correction(project, add(project)["undo"])
    assert (project / FILE).read_bytes() == b""


def test_undo_refuses_a_changed_file(project: Path) -> None:
    added = add(project)
    path = project / FILE
    path.write_bytes(path.read_bytes() + b"{}\n")
    refused(project, 409, "changed since", lambda at: undo_correction(at, added["undo"]))
    added = add(project, "x", "y")
    content, before = path.read_bytes(), path.stat()
    path.unlink()
    path.write_bytes(content)  # the same bytes, but somebody has been at them, be it within the clock's grain
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
    refused(project, 409, "changed since", lambda at: undo_correction(at, added["undo"]))


@pytest.mark.parametrize("token", ["", "x", "a.0.0.0.0.zz", "a.-1.5.1.1." + "0" * 32, "n." + "9" * 99])
def test_an_invalid_undo_token_is_refused(project: Path, token: str) -> None:
    add(project)
    refused(project, 400, "not a valid undo token", lambda at: undo_correction(at, token))


def test_corrections_are_not_written_through_a_symlink(project: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "own.jsonl").write_text("{}\n")
    (project / "data").symlink_to(outside)
    refused(project, 400, "symlink")
    assert sorted(path.name for path in outside.iterdir()) == ["own.jsonl"]
    (project / "data").unlink()
    (project / "data").mkdir()
    for target in (outside / "own.jsonl", outside / "new.jsonl", project / "data" / "inside.jsonl"):
        (project / FILE).symlink_to(target)
        refused(project, 400, "symlink")
        (project / FILE).unlink()
    os.link(outside / "own.jsonl", project / FILE)
    refused(project, 400, "hard link")
    assert (outside / "own.jsonl").read_text() == "{}\n"
    assert not (outside / "new.jsonl").exists()


def test_fifos_and_folders_are_refused(project: Path) -> None:
    (project / "data").mkdir()
    os.mkfifo(project / FILE)
    refused(project, 400, "isn't a regular file")
    (project / FILE).unlink()
    (project / FILE).mkdir()
    refused(project, 400, "cannot be written")


def test_corrections_and_their_file_are_limited_in_size(project: Path) -> None:
    refused(project, 413, "at most 256 KiB", lambda at: add(at, "x" * 300_000, "y"))
    (project / "data").mkdir(exist_ok=True)
    with (project / FILE).open("wb") as file:
        file.truncate(line_file.FILE_LIMIT + 1)
    refused(project, 413, "more than 16 MiB")


def test_a_partial_write_is_rolled_back(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(project)
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:10]))
    refused(project, 507, "disk is full", lambda at: add(at, "x", "y"))

    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(os, "fsync", broken)
    refused(project, 500, "Input/output error", lambda at: add(at, "x", "y"))


def test_concurrent_corrections_are_all_kept(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_file, "PATIENCE", 60.0)  # each flushes to a disk, which may stand still

    def work(name: int) -> None:
        for number in range(10):
            add(project, f"{name}/{number}", "x" * 3000)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = (project / FILE).read_text().splitlines()
    assert len(lines) == 40
    assert len({json.loads(line)["messages"][0]["content"] for line in lines}) == 40


def test_the_newest_corrections_are_listed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LINES", 2)
    for number in range(5):
        add(project, str(number), "x")
    rows, older = read_corrections(project)
    assert ([row["line"] for row in rows], older) == ([4, 5], 3)
    assert read_corrections(project / "nowhere") == ([], 0)


def test_corrections_are_valid_training_data(project: Path) -> None:
    add(project)
    (project / "arkor.toml").write_text(f'[[trainer]]\nname = "a"\nmodel = "m"\ndataset = "{FILE}"\n')
    (trainer,) = load_trainers(project)
    assert (trainer.get("problem"), trainer.get("flaw"), trainer["rows"]) == (None, None, 1)


@pytest.mark.parametrize(
    ("source", "listed"),
    [
        ({"type": "file", "path": FILE}, True),
        ({"type": "file", "path": "data"}, True),
        ({"type": "file", "path": "."}, True),
        ({"type": "file", "path": "data/support.jsonl"}, False),
        ({"type": "file", "path": "data/corrections.jsonl.gz"}, False),
        ({"type": "huggingface", "name": FILE}, False),
        ({"type": "list", "sources": [{"type": "blob", "url": "x"}, {"type": "file", "path": FILE}]}, True),
        ({"type": "list", "sources": "x"}, False),
        (None, False),
    ],
    ids=str,
)
def test_a_data_set_that_includes_corrections_is_recognized(source: object, listed: bool) -> None:
    assert includes_corrections(source) is listed


HEAD = '# ours\n[[trainer]]\nname = "a"\nmodel = "m"\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('dataset = "data/a.jsonl"  # all', f'dataset = ["data/a.jsonl", "{FILE}"]  # all'),
        (
            'dataset = { path = "data/a.jsonl", form = "chat" }',
            f'dataset = [{{ path = "data/a.jsonl", form = "chat" }}, "{FILE}"]',
        ),
        ('dataset = ["data/a.jsonl"]', f'dataset = ["data/a.jsonl", "{FILE}"]'),
        ('dataset = [ "data/a.jsonl", ]', f'dataset = [ "data/a.jsonl", "{FILE}", ]'),
        (
            'dataset = [\n    "data/a.jsonl",\n]\nsteps = 5',
            f'dataset = [\n    "data/a.jsonl",\n    "{FILE}",\n]\nsteps = 5',
        ),
        (
            'dataset = [\n    "data/a.jsonl", # one\n]',
            f'dataset = [\n    "data/a.jsonl", # one\n    "{FILE}",\n]',
        ),
    ],
)
def test_adding_corrections_to_a_data_set_changes_only_that_key(
    project: Path, before: str, after: str
) -> None:
    (project / "data").mkdir()
    (project / "data" / "a.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    add(project)
    toml = project / "arkor.toml"
    toml.write_text(f"{HEAD}{before}\n")
    shown = write_dataset(project, "a", revision(project), {"add": FILE}, preview=True)
    assert FILE in shown["diff"]
    assert toml.read_text() == f"{HEAD}{before}\n"
    done = write_dataset(project, "a", revision(project), {"add": FILE}, preview=False)
    assert toml.read_text() == f"{HEAD}{after}\n"
    assert done == {"diff": shown["diff"], "revision": revision(project)}
    (trainer,) = load_trainers(project)
    assert includes_corrections(trainer["config"]["datasetSource"])
    assert trainer["rows"] + trainer.get("unreadable", 0) == 2


def test_a_data_set_table_must_be_edited_by_hand(project: Path) -> None:
    add(project)
    (project / "data" / "a.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    text = f'{HEAD}[trainer.dataset]\npath = "data/a.jsonl"\n'
    (project / "arkor.toml").write_text(text)
    with pytest.raises(ArkorError, match=f'Add "{FILE}" to the list'):
        write_dataset(project, "a", revision(project), {"add": FILE}, preview=False)
    with pytest.raises(ArkorError, match="has changed on disk"):
        write_dataset(project, "a", "0" * 16, {"add": FILE}, preview=False)
    assert (project / "arkor.toml").read_text() == text


def test_a_missing_corrections_file_is_not_added(project: Path) -> None:
    (project / "data").mkdir()
    (project / "data" / "a.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    text = f'{HEAD}dataset = "data/a.jsonl"\n'
    (project / "arkor.toml").write_text(text)
    with pytest.raises(ArkorError, match="is not in the project"):
        write_dataset(project, "a", revision(project), {"add": FILE}, preview=False)
    assert (project / "arkor.toml").read_text() == text
