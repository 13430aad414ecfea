"""``arkor-dev data import``: logs as rows in a new file, with counts and each refused line."""

from __future__ import annotations

import csv
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.cli.main import main
from tests.data.traces import samples

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(["data", "import", *arguments])
    said = capsys.readouterr()
    return code, said.out or said.err


def written(project: Path, name: str) -> list[Any]:
    return [json.loads(line) for line in (project / "data" / name).read_text().splitlines()]


def log(path: Path, records: list[Any]) -> None:
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))


def test_a_log_becomes_a_new_file_of_rows(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log(project / "calls.jsonl", [*samples.OPENAI_CHAT, {"a": 1}])
    with (project / "calls.jsonl").open("a") as file:
        file.write('{"request": \n')
    code, said = run(capsys, "calls.jsonl")
    assert code == 0
    assert said.splitlines() == [
        "calls.jsonl:3: is not a known kind of trace; it has the keys a",
        "calls.jsonl:4: not JSON (Expecting value at column 1)",
        "1 row of OpenAI chat completions; 1 shorter or equal conversation merged; 2 not converted.",
        "Written to data/calls-rows.jsonl. Next: arkor-dev data check data/calls-rows.jsonl",
    ]
    assert written(project, "calls-rows.jsonl") == [samples.ROW]
    assert main(["data", "check", "data/calls-rows.jsonl"]) == 0
    assert "1 row: nothing found." in capsys.readouterr().out


def test_nothing_is_overwritten(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log(project / "calls.jsonl", samples.ANTHROPIC)
    files = [json.loads(run(capsys, "--json", "calls.jsonl")[1])["file"] for _ in range(2)]
    assert files == ["data/calls-rows.jsonl", "data/calls-rows-2.jsonl"]
    assert json.loads(run(capsys, "--json", "--name", "desk", "calls.jsonl")[1])["file"] == "data/desk.jsonl"


def test_several_logs_are_merged(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same conversation, logged by the client and by what observes it."""
    log(project / "a.jsonl", samples.OPENAI_CHAT)
    (project / "b.json").write_text(json.dumps(samples.LANGSMITH, indent=1))
    (project / "c.json").write_text(json.dumps({"data": samples.LANGFUSE, "meta": {"page": 1}}))
    (project / "d.json").write_text(json.dumps({"runs": samples.LANGSMITH, "cursors": {}}, indent=2))
    (project / "e.json").write_text(json.dumps(samples.OPENTELEMETRY[0], indent=2))
    (project / "f.jsonl.gz").write_bytes(gzip.compress(json.dumps(samples.OPENTELEMETRY[0]).encode()))
    with (project / "g.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, samples.LANGSMITH_TABLE[0])
        table.writeheader()
        table.writerows(samples.LANGSMITH_TABLE)
    names = sorted(path.name for path in project.iterdir())
    code, said = run(capsys, "--json", *names)
    report = json.loads(said)
    assert (code, report["rows"], report["failed"], report["reasons"]) == (0, 1, 0, [])
    assert report["merged"] == 12
    assert report["formats"] == [
        "OpenAI chat completions", "LangSmith runs", "Langfuse", "OpenTelemetry spans"
    ]  # fmt: skip
    assert written(project, "a-rows.jsonl") == [samples.ROW]


def test_without_a_row_there_is_no_file(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log(project / "rows.jsonl", [samples.ROW])
    code, said = run(capsys, "rows.jsonl")
    assert code == 1
    assert "It is a row already" in said
    assert "0 rows; 1 not converted." in said
    assert list((project / "data").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[" * 200_000, "hostile.jsonl: not JSON: more than 100,000 brackets are never closed"),
        (
            b'{"request": {"messages": ' + b"[" * 90_000 + b"]" * 90_000 + b"}}",
            "not readable JSON: nested too deeply",
        ),
        (b'{"request": "' + b"x" * (5 << 20) + b'"}', "longer than 4 MiB; split it into smaller rows"),
        (b'{"request": "\xff"}', "not UTF-8 (byte 14 is 0xff); save the file as UTF-8"),
        (b"\x1f\x8b\x08\x00" + b"\0" * 30, "cannot be unpacked further: the file is damaged or truncated"),
        (b'{"run_type": "llm", "id": ' + b"9" * 5_000 + b"}", "it has a number with thousands of digits"),
    ],
)
def test_a_hostile_log_is_refused_with_a_sentence(
    project: Path, capsys: pytest.CaptureFixture[str], content: bytes, reason: str
) -> None:
    (project / "hostile.jsonl").write_bytes(content)
    code, said = run(capsys, "hostile.jsonl")
    assert code == 1
    assert reason in said
    assert "0 rows" in said


def test_control_characters_of_a_log_do_not_reach_the_terminal(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log(project / "calls.jsonl", [{"run_type": "llm", "inputs": {}, "error": "\x1b[31mred\x07\r\nnext"}])
    assert "\x1b" not in run(capsys, "calls.jsonl")[1]


def test_wrong_arguments_are_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Name the log to import" in run(capsys)[1]
    assert "cannot be read" in run(capsys, "missing.jsonl")[1]
    assert "Give either FILE or --endpoint" in run(capsys, "a.jsonl", "--endpoint", "x")[1]
