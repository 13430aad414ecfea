"""The walk of docs/making-rows.md, command by command as it is written there, with a scripted teacher."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

from arkor_dev.cli.main import main
from arkor_dev.teacher import asker
from tests.support.documented import ROOT
from tests.support.scripted_teacher import Said, right, scripted

from .test_making import page, words

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_documented_walk_makes_rows(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(asker, "PAUSES", (0.01,))
    (tmp_path / "docs").mkdir()
    for number in range(3):
        (tmp_path / "docs" / f"page-{number}.md").write_text(page(number))
    (tmp_path / "data").mkdir()
    (tmp_path / "rubric.md").write_text("A good row is true.")
    (tmp_path / "arkor.toml").write_text(
        '[[trainer]]\nname = "a"\nmodel = "./m"\ndataset = "data/train.jsonl"\n'
    )
    row = {"prompt": words(1, 20), "completion": words(2, 20)}
    (tmp_path / "data" / "train.jsonl").write_text(f"{json.dumps(row)}\n" * 9)
    text = (ROOT / "docs" / "making-rows.md").read_text()
    commands = re.findall(r"(?:^ {4,8}|`)(arkor-dev data [^\n`]+)", text, re.MULTILINE)
    assert len(commands) == 6
    said = []

    def script(number: int, body: dict[str, Any]) -> Said:
        if "verdict" in json.dumps(body["response_format"]):
            return Said([{"reason": "Fine.", "verdict": "accepted"}])
        if body["messages"][-1]["content"].startswith("{"):  # a row, to be varied
            return Said([{"question": words(number, 9), "answer": words(-number, 9)}])
        return right(body)

    with scripted(script) as wise:
        for command in commands:
            given = command.replace("http://localhost:1234/v1", wise.url).replace("NAME", "wise")
            given = given.replace("--teacher base", f"--teacher {wise.url} --model wise")
            assert main(shlex.split(given)[1:]) == 0, command
            said.append(capsys.readouterr().out)
    first, dry, again, check, more, judged = said
    assert "judge rows first" in judged
    assert "data/made/docs-qa.jsonl has 3 made rows; 3 of 3 passages or rows done." in first
    assert "Whether an answer follows from its quote is not checked" in " ".join(first.split())
    assert "Next: add the file to a trainer's dataset in arkor.toml" in first
    assert "0 requests (3 more already answered), about 0 tokens; certainly at most 0." in dry
    assert "Spent: 1,200 tokens in 3 requests." in again
    assert check.splitlines()[0] == "data/made/docs-qa.jsonl: chat, JSON Lines"
    assert "data/made/train-variations.jsonl has 1 made row;" in more
    assert "quote" not in more
    assert re.search(r"`(data/made/[\w-]+\.jsonl)`", text)
