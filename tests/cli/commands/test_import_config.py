"""``arkor-dev import-config``: the trainer is added, nothing else changes, and what is lacking is said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from arkor_dev.cli.main import main
from arkor_dev.project.arkor_toml import load_trainers
from arkor_dev.project.starter import initialize

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = '{"model_name_or_path": "owner/model", "dataset_name": "owner/rows", "lora_alpha": 4, "made_up": 1}'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "peer.json"
    path.write_text(CONFIG)
    return path


def test_an_imported_trainer_is_appended(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = tmp_path / "project"
    initialize(project)
    before = (project / "arkor.toml").read_text()
    assert main(["import-config", str(config), "--project", str(project)]) == 0
    assert (project / "arkor.toml").read_text().startswith(before.rstrip())
    assert [trainer["name"] for trainer in load_trainers(project)] == ["my-bot", "peer"]
    out = capsys.readouterr().out
    assert "line 1  made_up: has no equivalent here" in out
    assert "arkor-dev start --local peer --project" in out
    assert main(["import-config", str(config), "--project", str(project)]) == 2
    assert "has a trainer peer already" in capsys.readouterr().err
    assert main(["import-config", str(config), "--project", str(project), "--name", "second"]) == 0


def test_importing_into_an_empty_folder_creates_a_project(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(CONFIG.replace("owner/rows", "data/rows.jsonl"))
    arguments = ["import-config", str(config), "--project", str(tmp_path)]
    assert main([*arguments, "--dry-run"]) == 0
    assert not (tmp_path / "arkor.toml").exists()
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out.partition("Nothing was written (--dry-run).")[2])
    assert "dataset_name" in [note["key"] for note in found["notes"]]
    assert "data/rows.jsonl" in found["problem"]
    assert (tmp_path / "arkor.toml").read_text() == found["toml"]


def test_a_typescript_project_and_a_missing_file_are_refused(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import-config", str(tmp_path / "none.yml"), "--project", str(tmp_path)]) == 2
    assert "does not exist" in capsys.readouterr().err
    (tmp_path / "src" / "arkor").mkdir(parents=True)
    (tmp_path / "src" / "arkor" / "index.ts").touch()
    assert main(["import-config", str(config), "--project", str(tmp_path)]) == 2
    assert "TypeScript project" in capsys.readouterr().err
    assert not (tmp_path / "arkor.toml").exists()
