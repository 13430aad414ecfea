"""Rows in all their forms, and bad data named by file, line and reason."""

from __future__ import annotations

import json
import os
import re
import sys
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.extras import install_command
from arkor_dev.data.exclusions import entry_of, row_hash
from arkor_dev.data.forms import FORMS
from arkor_dev.data.reader import DataFile
from arkor_dev.data.rows import MAX_ROW, Row
from arkor_dev.local.training.rows import datasets
from arkor_dev.local.training.rows.datasets import load_rows, read_rows
from arkor_dev.local.workers.errors import JobFailure
from tests.local.tiny_model import write_jsonl
from tests.support.http_server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arkor_dev.contract.shapes import DatasetSource


def read_jsonl(path: Path, name: str, limit: int | None = None) -> list[Row]:
    return read_rows([DataFile(path, name)], limit)


GOOD = b'{"prompt": "a", "completion": "b"}\n'

BAD: list[tuple[bytes, str]] = [
    (b"", "d.jsonl is empty"),
    (b"\n  \n", "d.jsonl is empty"),
    (GOOD + b"nonsense\n", "d.jsonl, line 2: not JSON (Expecting value at column 1)"),
    (GOOD + b'{"a": [1, ]}\n', "d.jsonl, line 2: not JSON (a comma with nothing behind it at column 9)"),
    (GOOD + b'{"a": 1, }\n', "d.jsonl, line 2: not JSON (a comma with nothing behind it at column 8)"),
    (GOOD + b'{"a":,}\n', "d.jsonl, line 2: not JSON (Expecting value at column 6)"),
    (GOOD + b"\n" + b'{"prompt": "a",}\n', "d.jsonl, line 3: not JSON"),
    (GOOD + b"[" * 100_000 + b"\n", "d.jsonl, line 2: not readable JSON: nested too deeply"),
    (b'[{"prompt": "a", "completion": "b"},\n{"prompt": "a"}]\n', "d.jsonl, row 2: has the keys prompt"),
    (GOOD + "é".encode("latin-1"), "d.jsonl, line 2: not UTF-8 (byte 1 is 0xe9)"),
    (GOOD + b"3\n", "d.jsonl, line 2: must be a JSON object"),
    (
        GOOD + b'{"question": "a", "answer": "b"}\n',
        "d.jsonl, line 2: has the keys question, answer; expected messages",
    ),
    (GOOD + b"{}\n", "d.jsonl, line 2: has the keys none; expected messages"),
    (GOOD + b'{"prompt": "a"}\n', "d.jsonl, line 2: has the keys prompt; expected"),
    (GOOD + b'{"prompt": 1, "completion": "b"}\n', "d.jsonl, line 2: prompt must be text, not int"),
    (GOOD + b'{"prompt": "a", "completion": " "}\n', "d.jsonl, line 2: has no assistant message with text"),
    (
        GOOD + b'{"instruction": "a", "input": 2, "output": "b"}\n',
        "d.jsonl, line 2: input must be text, not int",
    ),
    (GOOD + b'{"messages": []}\n', "d.jsonl, line 2: messages must be a list with at least one user"),
    (GOOD + b'{"messages": "hi"}\n', "d.jsonl, line 2: messages must be a list"),
    (GOOD + b'{"messages": ["hi"]}\n', "d.jsonl, line 2: message 1 must be an object"),
    (
        GOOD + b'{"messages": [{"role": "boss", "content": "x"}]}\n',
        "line 2: message 1 has the role 'boss'; expected",
    ),
    (
        GOOD + b'{"messages": [{"role": "user", "content": null}]}\n',
        "line 2: message 1 has no text in content",
    ),
    (GOOD + b'{"messages": [{"role": "user", "content": "x"}]}\n', "line 2: has no assistant message"),
    (
        GOOD + b'{"messages": [{"role": ["user"], "content": "x"}]}\n',
        "line 2: message 1 has the role ['user']; expected",
    ),
    (
        GOOD + b'{"prompt": "a", "completion": "b", "n": ' + b"1" * 5000 + b"}\n",
        "line 2: not readable JSON",
    ),
    (GOOD + b'{"prompt": "a", "completion": "\\ud83d"}\n', "line 2: message 2 contains a lone surrogate"),
    (GOOD + b'{"prompt": "' + b"x" * MAX_ROW + b'", "completion": "b"}\n', "line 2: longer than 4 MiB"),
]


