"""Rows made by the local base model itself: the whole way, with a real tiny model."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING

import pytest

from arkor_dev.cli.main import main
from arkor_dev.making import kinds

from .conftest import make_project
from .harness import Backend

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


def test_the_base_model_is_the_teacher(
    tiny: Path,
    template: dict[str, str],
    tmp_path: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It answers in the form of the schema; what it invents, untrained as it is, gets in nowhere."""
    pytest.importorskip("llguidance")  # what makes a tiny model answer with JSON
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setattr(kinds, "LEAST_TOKENS", 100)
    monkeypatch.setattr(kinds, "ROW_TOKENS", 30)
    project = make_project(tmp_path / "tests", tiny)
    config = project / "models" / "tiny" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "max_position_embeddings": 4096}))
    (project / "docs").mkdir()
    text = "# Harbour\n\n" + "The harbour was built in 1912 by the city. " * 4
    (project / "docs" / "harbour.md").write_text(text)
    (project / "arkor.toml").write_text(
        '[[trainer]]\nname = "a"\nmodel = "./models/tiny"\ndataset = "data/chats.jsonl"\n'
    )
    backend = Backend.start(tmp_path / "data", project, tmp_path / "cache", **template)
    try:
        backend.leave_word(project, home)
        argv = ["data", "make", str(project / "docs"), "--project", str(project), "--local", "--json"]
        argv += ["--teacher", "base", "--name", "own"]
        assert main(argv) == 0
        first = json.loads(capsys.readouterr().out)
        assert main(argv) == 0
        again = json.loads(capsys.readouterr().out)
    finally:
        backend.stop()
    assert (first["state"], first["model"], first["rows"]) == ("done", "./models/tiny", 0)
    assert 200 < first["inputTokens"] <= len(text) + 2000
    assert 0 < first["outputTokens"] <= 100
    # An untrained model ends its JSON within the limit by chance only: a cut answer is asked for again.
    is_cut = "unreadable" in first["dropped"]
    assert (first["done"], again["requests"], again["kept"]) == ((0, 2, 0) if is_cut else (1, 1, 1))
    (kept,) = home.rglob("making.sqlite")
    with contextlib.closing(sqlite3.connect(kept)) as db:
        answers = [answer for (answer,) in db.execute("SELECT answer FROM answers")]
    # It may also have ended in the second answer.
    assert len(answers) == again["done"]
    assert all(answer.startswith("{") and '"rows"' in answer[:20] for answer in answers)
