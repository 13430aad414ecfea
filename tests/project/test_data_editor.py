"""Editing rows in place: what is not edited stays to the byte, in every format."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.errors import BadRequestError, ConflictError, InsufficientStorageError
from arkor_dev.core import spliced_file
from arkor_dev.data.json_edit import rewritten
from arkor_dev.data.reader import DataFile
from arkor_dev.project import data_editor
from arkor_dev.project.arkor_toml import revision
from arkor_dev.project.data_editor import DataEditor, FileRows, RowChange, editable_row
from arkor_dev.project.unpack import unpack

if TYPE_CHECKING:
    from pathlib import Path

TOML = '[[trainer]]\nname = "bot"\nmodel = "m"\ndataset = "{}"\n'
TEXTS = [
    "",
    "plain",
    'a "quoted", one',
    "caf\u00e9 \U0001f99c",
    "two\nlines",
    " spaces ",
    "tab\tand;semi",
    "\\n{]},",
    "1",
]
MARK = b"\xef\xbb\xbf"


def project(folder: Path, name: str, content: bytes) -> DataEditor:
    (folder / "arkor.toml").write_text(TOML.format(name))
    (folder / name).write_bytes(content)
    return DataEditor(folder)


def record(chance: random.Random, *, table: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"prompt": chance.choice(TEXTS), "completion": chance.choice(TEXTS) + "x"}
    if not table and chance.random() < 0.5:
        turn = {"content": chance.choice(TEXTS), "role": "user"}
        row = {"id": chance.randrange(9), "messages": [turn] * chance.randrange(1, 3), "score": 1e5}
    return row


def written(chance: random.Random, kind: str, count: int) -> bytes:
    """A file as some program may have written it."""
    end, mark = chance.choice(["\n", "\r\n"]), chance.choice([b"", MARK])
    if kind in ("csv", "tsv"):
        cells = io.StringIO(newline="")
        quoting = csv.QUOTE_ALL if chance.random() < 0.5 else csv.QUOTE_MINIMAL
        delimiter = "\t" if kind == "tsv" else chance.choice(",;")
        how: Any = {"delimiter": delimiter, "lineterminator": end, "quoting": quoting}
        table = csv.writer(cells, **how)
        table.writerow(["prompt", "", "completion"])
        for _ in range(count):
            row = record(chance, table=True)
            table.writerow([row["prompt"], "kept", row["completion"]])
        content = cells.getvalue()
        return mark + (content if chance.random() < 0.5 else content.removesuffix(end)).encode()
    escaped, spaces = chance.random() < 0.5, chance.choice([None, (",", ":"), (" , ", " : ")])
    indent = {"jsonl": None, "json": chance.choice([None, 2]), "objects": 2}[kind]
    rows = [
        json.dumps(record(chance, table=False), ensure_ascii=escaped, separators=spaces, indent=indent)
        for _ in range(count)
    ]
    if kind == "objects":
        return mark + "".join(row + end for row in rows).encode()
    if kind == "json":
        between, around = chance.choice([("," + end + "  ", end + "  "), (", ", ""), (",", " ")])
        name = chance.choice(["[", '{"data": ['])
        closing = "]" if name == "[" else '], "version": 3}'
        return mark + f"{name}{around}{between.join(rows)}{around}{closing}{end}".encode()
    gaps = [chance.choice(["", "", end, "  " + end]) for _ in rows]
    text = "".join(f"{gap}{row}{end}" for gap, row in zip(gaps, rows, strict=True))
    return mark + (text if chance.random() < 0.5 else text.removesuffix(end)).encode()


def rows_in(path: Path) -> list[Any]:
    """Each row's source text and record, as the page gets them."""
    rows = FileRows.of(DataFile(path, path.name))
    return [editable_row(rows, at, []) for at in range(len(rows.offsets))]


def common(one: bytes, other: bytes) -> tuple[int, int]:
    """How many bytes two files share at the start and, besides those, at the end."""
    both = min(len(one), len(other))
    start = next((at for at in range(both) if one[at] != other[at]), both)
    rest = both - start
    return start, next((at for at in range(rest) if one[-1 - at] != other[-1 - at]), rest)


