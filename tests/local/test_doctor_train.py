"""``arkor-dev doctor --train`` on a real tiny model: all its parts, and a report without private names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from arkor_dev.cli.commands.train_check import run_train_check
from arkor_dev.core.settings import Settings

from .conftest import make_project

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("torch")
pytestmark = [pytest.mark.engine, pytest.mark.timeout(400), pytest.mark.usefixtures("forked_workers")]
TOML = """
[[trainer]]
name = "secret-parrot"
model = "./models/tiny"
dataset = "data/chats.jsonl"
steps = 5000
report_to = "tensorboard"
"""


@pytest.mark.ci
async def test_doctor_exercises_a_whole_training(
    tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = make_project(tmp_path / "own", tiny)
    (project / "arkor.toml").write_text(TOML)
    settings = Settings(
        project=project, home=tmp_path, data=tmp_path / "data", cache=tmp_path / "cache", engine="exact"
    )
    assert await run_train_check(settings) == 0
    said = capsys.readouterr().out
    results, _, report = said.partition("To paste into a bug report:")
    names = [line.split()[1] for line in results.splitlines() if line]
    assert names == ["Forecast", "Device", "Training", "Time", "Answer", "Pause"]
    assert "3 steps" in results
    assert "Computing in" in report
    for private in ("secret-parrot", str(tmp_path), "chats.jsonl"):
        assert private not in said
    assert not (tmp_path / "data").exists(), "the project's own jobs stay as they were"
    (project / "data" / "chats.jsonl").write_text("{}\n")
    assert await run_train_check(settings, as_json=True) == 1
    told = json.loads(capsys.readouterr().out)
    assert [check["status"] for check in told["checks"]] == ["fail"]
