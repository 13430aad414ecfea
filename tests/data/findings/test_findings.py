"""Each finding on rows that have it, and none on rows that have not."""

from __future__ import annotations

import json
import math
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.data.findings import check, likeness
from arkor_dev.data.findings.check import check_data
from arkor_dev.data.findings.languages import LANGUAGES
from arkor_dev.data.findings.masking import masked, phones
from arkor_dev.data.reader import DataFile

if TYPE_CHECKING:
    from arkor_dev.contract.dataset_shapes import DataCheck, Finding

ROOT = Path(__file__).parents[3]
GERMAN = "Das ist nicht der Weg, den wir mit den anderen auf die Insel nehmen, und ich weiß es auch."
ENGLISH = "That is not the way that we have to the island, but it is what you were told by the others."
KEY = "sk-proj-Ab3dEf6hIj9kLmN0pQrStUvWx"
CARD = "4539 1488 0343 6467"


def filler(number: int, words: int = 20) -> str:
    """Words that no other row has."""
    chosen = random.Random(number)
    return " ".join("".join(chosen.choices("abdegiklmnoprstu", k=6)) for _ in range(words))


def turn(asked: str, answered: str) -> dict[str, Any]:
    return {"prompt": asked, "completion": answered}


def plain(count: int) -> list[dict[str, Any]]:
    """Rows without anything to be found."""
    return [turn(f"{filler(2 * n, 6)}?", filler(2 * n + 1)) for n in range(count)]


def checked(folder: Path, rows: list[Any], held_out: list[Any] | None = None, **how: Any) -> DataCheck:
    files = []
    for name, content in (("d.jsonl", rows), ("eval.jsonl", held_out or [])):
        lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in content]
        (folder / name).write_bytes(b"\n".join(lines))
        files.append(DataFile(folder / name, name))
    return check_data(files[:1], files[1:] if held_out else (), **how)


def found(folder: Path, *rows: Any, among: int = 30, held_out: list[Any] | None = None) -> dict[str, Finding]:
    """What is found in ``rows`` behind plain ones, by its code."""
    report = checked(folder, [*plain(among), *rows], held_out)
    return {finding["code"]: finding for finding in report["findings"]}


def numbers(finding: Finding) -> list[int]:
    return [row["row"] for row in finding["rows"]]


def test_valid_data_has_no_findings(tmp_path: Path) -> None:
    assert found(tmp_path, among=300) == {}
    for path in [*ROOT.glob("examples/*/data/*.jsonl"), *ROOT.glob("arkor_dev/project/template/data/*")]:
        report = check_data([DataFile(path, path.name)])
        assert report["rows"] > 20
        assert report["findings"] == []


