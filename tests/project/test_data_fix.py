"""Fixes for findings: what each does, that nothing else changes, and the two ways to them."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.cli.main import main
from arkor_dev.data.findings import masking
from arkor_dev.data.findings.characters import decoded_again
from arkor_dev.data.findings.check import check_data
from arkor_dev.data.mending import KINDS
from arkor_dev.project import data_fix
from arkor_dev.project.data_editor import DataEditor
from arkor_dev.project.data_fix import files_to_fix, plan_fixes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.studio import Studio

KEY = "sk-proj-Ab3dEf6hIj9kLmN0pQrStUvWx"
TOML = '[[trainer]]\nname = "bot"\nmodel = "m"\ndataset = "{}"\neval_dataset = "eval.jsonl"\n'
LONG = "The parcel leaves the warehouse on the next working day and arrives two or three days after that one."
LONGER = LONG.replace("three days", "three whole days")
ROWS: list[tuple[str, str, str | None]] = [
    ("Is it right?", "It is, as it was.", "It is, as it was."),
    ("What is the key?", f"It is {KEY} for now.", "It is KEY for now."),
    ("Whose card?", "4539 1488 0343 6467, it says.", "CARD NUMBER, it says."),
    ("Is it broken?", "It isn\u00e2\u20ac\u2122t, says Ren\u00c3\u00a9.", "It isn\u2019t, says Ren\u00e9."),
    ("Coloured?", "\x1b[31mRed\x1b[0m\u202e text.", "Red text."),
    ("Spaced?", " It is. \n", "It is."),
    ("is it  RIGHT?", "it is, as it was.", None),
    ("Nothing?", "", None),
    ("Who answers?", "ada@lovelace.org does.", "ada@lovelace.org does."),
    ("When does my parcel arrive then?", LONG, LONG),
    ("When does my parcel arrive then??", LONGER, LONGER),
    ("Is it held out?", "It is in both.", "It is in both."),
]  # fmt: skip
HELD_OUT = [
    {"prompt": "Is it held out?", "completion": "Yes."},
    {"prompt": "Only here?", "completion": "Yes."},
]


@pytest.fixture(params=["d.jsonl", "d.json", "d.csv"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A data set with something to fix in nearly every row."""
    path: Path = tmp_path / request.param
    rows = [{"prompt": asked, "completion": answer, "id": "\x07"} for asked, answer, _ in ROWS]
    if path.suffix == ".csv":
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, ["prompt", "completion", "id"])
        table.writeheader()
        table.writerows(rows)
        path.write_bytes(text.getvalue().encode())
    else:
        path.write_text(
            json.dumps(rows) if path.suffix == ".json" else "".join(f"{json.dumps(row)}\n" for row in rows)
        )
    (tmp_path / "arkor.toml").write_text(TOML.format(path.name))
    (tmp_path / "eval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in HELD_OUT))
    return path


def answers(path: Path) -> list[str]:
    rows: list[Any]
    if path.suffix == ".csv":
        rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))
    else:
        text = path.read_text()
        rows = (
            json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
        )
    assert all(row["id"] == "\x07" for row in rows), "what is not learned from stays"
    return [row["completion"] for row in rows]


def test_fixes_change_only_the_rows_with_findings(file: Path) -> None:
    before, held_out = file.read_bytes(), (file.parent / "eval.jsonl").read_bytes()
    files, others = files_to_fix(file.parent, "bot")
    plan = plan_fixes(files, others)
    assert plan.counts == {
        "secret": 1, "card-number": 1, "mojibake": 1, "control-characters": 1, "white-space": 1,
        "duplicate": 1, "blank": 1, "in-eval": 1,
    }  # fmt: skip
    assert KEY not in "".join(plan.diff)
    assert "KEY for now" in "".join(plan.diff)
    editor = DataEditor(file.parent)
    done = editor.change_files([*files, *others], plan.changes)
    assert answers(file) == [after for *_, after in ROWS if after is not None]
    assert (file.parent / "eval.jsonl").read_bytes() == held_out.splitlines(keepends=True)[1]
    codes = {finding["code"] for finding in check_data(files, others)["findings"]}
    assert codes == {"e-mail", "near-duplicate"}, "the ones that are fixed on request"
    assert not plan_fixes(files, others).changes
    asked = plan_fixes(files, others, ["e-mail", "near-duplicate"])
    assert asked.counts == {"e-mail": 1, "near-duplicate": 1}
    editor.undo(done["undo"])
    assert (file.read_bytes(), (file.parent / "eval.jsonl").read_bytes()) == (before, held_out)
    assert plan_fixes(files, others, ["duplicate", "secret"], row=2).counts == {"secret": 1}