@pytest.mark.parametrize("kind", ["jsonl", "json", "objects", "csv", "tsv"])
def test_random_edits_keep_all_other_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # most of the time, and no matter here
    for seed in range(10):
        chance = random.Random(f"{kind} {seed}")
        path = tmp_path / ("d.json" if kind == "objects" else f"d.{kind}")
        monkeypatch.setattr(spliced_file, "PIECE", chance.choice([16, 2**20]))
        editor = project(tmp_path, path.name, written(chance, kind, chance.randrange(2, 7)))
        states, undo = [path.read_bytes()], []
        rows = rows_in(path)
        for _ in range(6):
            if not rows:
                break
            at = chance.randrange(len(rows))
            entry, old = rows[at]["entry"], rows[at]["record"]
            new = record(chance, table=kind in ("csv", "tsv"))
            if chance.random() < 0.5:  # only a part of it
                new = {**old, next(iter(old)): new.get(next(iter(old)), "other")}
            do = chance.choice(["set", "set", "delete", "insert", "copy", "split", "merge"])
            if do == "merge" and at + 1 == len(rows):
                continue
            change = {
                "set": RowChange(0, entry, record=new),
                "delete": RowChange(0, entry, delete=True),
                "insert": RowChange(0, entry, record=new, insert=True),
                "copy": RowChange(0, entry, insert=True),
                "split": RowChange(0, entry, record=new, after=[old]),
                "merge": RowChange(0, entry, record=new),
            }[do]
            changes = [change]
            if do == "merge":
                changes.append(RowChange(0, rows[at + 1]["entry"], delete=True, into=entry))
            if kind in ("csv", "tsv") and not set(new) <= {"prompt", "completion"}:
                continue
            undo.append(editor.change("bot", changes)["undo"])
            before, after, now = states[-1], path.read_bytes(), rows_in(path)
            known, fresh = editor.rows_of(DataFile(path, path.name)), FileRows.of(DataFile(path, path.name))
            for places in ("offsets", "sizes", "hashes"):
                assert getattr(known, places) == getattr(fresh, places), (
                    f"{kind}, seed {seed}, {do}: {places}"
                )
            states.append(after)
            where = f"{kind}, seed {seed}, {do} of row {at + 1}"
            expected = [row["record"] for row in rows]
            if do == "delete":
                del expected[at]
            elif do in ("set", "split", "merge"):
                expected[at : at + 1 + (do == "merge")] = [new, old] if do == "split" else [new]
            else:
                expected.insert(at + 1, old if do == "copy" else new)
            assert [row["record"] for row in now] == expected, where
            # Outside of the row and what separates it from others, no byte differs.
            start, end = common(before, after)
            touched = before[start : len(before) - end]
            own = len(rows[at]["text"].encode())
            if do in ("insert", "copy"):
                assert touched == b"", where
            elif do == "delete":
                rest = touched.replace(rows[at]["text"].encode(), b"", 1)
                assert not rest.strip(b" \r\n,") or len(touched) <= own + 8, where
            elif do == "merge":
                assert len(touched) <= own + len(rows[at + 1]["text"].encode()) + 16, where
            else:
                assert len(touched) <= own, where
            kept = [row["text"] for row in rows]
            del kept[at : at + {"set": 1, "split": 1, "delete": 1, "merge": 2}.get(do, 0)]
            others = [row["text"] for row in now]
            changed = at + (do in ("insert", "copy"))
            del others[changed : changed + {"delete": 0, "split": 2}.get(do, 1)]
            assert others == kept, where
            rows = now
        redo = []
        for token, state in zip(reversed(undo), reversed(states[:-1]), strict=True):
            redo.append(editor.undo(token)["undo"])
            assert path.read_bytes() == state
        for token, state in zip(reversed(redo), states[1:], strict=True):
            editor.undo(token)
            assert path.read_bytes() == state