def said(text: str | None, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


TALK = [{"role": "user", "content": "who?"}, said(filler(-1))]
LATER = "Ask again later, please, as it is closed."
CASES: list[tuple[str, str, list[Any], int]] = [
    ("not-json", "error", [b'{"prompt": "a",}', b"nonsense"], 2),
    ("not-utf8", "error", [b'{"prompt": "\xe9", "completion": "b"}'], 1),
    ("wrong-keys", "error", [{"question": "a"}], 1),
    ("blank", "error", [turn("a", " ")], 1),
    ("wrong-content", "error", [{"messages": [{"role": "user", "content": "a"}]}], 1),
    ("too-long", "error", [turn("a", "x" * 5_000_000)], 1),
    ("secret", "error", [turn("key?", f"Take {KEY} and go")], 1),
    ("secret", "error", [turn("-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA", filler(1, 30))], 1),
    ("card-number", "warning", [turn(f"I paid with {CARD}.", filler(1, 30))], 1),
    ("e-mail", "warning", [turn("who?", f"write to ada.byron+x@mail.engines.co.uk, {filler(1)}")], 1),
    ("phone-number", "warning", [turn("who?", f"call +44 20 7946 0958 {filler(1)}")], 1),
    ("phone-number", "warning", [turn("who?", f"My mobile is 0171-2345678, {filler(1)}")], 1),
    ("empty-question", "warning", [{"messages": [{"role": "user", "content": " "}, TALK[1]]}], 1),
    ("duplicate", "warning", [turn("Why  so?", filler(-2)), turn("why so?", filler(-2).upper())], 1),
    ("differing-answers", "warning", [turn("Why?", filler(-2)), turn("why?", filler(-3))], 2),
    ("near-duplicate", "note", [turn("Why?", filler(-2, 60)), turn("How?", f"{filler(-2, 60)} indeed")], 1),
    ("roles", "warning", [{"messages": [TALK[0], *TALK]}, {"messages": [said(filler(3))]}], 2),
    ("unanswered", "note", [{"messages": [*TALK, {"role": "user", "content": "and?"}]}], 1),
    ("empty-answer", "warning", [{"messages": [TALK[0], {**TALK[1], "content": ""}, *TALK]}], 1),
    ("tiny-answer", "note", [turn("Is it?", "No.")], 1),
    ("refusal", "note", [turn("who?", "As an AI language model, I have no opinion of this matter.")], 1),
    ("refusal", "note", [turn("who?", "I\u2019m sorry, but I can\u2019t assist with that request.")], 1),
    ("mojibake", "warning", [turn("a", f"It\u00e2\u20ac\u2122s a caf\u00c3\u00a9 {filler(1)}")], 1),
    ("white-space", "note", [turn("a\n", filler(1)), turn("b", f" {filler(2)}")], 2),
    ("mojibake", "warning", [turn("a", f"a caf\ufffd {filler(1)}")], 1),
    ("mojibake", "warning", [turn("a", f"dash \u00e2\u0080\u0094 {filler(1)}")], 1),
    ("control-characters", "warning", [turn("a", f"\x1b[31mred\x1b[0m {filler(1)}")], 1),
    ("control-characters", "warning", [turn("a", f"\u202egpj.exe {filler(1)}")], 1),
    ("same-answer", "note", [turn(filler(-n, 6), LATER) for n in range(1, 16)], 15),
    ("languages", "note", [*(turn(filler(-n), ENGLISH + filler(n)) for n in range(9)), turn("a", GERMAN)], 1),
    ("odd-length", "note", [*plain(60)[30:], turn("a", filler(-5, 900))], 1),
]  # fmt: skip


@pytest.mark.parametrize(("code", "level", "rows", "count"), CASES, ids=[case[0] for case in CASES])
def test_a_finding_names_its_rows(tmp_path: Path, code: str, level: str, rows: list[Any], count: int) -> None:
    findings = found(tmp_path, *rows)
    assert findings.keys() == {code}
    finding = findings[code]
    assert (finding["level"], finding["count"]) == (level, count)
    assert finding["title"].startswith(f"{count} row")
    assert finding["why"]
    assert finding["fix"]
    last = 30 + len(rows)
    assert set(numbers(finding)) <= set(range(31, last + 1))
    assert len(numbers(finding)) == count
    for row in finding["rows"]:
        assert row["where"] == f"d.jsonl, line {row['row']}"
        assert row["excerpt"].isprintable()
        assert len(row["excerpt"]) <= 120


def test_the_excerpt_of_an_unreadable_row_is_the_reason(tmp_path: Path) -> None:
    (row,) = found(tmp_path, b'{"a": [1, ]}')["not-json"]["rows"]
    assert row["excerpt"] == "not JSON (a comma with nothing behind it at column 9)"


NOTHING_TO_SAY = [
    turn("placeholder?", "Use sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxx or ghp_00000000000000000000000000000000."),
    turn("order?", "Your order 4539 1488 0343 6468 has the number 1234567812345678, since 20240101."),
    turn("who?", "Write to support@example.com, or @arkor, and to git@test; the price is 3@4."),
    turn("S\u00c3O\u201d?", f"The \u201cMA\u00c7\u00c3\u201d of \u00c2ngelo: \u00c9\u2026 {filler(1)}"),
    turn("emoji", f"\U0001f469\u200d\U0001f4bb \u2764\ufe0f\tdone\n{filler(2)}"),
    turn("refund?", "I'm sorry, but we can't refund that order. I cannot find your parcel; can you help me?"),
    {"messages": [TALK[0], said(None, tool_calls=[{"function": {"name": "f"}}]),
                  {"role": "tool", "content": "1"}, said(filler(-9))]},
    {"text": filler(-7)},
    turn("flags?", "o -a e i w o -e a z e o w i a e: A with a, O with o, e.g. do a, do o, as com, to no."),
]  # fmt: skip


@pytest.mark.parametrize("row", NOTHING_TO_SAY)
def test_harmless_rows_have_no_findings(tmp_path: Path, row: dict[str, Any]) -> None:
    assert found(tmp_path, row) == {}


def test_rows_with_a_shared_prompt_are_not_duplicates(tmp_path: Path) -> None:
    """A long prompt that all rows share, and a short answer that many do, are how labelling looks."""
    form = f"Say whether this is praise or blame. {filler(-1, 60)} The text:"
    rows = [turn(f"{form} {filler(n, 12)}", "praise" if n % 2 else "blame") for n in range(300)]
    codes = {finding["code"] for finding in checked(tmp_path, rows)["findings"]}
    assert codes == {"same-answer"}
    system = {"role": "system", "content": filler(-1, 300)}
    talks = [
        {"messages": [system, {"role": "user", "content": filler(n, 9)}, said(filler(n + 999, 9))]}
        for n in range(20)
    ]
    assert checked(tmp_path, talks)["findings"] == []


def test_near_duplicates_are_found_among_other_rows(tmp_path: Path) -> None:
    """Ninety in a hundred pairs that share nine words in ten, and no others."""
    rows, pairs = plain(400), 0
    for n in range(100):
        words = filler(10_000 + n, 80).split()
        rows.append(turn("Tell me", " ".join(words)))
        words[40] = "otherwise"
        rows.append(turn("Tell me", " ".join(words)))
        pairs += 1
    findings = {finding["code"]: finding for finding in checked(tmp_path, rows)["findings"]}
    near = findings["near-duplicate"]
    assert 90 <= near["count"] <= pairs
    assert all((row["row"] - 400) % 2 == 0 for row in near["rows"])
    assert near["rows"][0]["excerpt"].startswith(f"as d.jsonl, line {near['rows'][0]['row'] - 1}: ")
    assert checked(tmp_path, rows) == checked(tmp_path, rows)


def test_too_many_near_duplicates_are_reported_as_incomplete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(likeness, "MOST_PAIRS", 2)
    rows = [turn(f"{filler(n, 6)}?", f"{filler(-1, 120)} {filler(n, 2)}") for n in range(900, 909)]
    report = checked(tmp_path, [*plain(60), *rows])
    assert "Further near duplicates: there are thousands of candidates." in report["leftOut"]
    assert [(finding["code"], finding["count"]) for finding in report["findings"]] == [("near-duplicate", 2)]


def test_rows_of_the_evaluation_set_are_found(tmp_path: Path) -> None:
    held_out = [turn(filler(1, 9), filler(2)), b"nonsense", {"text": filler(3)}]
    findings = found(tmp_path, turn(filler(1, 9).upper(), filler(5)), {"text": filler(3)}, held_out=held_out)
    assert (findings["in-eval"]["count"], numbers(findings["in-eval"])) == (2, [31, 32])
    assert findings["not-json"]["rows"][0]["where"] == "eval.jsonl, line 2"


def test_an_answer_of_half_the_rows_is_a_warning(tmp_path: Path) -> None:
    rows = [turn(filler(n, 6), LATER) for n in range(1000, 1040)]
    finding = found(tmp_path, *rows)["same-answer"]
    assert (finding["level"], finding["count"], len(finding["rows"])) == ("warning", 40, 20)
    assert finding["title"] == "40 rows have the same answer: 57% of all"
    assert numbers(finding) == list(range(31, 51))


def test_a_truncated_file_is_one_finding_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    path.write_text(json.dumps(plain(3))[:-1])
    (finding,) = check_data([DataFile(path, "d.json")])["findings"]
    assert (finding["code"], finding["level"]) == ("unreadable", "error")
    assert finding["title"] == "1 file cannot be read completely"
    assert finding["rows"][0]["excerpt"].startswith("not JSON: the list is never closed")


def test_invalid_table_rows_have_their_own_message(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("prompt,completion\na,b\na,b,c\n")
    (finding,) = check_data([DataFile(path, "d.csv")])["findings"]
    assert finding["title"] == "1 row is not written as the table's first line says"


def test_data_without_rows_is_an_error(tmp_path: Path) -> None:
    report = checked(tmp_path, [])
    assert [(finding["code"], finding["level"]) for finding in report["findings"]] == [("empty", "error")]


def test_the_report_names_files_and_skipped_checks(tmp_path: Path) -> None:
    report = checked(tmp_path, [*plain(3), b"nonsense"])
    assert report["rows"] == 4
    assert report["files"] == [{"name": "d.jsonl", "words": "prompt and completion, JSON Lines"}]
    assert ["tokenizer" in text for text in report["leftOut"]] == [True]


def test_errors_come_first(tmp_path: Path) -> None:
    report = checked(tmp_path, [*plain(30), turn("a", "No."), turn("b", CARD), b"x"])
    levels = [finding["level"] for finding in report["findings"]]
    assert levels == sorted(levels, key=check.LEVELS.index)
    assert set(levels) == set(check.LEVELS)


def test_a_check_stops_at_its_time_limit(tmp_path: Path) -> None:
    report = checked(tmp_path, plain(1000), seconds=0)
    assert report["rows"] == 1
    assert "Everything after row 1: the time was up." in report["leftOut"]
    report = checked(tmp_path, [turn("long?", "x" * 100_000), *plain(1000)], held_out=plain(900), seconds=0)
    assert report["rows"] == 1
    assert report["leftOut"][1:] == [
        "Part of the evaluation set: the time was up.",
        "Everything after row 1: the time was up.",
    ]


def test_a_check_reports_progress(tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    checked(tmp_path, [*plain(1000), *plain(1)], progress=lambda *told: heard.append(told))
    size = (tmp_path / "d.jsonl").stat().st_size
    assert {what for what, _, _ in heard} == {"Checking", "Comparing"}
    assert all(0 < done <= size + 1 == total + 1 for _, done, total in heard)


MEASURE = """
import resource, sys, time
from pathlib import Path
from arkor_dev.data.findings.check import check_data
from arkor_dev.data.reader import DataFile
check_data([DataFile(Path(sys.argv[1]), "small")])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.process_time()
report = check_data([DataFile(Path(sys.argv[2]), "large")])
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(report["rows"], grown, time.process_time() - began)
"""


@pytest.mark.ci
@pytest.mark.timeout(400)
@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory in other units")
@pytest.mark.slow
def test_a_check_uses_little_memory_and_time(tmp_path: Path) -> None:
    """8 MB of rows leave less than they are: a gigabyte took 174 MiB. 10,000 rows may take 15 s."""
    words = filler(7, 4000).split()
    chosen = random.Random(3)
    for name, count in (("small", 300), ("large", 5000)):
        with (tmp_path / name).open("w") as file:
            for _ in range(count):
                asked, answered = (
                    " ".join(chosen.choices(words, k=20)),
                    " ".join(chosen.choices(words, k=200)),
                )
                file.write(json.dumps(turn(asked, answered)) + "\n")
    argv = [sys.executable, "-c", MEASURE, str(tmp_path / "small"), str(tmp_path / "large")]
    took: list[float] = []
    while len(took) < 3 and min(took, default=math.inf) >= 7.5:  # a processor that others share may be slow
        said = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=100).stdout.split()
        rows, kibibytes = int(said[0]), int(said[1])
        took.append(float(said[2]))
        assert rows == 5000
        assert kibibytes < 6 * 1024
    assert min(took) < 7.5


LONG = 60_000
HOSTILE = [
    "-eyJ" * (LONG // 2), "SG." * (LONG // 2), "sk-" * (LONG // 2), "k_live_" * (LONG // 5),
    "gh" * (LONG // 2),
    "a" * LONG + "@", "@" * LONG, "a@" * (LONG // 2), "a@a." * (LONG // 2), "1 " * LONG, "4539" * (LONG // 2),
    "-----BEGIN " * (LONG // 10),
    "-----BEGIN PRIVATE KEY-----" * (LONG // 20), "\u00e2\u20ac" * (LONG // 2), "i can't " * (LONG // 5),
    "\u3042" * LONG, "\ud7ff" * LONG, " \t" * LONG, "!" * LONG,
]  # fmt: skip


@pytest.mark.timeout(400)
@pytest.mark.slow
def test_hostile_texts_take_linear_time(tmp_path: Path) -> None:
    """What takes the square of a text's length takes many minutes for these."""
    rows: list[Any] = [turn(text, text) for text in HOSTILE]
    rows += [{"k" * LONG: [{}]}, {f"k{n}": "v" for n in range(LONG // 10)}, {"k" * LONG: "v"}]
    took: list[float] = []
    while len(took) < 3 and min(took, default=math.inf) >= 1.5:  # a processor that others share may be slow
        began = time.process_time()
        checked(tmp_path, rows)
        took.append(time.process_time() - began)
    assert min(took) < 1.5


SECRETS = [
    KEY,
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "AKIAIOSFODNN7EXAMPLE",
    "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcHrzqqgy",
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQ\n",
    CARD,
    "3714-496353-98431",
    "ada@engines.uk",
    "+44 20 7946 0958",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_are_masked_at_any_position(tmp_path: Path, secret: str) -> None:
    assert secret.strip()[5:-6] not in masked(f"before {secret} after")
    for before in range(0, 140, 14):
        rows = [turn("who?", f"{'word ' * before}{secret} {'more ' * 300}"), turn("Who?", "x" * 9)]
        report = checked(tmp_path, rows)
        assert secret.strip()[5:-6] not in json.dumps(report)
        codes = {finding["code"] for finding in report["findings"]}
        assert codes & {"secret", "card-number", "e-mail", "phone-number"}


@pytest.mark.parametrize(
    "text",
    [
        "Order 555 123 4567 890", "call 555-0100", "2024-05-01 to 2024-06-02", "192.168.10.254",
        "1 234 567 890", "ISBN 978-3-16-148410-0", "version 10.2.3.4567", "€ 1.234.567,89",
        "call me 12 times",
        "room 0171-23",
    ],
)  # fmt: skip
def test_other_numbers_are_not_phone_numbers(text: str) -> None:
    assert [match[0] for match in phones(text)] == []


def test_the_page_offers_the_languages_that_are_detected() -> None:
    page = (Path(__file__).parents[3] / "web" / "src" / "pages" / "data" / "filters.tsx").read_text()
    listed = page[page.index("const LANGUAGES = [") : page.index("];")]
    assert tuple(re.findall(r'"([^"]+)"', listed)) == LANGUAGES
