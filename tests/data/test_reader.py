"""Every format of a file, told by its content, walked through and read at any row."""

from __future__ import annotations

import gzip
import json
import random
import resource
import time
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.contract.extras import install_command
from arkor_dev.data import detect, table
from arkor_dev.data.containers import OversizedFileError
from arkor_dev.data.reader import DataFile, Item, open_data
from arkor_dev.data.rows import MAX_ROW, DataError, Row, RowError

if TYPE_CHECKING:
    from pathlib import Path

TURN = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
GOOD = b'{"prompt": "a", "completion": "b"}'
SHAREGPT = {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}


def opened(path: Path, content: bytes, **how: Any) -> tuple[str, list[Item]]:
    """What the file is, and its rows, each read a second time by its place alone."""
    path.write_bytes(content)
    with open_data([DataFile(path, path.name, **how)]) as data:
        items = list(data)
        for item in reversed(items):
            again = data.read(item.location)
            if not isinstance(item.row, DataError):
                assert (again.where, str(again.row)) == (item.where, str(item.row))
        return data.words(), items


def said(items: list[Item]) -> list[Any]:
    """Each row's messages or text, or why it is none."""
    return [
        f"{item.where}: {item.row}" if isinstance(item.row, RowError) else item.row.text or item.row.messages
        for item in items
    ]


FORMATS = [
    ("d.jsonl", GOOD + b"\n\n" + GOOD, "prompt and completion, JSON Lines", ["line 1", "line 3"]),
    (
        "d.txt",
        b"\xef\xbb\xbf" + GOOD + b"\r\n" + GOOD,
        "prompt and completion, JSON Lines",
        ["line 1", "line 2"],
    ),
    (
        "d.jsonl",
        b"\n [" + GOOD + b",\n\n" + GOOD + b",]\n ",
        "prompt and completion, JSON",
        ["row 1", "row 2"],
    ),
    (
        "d.json",
        b'{ "data" : [' + GOOD + b",\n" + GOOD + b'], "n": [2], "by": {"a": "]"}}\n',
        "prompt and completion, JSON",
        ["row 1", "row 2"],
    ),
    ("d", json.dumps([SHAREGPT] * 2, indent=2).encode(), "ShareGPT, JSON", ["row 1", "row 2"]),
    (
        "d.json",
        json.dumps(SHAREGPT, indent=1).encode() * 2,
        "ShareGPT, JSON objects over several lines",
        ["row 1", "row 2"],
    ),
    ("d.csv", b"prompt,completion\na,b\n\na,b", "prompt and completion, CSV", ["line 2", "line 4"]),
    (
        "d",
        b'\xef\xbb\xbfCompletion;PROMPT;note\r\n"b";"a";"x\r\ny"\r\nb;a;\r\n',
        "prompt and completion, CSV with semicolons",
        ["line 2", "line 4"],
    ),
    ("d.tsv", b"prompt\tcompletion\na\tb\na\tb\n", "prompt and completion, TSV", ["line 2", "line 3"]),
    (
        "d.csv",
        b'messages\n"' + json.dumps(TURN).replace('"', '""').encode() + b'"\n',
        "chat, CSV",
        ["line 2"],
    ),
]


@pytest.mark.parametrize("packed", [False, True], ids=["", "gzip"])
@pytest.mark.parametrize(("name", "content", "words", "places"), FORMATS)
def test_the_format_is_detected_by_content(
    tmp_path: Path, name: str, content: bytes, words: str, places: list[str], packed: bool
) -> None:
    if packed:
        name, content, words = f"{name}.gz", gzip.compress(content), f"{words}, gzip"
    found, items = opened(tmp_path / name, content)
    assert found == words
    assert [item.where for item in items] == [f"{name}, {place}" for place in places]
    assert said(items) == [TURN] * len(places)
    assert [item.location.number for item in items] == list(range(1, len(places) + 1))