def test_an_edited_row_keeps_its_formatting() -> None:
    text = '{"n": 1.0e5, "big": 12345678901234567890,  "messages":[{"role" : "user","content":"\\u00e9"}] }'
    said = json.loads(json.dumps(json.loads(text)))
    said["big"] = 12345678901234567000  # as a page gives it back
    assert rewritten(text, said) == text
    said["messages"].append({"role": "assistant", "content": "\u00fc"})
    added = ', {"role" : "assistant","content":"\\u00fc"}]'
    assert rewritten(text, said) == text.replace("]", added)
    said["messages"].pop(0)
    assert rewritten(text, said) == text.replace('"user"', '"assistant"').replace("e9", "fc")


def test_an_unchanged_row_of_empty_cells_is_kept(tmp_path: Path) -> None:
    content = b"prompt,completion\n,\na,b\n"
    editor = project(tmp_path, "d.csv", content)
    row = editor.row("bot", 1)
    editor.change("bot", [RowChange(0, row["entry"], record=row["record"])])
    assert (tmp_path / "d.csv").read_bytes() == content


def test_concurrent_changes_of_the_file_are_kept_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [json.dumps({"prompt": f"q{n}", "completion": "a"}) + "\n" for n in range(4)]
    path = tmp_path / "d.jsonl"
    editor = project(tmp_path, path.name, "".join(lines).encode())
    entry = editor.row("bot", 2)["entry"]
    new = {"prompt": "q1", "completion": "better"}
    # Another row was edited elsewhere, and one added: both stay.
    lines[0], lines[3:3] = lines[0].replace("a", "A"), ["\n", lines[3].replace("q3", "new")]
    path.write_text("".join(lines))
    done = editor.change("bot", [RowChange(0, entry, record=new)])
    lines[1] = lines[1].replace('"a"', '"better"')
    assert path.read_text() == "".join(lines)
    # The same row was edited elsewhere: nothing is written.
    with pytest.raises(ConflictError, match="has changed on disk since it was shown"):
        editor.change("bot", [RowChange(0, entry, record=new)])
    assert path.read_text() == "".join(lines)
    # A change can be undone although others have written elsewhere, and not where it was overwritten.
    path.write_text("first\n" + "".join(lines))
    editor.undo(done["undo"])
    lines[1] = lines[1].replace('"better"', '"a"')
    assert path.read_text() == "first\n" + "".join(lines)
    done = editor.change("bot", [RowChange(0, entry, record=new)])
    path.write_text(path.read_text().replace("better", "best"))
    with pytest.raises(ConflictError, match="cannot be undone"):
        editor.undo(done["undo"])
    assert "best" in path.read_text()
    # It is replaced in the very moment of writing: the write is made anew, from what is there then.
    path.write_text("".join(lines))
    write = spliced_file.SplicedFile._write_copy

    def interrupted(self: Any, *where: Any) -> os.stat_result:
        monkeypatch.setattr(spliced_file.SplicedFile, "_write_copy", write)
        path.write_text("".join([*lines, "{}\n"]))
        return write(self, *where)

    monkeypatch.setattr(spliced_file.SplicedFile, "_write_copy", interrupted)
    editor.change("bot", [RowChange(0, entry, record=new)])
    lines[1] = lines[1].replace('"a"', '"better"')
    assert path.read_text() == "".join([*lines, "{}\n"])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["arkor.toml", "d.jsonl"]


def test_undo_refuses_a_replaced_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = project(tmp_path, "d.jsonl", b'{"text": "a"}\n{"text": "b"}\n')
    entry = editor.row("bot", 1)["entry"]
    theirs = tmp_path / "theirs"

    put = spliced_file.SplicedFile._put

    def replaced(self: Any, temporary: str) -> None:
        put(self, temporary)
        theirs.write_text('{"text": "longer"}\n{"text": "b"}\n')
        theirs.replace(tmp_path / "d.jsonl")

    monkeypatch.setattr(spliced_file.SplicedFile, "_put", replaced)
    editor.change("bot", [RowChange(0, entry, record={"text": "A"})])
    assert [editor.row("bot", row)["record"] for row in (1, 2)] == [{"text": "longer"}, {"text": "b"}]