def test_fixes_do_not_empty_the_evaluation_set(tmp_path: Path) -> None:
    (tmp_path / "arkor.toml").write_text(TOML.format("eval.jsonl"))
    (tmp_path / "eval.jsonl").write_text(json.dumps(HELD_OUT[0]) + "\n")
    files, others = files_to_fix(tmp_path, "bot")
    plan = plan_fixes(files, others)
    assert (plan.changes, len(plan.left_out)) == ([], 1)
    (tmp_path / "d.jsonl").write_text(json.dumps(HELD_OUT[0]) + "\n")
    (tmp_path / "arkor.toml").write_text(TOML.format("d.jsonl"))
    plan = plan_fixes(*files_to_fix(tmp_path, "bot"))
    assert plan.changes == []
    assert "Every row of the evaluation set" in plan.left_out[0]


def test_only_mojibake_is_decoded_again() -> None:
    for text in (
        "\u00c0 \u00ab bient\u00f4t \u00bb",
        "\u00d6l \u201eja\u201c",
        "\u4f60\u597d",
        "\u00e9\u00e8\u00ea",
        "na\u00efve \u00c2\u2019s",
    ):
        assert decoded_again(text) == text
        assert (
            decoded_again(text.encode().decode("cp1252", errors="replace").replace("\ufffd", "")) is not None
        )
    twice = "caf\u00e9".encode().decode("cp1252").encode().decode("cp1252")
    assert decoded_again(twice) == "caf\u00e9"
    assert (
        decoded_again(
            "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16").encode().decode("latin-1")
        )
        == "\U0001f600"
    )


def test_data_fix_shows_a_diff_and_asks(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent)
    before = file.read_bytes()
    assert main(["data", "fix", "--dry-run", "--only", "secret"]) == 0
    said = capsys.readouterr().out
    assert f"@@ {file.name}, row 2: secret @@" in said
    assert "1 row to fix: secret 1." in said
    assert main(["data", "fix", "--only", "secret"]) != 0, "there is no terminal to ask at"
    assert file.read_bytes() == before
    assert main(["data", "fix", "--only", "secret", "--yes"]) == 0
    assert f"Fixed 1 row in {file.name}." in capsys.readouterr().out
    assert KEY.encode() not in file.read_bytes()
    assert main(["data", "fix", "--only", "secret"]) == 0
    assert "Nothing to fix." in capsys.readouterr().out
    assert main(["data", "fix", "--only", "nonsense"]) == 2
    said = capsys.readouterr().err
    assert all(kind in said for kind in KINDS)


def test_planning_fixes_of_long_rows_masks_only_what_the_diff_may_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "arkor.toml").write_text('[[trainer]]\nname = "bot"\nmodel = "m"\ndataset = "d.jsonl"\n')
    words = "It is on its way. " * 20_000
    answers = [f" {words}", f"{words} ", f"{words}{KEY} {words}", f"{KEY} {words} "]
    lines = [json.dumps({"prompt": f"Where is {at}?", "completion": text}) for at, text in enumerate(answers)]
    (tmp_path / "d.jsonl").write_text("\n".join(lines))
    masked: list[int] = []

    def counted(text: str) -> str:
        masked.append(len(text))
        return masking.masked(text)

    monkeypatch.setattr(data_fix, "masked", counted)
    files, others = files_to_fix(tmp_path, "bot")
    first, last, key, both = plan_fixes(files, others).diff
    assert sum(masked) < len(words)
    old, new = first.splitlines()[1:]
    assert old.startswith('-…"prompt": "Where is 0?", "completion": " It is')
    assert new.startswith('+…"prompt": "Where is 0?", "completion": "It is')
    assert last.endswith('It is on its way."}\n')
    assert "sk-p…" in key
    assert KEY not in key + both


@pytest.mark.slow
async def test_the_page_previews_fixes_and_undoes_them(studio: Studio) -> None:
    project = studio.settings.project
    (project / "arkor.toml").write_text(TOML.format("d.jsonl"))
    (project / "eval.jsonl").write_text(json.dumps(HELD_OUT[1]) + "\n")
    lines = "".join(json.dumps({"prompt": asked, "completion": answer}) + "\n" for asked, answer, _ in ROWS)
    (project / "d.jsonl").write_text(lines)

    async def fix(**body: Any) -> Any:
        async with studio.session.post("/api/data/fixes", json={"trainer": "bot", **body}) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    shown = await fix(only=["secret"], preview=True)
    assert (shown["rows"], shown["changes"], "undo" in shown) == (1, [], False)
    assert (project / "d.jsonl").read_text() == lines
    done = await fix(only=["secret"])
    assert (project / "d.jsonl").read_text() == lines.replace(KEY, "KEY")
    async with studio.session.post("/api/data/undo", json={"undo": done["undo"]}) as answer:
        assert answer.status == 200
    assert (project / "d.jsonl").read_text() == lines