def test_excluded_rows_are_not_trained_on(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    write_jsonl(project / "d.jsonl", [{"prompt": "a", "completion": answer} for answer in "xyx"])
    known = [entry_of(row_hash(line), 1) for line in (project / "d.jsonl").read_bytes().splitlines()]

    def answers(*exclude: str) -> list[str]:
        source: DatasetSource = {"type": "file", "path": "d.jsonl", "exclude": list(exclude)}
        rows = load_rows(source, project, tmp_path, lambda *_: None, FORMS, None)
        return [row.messages[-1]["content"] for row in rows]

    assert answers(known[1], f"{known[0]}#2") == ["x"]
    with pytest.raises(JobFailure, match=r"Every row of d\.jsonl is excluded"):
        answers(*known, f"{known[0]}#2")


@pytest.mark.parametrize(("content", "reason"), BAD)
def test_invalid_rows_name_file_line_and_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(content)
    with pytest.raises(JobFailure) as caught:
        read_jsonl(path, "data/d.jsonl")
    assert reason in str(caught.value)
    assert str(caught.value).startswith("data/d.jsonl")


def test_invalid_rows_are_skipped_if_configured(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(b"x\n" + GOOD + b'{"prompt": "a"}\n' + GOOD)
    bad: list[str] = []
    rows = read_rows([DataFile(path, "d")], 2, bad)
    assert [row.where for row in rows] == ["d, line 2", "d, line 4"]
    assert [reason.partition(": ")[0] for reason in bad] == ["d, line 1", "d, line 3"]
    path.write_bytes(b"x\ny\n")
    with pytest.raises(JobFailure, match=r"^No row can be trained on. d, line 1: not JSON"):
        read_rows([DataFile(path, "d")], None, [])
    path.write_bytes(b"[" + GOOD)
    with pytest.raises(JobFailure, match=r"^d: not JSON: the list is never closed"):
        read_rows([DataFile(path, "d")], None, [])


def turns(*texts: str) -> list[dict[str, str]]:
    return [{"role": "user" if n % 2 == 0 else "assistant", "content": text} for n, text in enumerate(texts)]


def test_a_file_replaced_by_a_fifo_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "d.jsonl")
    with pytest.raises(JobFailure, match=r"data/d.jsonl cannot be read: a FIFO, not a regular file"):
        read_jsonl(tmp_path / "d.jsonl", "data/d.jsonl")


def test_error_reasons_are_truncated(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text(json.dumps({"k" * 100_000: 1}))
    with pytest.raises(JobFailure) as caught:
        read_jsonl(tmp_path / "d.jsonl", "d")
    assert len(str(caught.value)) < 500


def test_every_form_becomes_a_chat(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"messages": [{"role": "system", "content": "s"}, *turns("a", "b")], "extra": 1},
        {"prompt": "a", "completion": "b"},
        {"prompt": turns("a"), "completion": [{"role": "assistant", "content": "b"}]},
        {"instruction": "a", "output": "b"},
        {"instruction": "a", "input": "", "output": "b"},
        {"instruction": "a", "input": "c", "output": "b"},
    ]
    read = read_jsonl(write_jsonl(tmp_path / "d.jsonl", rows), "d.jsonl")
    assert [row.where for row in read] == [f"d.jsonl, line {n}" for n in range(1, 7)]
    assert read[0].messages == rows[0]["messages"]
    assert [row.messages for row in read[1:5]] == [turns("a", "b")] * 4
    assert read[5].messages == turns("a\n\nc", "b")


def test_bom_blank_lines_and_a_missing_newline_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD + b"\r\n\n" + GOOD.rstrip())
    assert [row.where for row in read_jsonl(path, "d")] == ["d, line 1", "d, line 4"]
    assert len(read_jsonl(path, "d", limit=1)) == 1


def load(source: Any, project: Path, limit: int | None = None) -> list[Row]:
    return load_rows(source, project, project / "scratch", lambda *_: None, FORMS, limit)


def test_files_linked_outside_the_project_are_refused(tmp_path: Path) -> None:
    project, outside = tmp_path / "project", tmp_path / "outside.jsonl"
    (project / "data").mkdir(parents=True)
    outside.write_bytes(GOOD)
    (project / "data" / "in.jsonl").write_bytes(GOOD)
    (project / "data" / "link.jsonl").symlink_to(project / "data" / "in.jsonl")
    (project / "data" / "escape.jsonl").symlink_to(outside)
    (project / "data" / "loop.jsonl").symlink_to(project / "data" / "loop.jsonl")
    os.mkfifo(project / "data" / "fifo.jsonl")
    (project / "empty").mkdir()
    assert load({"type": "file", "path": "data/in.jsonl"}, project)
    assert load({"type": "file", "path": "data/link.jsonl"}, project)
    assert load({"type": "file", "path": str(project / "data" / "in.jsonl")}, project)
    for path, reason in [
        ("data/escape.jsonl", "is outside the project"),
        ("../outside.jsonl", "is outside the project"),
        (str(outside), "is outside the project"),
        ("data/none.jsonl", "is not in the project"),
        ("empty", "is a folder without data files"),
        ("data/fifo.jsonl", "is not a regular file"),
        ("x" * 300, "cannot be read"),
        ("data/loop.jsonl", "leads back to itself|cannot be read"),
        ("data/\0.jsonl", "must be a path on one line"),
    ]:
        with pytest.raises(JobFailure, match=reason):
            load({"type": "file", "path": path}, project)