def test_several_and_equal_rows_are_edited_at_once(tmp_path: Path) -> None:
    rows = [{"prompt": "same", "completion": "a"}] * 3 + [{"prompt": "other", "completion": "a"}]
    for kind, content in (
        ("json", json.dumps(rows, indent=1)),
        ("jsonl", "".join(json.dumps(row) + "\n" for row in rows)),
    ):
        path = tmp_path / f"d.{kind}"
        editor = project(tmp_path, path.name, content.encode())
        entries = [editor.row("bot", number)["entry"] for number in range(1, 5)]
        assert entries[1] == entries[0] + "#2"
        changes = [RowChange(0, entry, delete=True) for entry in entries[1:]]
        done = editor.change("bot", changes)
        assert [row["record"] for row in rows_in(path)] == rows[:1]
        editor.undo(done["undo"])
        assert path.read_text() == content
        mixed = [changes[0], RowChange(0, entries[2], record={"prompt": "more " * 9, "completion": "b"})]
        done = editor.change("bot", mixed)
        known, fresh = (each(DataFile(path, path.name)) for each in (editor.rows_of, FileRows.of))
        assert (known.offsets, known.sizes, known.hashes) == (fresh.offsets, fresh.sizes, fresh.hashes)
        editor.undo(done["undo"])
        with pytest.raises(BadRequestError, match="same row"):
            editor.change("bot", [changes[0], changes[0]])
        editor.change("bot", [RowChange(0, entry, delete=True) for entry in entries])
        assert rows_in(path) == []


def test_only_files_of_the_data_set_are_written(tmp_path: Path) -> None:
    line = b'{"prompt": "q", "completion": "a"}\n'
    outside = tmp_path / "outside.jsonl"
    outside.write_bytes(line)
    inner = tmp_path / "project"
    inner.mkdir()
    editor = project(inner, "d.jsonl", line)
    entry = editor.row("bot", 1)["entry"]
    change = [RowChange(0, entry, record={"prompt": "q", "completion": "b"})]
    for hard in (False, True):
        (inner / "d.jsonl").unlink()
        if hard:
            (inner / "d.jsonl").hardlink_to(outside)
        else:
            (inner / "d.jsonl").symlink_to(outside)
        with pytest.raises(BadRequestError, match=r"outside the project|hard link"):
            editor.change("bot", change)
        assert outside.read_bytes() == line
    (inner / "d.jsonl").unlink()
    os.mkfifo(inner / "d.jsonl")
    with pytest.raises(BadRequestError):
        editor.change("bot", change)
    with pytest.raises(ConflictError):
        project(inner / "..", "d.jsonl", line).change("bot", [RowChange(1, entry, delete=True)])


def test_formulas_and_control_characters_are_written_as_text_or_refused(tmp_path: Path) -> None:
    editor = project(tmp_path, "d.csv", b"prompt,completion\nq,a\n")
    entry = editor.row("bot", 1)["entry"]
    hostile = '=cmd|"/c"!A1\r\n"","x\u202e'
    editor.change("bot", [RowChange(0, entry, record={"prompt": hostile, "completion": ""})])
    assert editor.row("bot", 1)["record"] == {"prompt": hostile, "completion": ""}
    entry = editor.row("bot", 1)["entry"]
    for record_, why in (
        ({"prompt": "\0"}, "NUL"),
        ({"other": "x"}, "no column"),
        ({"prompt": "x" * 2**22}, "4 MiB"),
    ):
        with pytest.raises(BadRequestError, match=why):
            editor.change("bot", [RowChange(0, entry, record=record_)])
    editor = project(tmp_path, "d.jsonl", b'{"prompt": "q", "completion": NaN}\n{"prompt": "q", }\n\xff\n')
    first, broken, binary = (editor.row("bot", number) for number in (1, 2, 3))
    assert first["record"] is None
    assert "a comma with nothing behind it" in broken["problem"]
    assert binary["text"] is None
    for text, why in (('{"a":\n1}', "one line"), ("[1]", "must be a JSON object"), ("{", "not JSON")):
        with pytest.raises(BadRequestError, match=why):
            editor.change("bot", [RowChange(0, broken["entry"], text=text)])
    editor.change("bot", [RowChange(0, broken["entry"], text=' {"text": "mended"} ')])
    editor.change("bot", [RowChange(0, binary["entry"], delete=True)])
    assert (tmp_path / "d.jsonl").read_bytes() == b'{"prompt": "q", "completion": NaN}\n{"text": "mended"}\n'