def test_parquet_nulls_are_dropped(tmp_path: Path) -> None:
    """Its columns have every key of any row: those that a row lacks are null, and must not come back."""
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    call = {"type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    talk = [TURN[0], {"role": "assistant", "content": None, "tool_calls": [call]}]
    table = arrow.table({"messages": [TURN, talk, TURN], "tools": [None, '[{"name": "f"}]', ""]})
    parquet.write_table(table, tmp_path / "made", row_group_size=2)
    words, items = opened(tmp_path / "d.parquet", (tmp_path / "made").read_bytes())
    assert words == "chat, Parquet"
    assert [item.where for item in items] == [f"d.parquet, row {n}" for n in (1, 2, 3)]
    first, second, third = (item.row for item in items)
    assert isinstance(first, Row)
    assert isinstance(second, Row)
    assert isinstance(third, Row)
    assert (first.messages, first.tools, third.messages) == (TURN, [], TURN)
    assert second.tools == [{"name": "f"}]
    assert second.messages[1] == {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}],
    }


@pytest.mark.slow
def test_a_parquet_file_that_expands_hugely_is_refused(tmp_path: Path) -> None:
    """A value of many rows is stored once: a kilobyte holds gigabytes, and its sizes do not show it."""
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    def opened_again(name: str, prompts: list[str], answers: Any) -> Any:
        path = tmp_path / name
        how = {"compression": "zstd", "store_schema": False}
        parquet.write_table(arrow.table({"prompt": prompts, "completion": answers}), path, **how)
        assert path.stat().st_size < 2500
        return open_data([DataFile(path, name)])

    long = "b" * (4 * 2**20 + 1)
    began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    shared = arrow.DictionaryArray.from_arrays([0] + [1] * 64, ["b", long])
    with opened_again("shared.parquet", ["a"] * 65, shared) as data:
        items = list(data)
        assert "longer than 4 MiB" in str(data.read(items[50].location).row)
    assert said(items)[0] == TURN
    assert {str(item.row) for item in items[1:]} == {"longer than 4 MiB; split it into smaller rows"}
    assert len(items) == 65
    with opened_again("much.parquet", ["a"] * 65, shared) as data:
        data.limit = 20
        assert isinstance(list(data)[-1].row, OversizedFileError)
    one_cell = arrow.DictionaryArray.from_arrays([0] * 300, [long])
    with opened_again("cell.parquet", ["a"], arrow.ListArray.from_arrays([0, 300], one_cell)) as data:
        assert said(list(data)) == ["cell.parquet: row 1 needs more than 1024 MiB of memory"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - began < 200 * 1024


def test_damaged_parquet_files_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    _, items = opened(tmp_path / "d.parquet", b"PAR1 and nothing more")
    assert str(items[0].row).startswith("cannot be read as Parquet")
    _, items = opened(tmp_path / "d.parquet.gz", gzip.compress(b"PAR1"))
    assert str(items[0].row).startswith("is a Parquet file inside gzip")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    _, items = opened(tmp_path / "d.parquet", b"PAR1")
    assert said(items) == [
        f"d.parquet: needs one more package. Install it with: {install_command('parquet')}"
    ]


BAD_ROWS = [
    ("d.json", b"[" + GOOD + b', {"prompt": }, ' + GOOD + b"]", "row 2: not JSON (Expecting value at line 1"),
    ("d.json", b"[" + GOOD + b',\n{\n "prompt":: 1}, ' + GOOD + b"]", "at line 3, column 11)"),
    ("d.json", b"[" + GOOD + b", 3, " + GOOD + b"]", "row 2: must be a JSON object"),
    ("d.json", b"[" + GOOD + b", , " + GOOD + b"]", "row 2: nothing between two commas at line 1"),
    (
        "d.csv",
        b"prompt,completion\na,b\na,b,c\na,b",
        "line 3: has 3 cells, and the first line names 2 columns",
    ),
    ("d.csv", b"prompt,completion\na,b\na\na,b", "line 3: has the keys prompt; expected"),
    ("d.csv", b'prompt,completion\na,b\n"a"x,b\na,b', "line 3: a quote inside a quoted cell; write it twice"),
    ("d.csv", b'prompt,completion\na,b\n"a,b\na,b', "line 3: a quote that is never closed"),
    ("d.csv", b"prompt,completion\na,b\na,\xe9\na,b", "line 3: not UTF-8 (byte 3 is 0xe9)"),
    ("d.csv", b"prompt,completion\na,b\na,\0\na,b", "line 3: contains NUL characters"),
    (
        "d.csv",
        b'prompt,completion\na,b\n"' + (b"x" * 999 + b"\n") * (MAX_ROW // 900) + b'"\na,b',
        "line 3: a quote that is never closed",
    ),
    ("d.csv", b"prompt,completion\na,b\n" + b"x" * 10**7 + b",c\na,b", "line 3: longer than 4 MiB"),
    ("d.jsonl", GOOD + b'\n{"text": "' + b"x" * 10**7 + b'"}\n' + GOOD, "line 2: longer than 4 MiB"),
    (
        "d.json",
        b"[" + GOOD + b',{"text": "' + b"\\\\" * 10**6 * 5 + b'"},' + GOOD + b"]",
        "row 2: longer than",
    ),
]


@pytest.mark.parametrize(("name", "content", "reason"), BAD_ROWS)
def test_an_invalid_row_does_not_affect_the_others(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with open_data([DataFile(tmp_path / name, name)]) as data:
        items = [said([item])[0] for item in data]
    first, bad, *_, last = items
    assert (first, last) == (TURN, TURN)
    assert reason in bad


BAD_FILES = [
    (
        "d.json",
        b"[" + GOOD + b", " + GOOD,
        [TURN],
        "the list is never closed; the file may be truncated",
    ),
    ("d.json", b"[" + GOOD + b',{"a": "', [TURN], "a string is never closed"),
    ("d.json", b"[" + GOOD + b',{"a": {', [TURN], "a bracket is never closed"),
    ("d.json", b'{"data": [' + GOOD + b']}\n{"data": []}', [TURN], "there is text after the end of the list"),
    ("d.json", b'{"data": [' + GOOD + b"]", [TURN], "there is text after the end of the list"),
    ("d.json", b"[" + GOOD + b"] x", [TURN], "there is text after the end of the list"),
    ("d.json", b"[" * 100_000, [], "a bracket is never closed"),
    ("d.csv", "prompt,completion".encode("utf-16"), [], "is written in UTF-16; save the file as UTF-8"),
    ("d.csv", b"prompt,prompt\na,b\n", [], "two columns are called 'prompt'"),
    ("d.csv", b"c," * 1001, [], "more than 1,000 columns"),
    ("d.csv", b"Where is my mug?,Behind\nWhy?,So", [], "and seems to be a row ('Where is my mug?')"),
    (
        "d.tsv",
        b"1\t" + b"word" * 11,
        [],
        f"a row ('{'word' * 10}…'); write one above it, such as prompt, a tab",
    ),
    ("d.csv", b'"prompt\n', [], "the first line has no names of columns: a quote that is never closed"),
    ("d.csv", b"prompt,completion\ra,b\r", [], "its lines end with CR alone; save the table with LF or CRLF"),
    ("d.jsonl.gz", gzip.compress(GOOD, mtime=0)[:-9], [], "cannot be unpacked further"),
    ("d.jsonl.gz", gzip.compress(GOOD + b"\n", mtime=0) + b"and more", [], "cannot be unpacked further"),
    ("d.jsonl.gz", gzip.compress(GOOD, mtime=0)[:-5] + b"\7" * 5, [], "cannot be unpacked further"),
]


@pytest.mark.parametrize(("name", "content", "before", "reason"), BAD_FILES)
def test_a_truncated_file_ends_with_one_error(
    tmp_path: Path, name: str, content: bytes, before: list[Any], reason: str
) -> None:
    _, items = opened(tmp_path / name, content)
    assert isinstance(items[-1].row, DataError)
    assert reason in str(items[-1].row)
    assert items[-1].location.line == 0
    assert said(items)[: len(before)] == before


@pytest.mark.parametrize("packed", [False, True], ids=["", "gzip"])
def test_a_table_without_a_header_is_mapped_by_number(tmp_path: Path, packed: bool) -> None:
    content = b'\xef\xbb\xbfx,Where is it?,Here.\r\ny,"Why,\nthough?",So.'
    columns = {"prompt": "2", "completion": "3"}
    if packed:
        content = gzip.compress(content)
    words, items = opened(tmp_path / "d.csv", content, columns=columns)
    assert words == "prompt and completion, CSV without names of columns" + ", gzip" * packed
    assert [item.where for item in items] == ["d.csv, line 1", "d.csv, line 2"]
    assert [[message["content"] for message in talk] for talk in said(items)] == [
        ["Where is it?", "Here."],
        ["Why,\nthough?", "So."],
    ]
    # A number that the first line does name is a name, and one that no cell has is none.
    _, items = opened(tmp_path / "d.csv", b"1,2\na,b", columns={"prompt": "1", "completion": "2"})
    assert said(items) == [TURN]
    _, items = opened(tmp_path / "d.csv", b"a,b", columns={"prompt": "1", "completion": "3"})
    assert items == []


def test_any_row_of_a_gzip_file_is_read_quickly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a file has been walked through, a look at any row unpacks no more than what is around it."""
    chance = random.Random(1)
    texts = [f"{n} {chance.randbytes(200).hex()}" for n in range(20_000)]
    rows = [json.dumps({"text": text}).encode() + b"\n" for text in texts]
    half = len(rows) // 2
    path = tmp_path / "d.jsonl.gz"
    # Two files in one, as `cat` makes them, with zeros between, as tapes do.
    first, second = (gzip.compress(b"".join(part), 1) for part in (rows[:half], rows[half:]))
    path.write_bytes(first + bytes(70_000) + second)
    unpacked = 0
    original = detect._Unpacked._unpack

    def counted(self: Any, size: int) -> bytes:
        nonlocal unpacked
        data = original(self, size)
        unpacked += len(data)
        return data

    monkeypatch.setattr(detect._Unpacked, "_unpack", counted)
    with open_data([DataFile(path, "d")]) as data:
        places = [found.location for found in data.scan()]
        assert len(places) == len(rows)
        for number in (19_999, 1, half, half - 1, *chance.sample(range(20_000), 40)):
            unpacked = 0
            assert said([data.read(places[number])]) == [texts[number]]
            assert unpacked < detect.RESTART_EVERY + 3 * detect.HEAD


def test_restart_points_of_a_gzip_file_are_bounded() -> None:
    restarts, state = detect.RestartPoints(), zlib.decompressobj(detect.GZIP_BITS)
    for at in range(0, 2**34, 2**20):
        if restarts.is_due(at):
            restarts.add(at, at // 2, state)
    assert len(restarts._points) <= detect.RESTARTS
    for at in (0, 2**19, 2**20, 2**30 + 1, 2**34):
        assert 0 <= at - restarts.before(at).at <= 2 * 2**34 // detect.RESTARTS


def test_rows_are_numbered_across_files(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(GOOD + b"\n")
    (tmp_path / "b.csv").write_bytes(b"question,answer\na,b\n")
    columns = {"prompt": "question", "completion": "answer"}
    files = [DataFile(tmp_path / "a.jsonl", "a"), DataFile(tmp_path / "b.csv", "b", None, columns)]
    with open_data(files) as data:
        items = list(data)
        assert [(item.location.number, item.location.file, item.where) for item in items] == [
            (1, 0, "a, line 1"),
            (2, 1, "b, line 2"),
        ]
        # A walk is not disturbed by rows that are read in between.
        walk = iter(data)
        assert next(walk).where == "a, line 1"
        assert data.read(items[1].location).where == "b, line 2"
        assert data.read(items[0].location).where == "a, line 1"
        assert [item.where for item in walk] == ["b, line 2"]
    assert said(items) == [TURN, TURN]


def test_a_row_of_a_changed_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(GOOD + b"\n" + GOOD)
    with open_data([DataFile(path, "d")]) as data:
        last = list(data)[-1].location
        path.write_bytes(GOOD)
        assert "has changed" in str(data.read(last).row)


@pytest.mark.parametrize("start", [b"", b"[", b"prompt,completion\n", b'prompt,completion\n"'])
def test_a_gzip_bomb_takes_bounded_memory_and_time(tmp_path: Path, start: bytes) -> None:
    """Zeros and spaces without an end."""
    path = tmp_path / "d.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(start)
        for _ in range(13):
            file.write(b"  \0\0" * 2**20)
    tracemalloc.start()
    began = time.process_time()  # a machine that stands still is no bomb
    with open_data([DataFile(path, "d")], limit=48 * 2**20) as data:
        rows = [item.row for item in data]
    assert isinstance(rows[-1], OversizedFileError)
    assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    tracemalloc.stop()
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    ("start", "fill", "reason"),
    [
        (b'prompt,completion\na,b\na,"', b"x", "line 3 is longer than 64 MiB"),
        (GOOD + b'\n{"prompt": "', b"x", "line 2 is longer than 64 MiB"),
        (b"[" + GOOD + b',{"prompt": "', b"x", "the row that reaches line 1 is longer than 64 MiB"),
        (b"[" + GOOD + b",", b"[", "not JSON: more than 100,000 brackets are never closed"),
        (b"[" + GOOD + b"]", b" ", "more than 4 MiB of blank lines before line 1"),
        (GOOD + b"\n", b" " * 63 + b"\n", "more than 4 MiB of blank lines before line 65538"),
        (b"prompt,completion\na,b\n", b"\n", "more than 4 MiB of blank lines before line 262147"),
    ],
)
@pytest.mark.slow
def test_an_endless_row_is_not_read_completely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: bytes, fill: bytes, reason: str
) -> None:
    if fill == b"\n":  # a table's blank line is one byte: four million lines would show no more than these
        monkeypatch.setattr(table, "MAX_ROW", 2**18)
    path = tmp_path / "d.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(start)
        for _ in range(70):
            file.write(fill * (2**20 // len(fill)))
    began = time.process_time()
    with open_data([DataFile(path, "d")]) as data:
        good, *_, bad = [item.row for item in data]
    assert isinstance(good, Row)
    assert isinstance(bad, DataError)
    assert str(bad).startswith(reason)
    assert time.process_time() - began < 20


def test_unclosed_quotes_take_linear_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that leaves a quote open both as a row and as a part of one: every row reaches to the end."""
    monkeypatch.setattr(table, "MOST_PASSED", 2**20)
    path = tmp_path / "d.csv"
    path.write_bytes(b"prompt,completion\na,b\n" + b'a","\n' * 20_000)
    with open_data([DataFile(path, "d")]) as data:
        good, *others, last = [item.row for item in data]
    assert isinstance(good, Row)
    assert {str(row) for row in others} == {"a quote that is never closed"}
    assert str(last).startswith("so many quotes are never closed that nothing after line 13 was read")


def test_a_hundred_thousand_rows_are_found_in_a_second(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes((GOOD + b"\n") * 100_000)
    took: list[float] = []
    for _ in range(3):  # the best counts: a processor that others share may be slow for a while
        with open_data([DataFile(path, "d")]) as data:
            began = time.process_time()
            places = [found.location for found in data.scan()]
            took.append(time.process_time() - began)
            assert len(places) == 100_000
            assert said([data.read(places[-1])]) == [TURN]
        if took[-1] < 1:
            break
    assert min(took) < 1