class _Web(BaseHTTPRequestHandler):
    """Serves one data set, to those with the token; redirects; breaks off."""

    seen: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("Authorization")))
        port = int(self.headers["Host"].rpartition(":")[2])
        if self.path.startswith("/moved"):
            target = {
                "/moved": f"http://localhost:{port}/data",
                "/moved-ftp": f"ftp://localhost:{port}/data",
            }[self.path]
            self.send_response(302)
            self.send_header("Location", target)
            self.end_headers()
        elif self.path == "/data":
            self.send_response(200)
            self.send_header("Content-Length", str(2 * len(GOOD)))
            self.end_headers()
            self.wfile.write(GOOD * 2)
        elif self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(GOOD)
        else:
            self.send_error(403)


@pytest.fixture
def web() -> Iterator[str]:
    _Web.seen = []
    with serving(_Web) as url:
        yield url


def test_a_blob_is_downloaded_with_its_token(tmp_path: Path, web: str) -> None:
    heard: list[tuple[str, float, float | None, str]] = []
    source: DatasetSource = {"type": "blob", "url": f"{web}/data", "token": "t0ken"}
    rows = load_rows(source, tmp_path, tmp_path / "scratch", lambda *args: heard.append(args), FORMS, None)
    assert [row.where for row in rows] == [
        "the downloaded data set, line 1",
        "the downloaded data set, line 2",
    ]
    assert _Web.seen == [("/data", "Bearer t0ken")]
    assert heard[-1] == ("Fetching the data set", 2 * len(GOOD), 2 * len(GOOD), "B")


def test_a_redirect_does_not_carry_the_token(tmp_path: Path, web: str) -> None:
    assert load({"type": "blob", "url": f"{web}/moved", "token": "t0ken"}, tmp_path)
    assert _Web.seen == [("/moved", "Bearer t0ken"), ("/data", None)]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/moved-ftp", "redirects to a scheme other than http"),
        ("/short", r"was interrupted after \d+ of 1000 bytes"),
        ("/secret", "answered 403 for the data set"),
    ],
)
def test_a_failed_blob_download_has_its_reason(tmp_path: Path, web: str, path: str, reason: str) -> None:
    with pytest.raises(JobFailure, match=reason):
        load({"type": "blob", "url": web + path}, tmp_path)


def test_blob_downloads_are_limited_in_size(
    tmp_path: Path, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "MAX_DOWNLOAD", 40)
    with pytest.raises(JobFailure, match="is larger than"):
        load({"type": "blob", "url": f"{web}/data"}, tmp_path)


def test_an_unreachable_blob_server_is_named(tmp_path: Path) -> None:
    with pytest.raises(JobFailure, match=r"could not be downloaded from 127\.0\.0\.1:1: .*refused"):
        load({"type": "blob", "url": "http://127.0.0.1:1/d.jsonl"}, tmp_path)


def test_the_hub_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(JobFailure, match=re.escape(install_command("hub"))):
        load({"type": "huggingface", "name": "a/b"}, tmp_path)


def test_hub_rows_are_validated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is replaced by one that has a table: the real one needs a hub."""
    table = [json.loads(GOOD), {"prompt": "a"}]
    asked: list[Any] = []

    class Library:
        @staticmethod
        def load_dataset(name: str, subset: str | None, split: str, token: str | None) -> list[Any]:
            asked.append((name, subset, split))
            if name == "a/none":
                raise FileNotFoundError("no such data set")
            return table

    monkeypatch.setitem(sys.modules, "datasets", Library)
    source = {"type": "huggingface", "name": "a/b", "subset": "s"}
    with pytest.raises(JobFailure, match=r"a/b \(train\), row 2: has the keys prompt"):
        load(source, tmp_path)
    assert len(load(source, tmp_path, limit=1)) == 1
    # A row that is not accepted is not trained on, and so not a problem.
    with pytest.raises(JobFailure, match="left by its judgements"):
        load({**source, "only": "accepted"}, tmp_path)
    judged = {"row": f"{row_hash(GOOD):016x}", "verdict": "accepted"}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "reviews.jsonl").write_text(json.dumps(judged) + "\n")
    assert len(load({**source, "only": "accepted"}, tmp_path)) == 1
    assert asked[0] == ("a/b", "s", "train")
    with pytest.raises(JobFailure, match="no such data set"):
        load({**source, "name": "a/none"}, tmp_path)