def test_a_parquet_file_is_copied_to_json_lines(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [{"prompt": f"caf\u00e9 {n}", "completion": "a"} for n in range(3)]
    (tmp_path / "arkor.toml").write_text(TOML.format("d.parquet"))
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "d.parquet")
    editor = DataEditor(tmp_path)
    assert editor.row("bot", 2)["packed"] == "Parquet"
    unpack(tmp_path, "bot", revision(tmp_path), 0)
    assert (tmp_path / "arkor.toml").read_text() == TOML.format("data/d.jsonl")
    assert [row["record"] for row in rows_in(tmp_path / "data" / "d.jsonl")] == rows
    assert editor.row("bot", 2)["record"] == rows[1]


def test_a_file_above_the_size_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_editor, "MOST_BYTES", 40)
    editor = project(tmp_path, "d.jsonl", b'{"text": "a"}\n' * 2)
    assert editor.row("bot", 2)["record"] == {"text": "a"}
    (tmp_path / "d.jsonl").write_bytes(b'{"text": "a"}\n' * 3)
    with pytest.raises(BadRequestError, match=r"d\.jsonl has 42 B.*Split it"):
        editor.row("bot", 2)


def test_a_file_open_for_writing_elsewhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spliced_file, "CLOSE_PATIENCE", 0.0)
    editor = project(tmp_path, "d.jsonl", b'{"text": "a"}\n')
    change = [RowChange(0, editor.row("bot", 1)["entry"], record={"text": "b"})]
    refused = pytest.raises(
        ConflictError, match=r"open for writing.*Close it there first.*Nothing was written"
    )
    with (tmp_path / "d.jsonl").open("a") as held:
        with refused:
            editor.change("bot", change)
        held.write('{"text": "more"}\n')
    editor.change("bot", change)
    assert (tmp_path / "d.jsonl").read_text() == '{"text": "b"}\n{"text": "more"}\n'


def test_a_full_disk_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = project(tmp_path, "d.jsonl", b'{"text": "a"}\n')
    change = [RowChange(0, editor.row("bot", 1)["entry"], record={"text": "b"})]

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(InsufficientStorageError, match=r"The disk is full.*arkor-dev local gc"):
            editor.change("bot", change)
    assert (tmp_path / "d.jsonl").read_bytes() == b'{"text": "a"}\n'
    editor.change("bot", change)


KILLED = """
import sys
from pathlib import Path
from arkor_dev.data.reader import DataFile
from arkor_dev.project.data_editor import DataEditor, FileRows, RowChange, editable_row
editor = DataEditor(Path(sys.argv[1]))
print("ready", flush=True)
number = 0
while True:
    row = editor.row("bot", 500)
    number += 1
    editor.change("bot", [RowChange(0, row["entry"], record={"text": "v" * (number % 7 * 9000)})])
"""


def test_a_kill_during_an_edit_leaves_the_old_or_the_new_file(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"row {n} " + "x" * 500}) + "\n" for n in range(1000)]
    project(tmp_path, "d.jsonl", "".join(lines).encode())
    allowed = {len("v" * (n * 9000)) for n in range(7)} | {len(json.loads(lines[499])["text"])}
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdout.readline() == b"ready\n"
        for _ in range(20):  # seen while it writes, it is one of them as well
            found = (tmp_path / "d.jsonl").read_text().splitlines(keepends=True)
            assert found[:499] + found[500:] == lines[:499] + lines[500:]
            assert len(json.loads(found[499])["text"]) in allowed
        time.sleep(random.random() / 20)
        child.send_signal(signal.SIGKILL)
    found = (tmp_path / "d.jsonl").read_text().splitlines(keepends=True)
    assert found[:499] + found[500:] == lines[:499] + lines[500:]
    assert len(json.loads(found[499])["text"]) in allowed
