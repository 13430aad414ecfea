"""Which files of a project leave the machine, and when they are read again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from arkor_dev.connection.ssh.files import Hashes, files_of_project
from arkor_dev.contract.errors import ConflictError

if TYPE_CHECKING:
    from pathlib import Path

ROW = '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
TOML = """
[[trainer]]
name = "one"
model = "./models/tiny"
dataset = ["data/a.jsonl", { path = "more" }, { huggingface = "owner/name" }]
eval_dataset = "data/held.jsonl"

[[trainer]]
name = "two"
model = "owner/model"
dataset = "data/b.jsonl"

[[trainer]]
name = "acting"
method = "grpo"
model = "owner/model"
dataset = "data/b.jsonl"
environment = "desk:Desk"

[[trainer]]
name = "broken"
model = "./models/other"
dataset = "data/missing.jsonl"

[[evaluation]]
file = "questions.jsonl"
metric = "metrics.own:score"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with files of every kind, and others."""
    contents = {
        "arkor.toml": TOML,
        "metrics/own.py": "import json\nfrom helpers import tidy\nimport metrics.more\n",
        **dict.fromkeys(("data/a.jsonl", "data/b.jsonl", "data/held.jsonl", "data/other.jsonl"), ROW),
        **dict.fromkeys(("more/c.jsonl", "more/deep/d.csv", "questions.jsonl"), ROW),
        **dict.fromkeys(
            ("helpers.py", "desk.py", "metrics/more.py", "unused.py", ".env", "models/other/a"), "x"
        ),
        **dict.fromkeys(("models/tiny/config.json", "models/tiny/.cache/x", "models/tiny/deep/a"), "x"),
    }
    for name, text in contents.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "project"


def test_only_files_named_by_trainers_are_sent(project: Path) -> None:
    assert [file.name for file in files_of_project(project)] == [
        "arkor.toml",
        "data/a.jsonl",
        "data/b.jsonl",
        "data/held.jsonl",
        "desk.py",
        "helpers.py",
        "metrics/more.py",
        "metrics/own.py",
        "models/tiny/config.json",
        "models/tiny/deep/a",
        "more/c.jsonl",
        "more/deep/d.csv",
        "questions.jsonl",
    ]
    (project / "arkor.toml").write_text("not toml")
    assert [file.name for file in files_of_project(project)] == ["arkor.toml"]
    (project / "arkor.toml").unlink()
    assert files_of_project(project) == []


def test_links_out_of_the_project_are_not_sent(project: Path, tmp_path: Path) -> None:
    (tmp_path / "private.jsonl").write_text(ROW)
    data = project / "data" / "a.jsonl"
    data.unlink()
    data.symlink_to(tmp_path / "private.jsonl")
    names = {file.name for file in files_of_project(project)}
    assert "data/a.jsonl" not in names
    assert "data/b.jsonl" in names, "the other trainer's"
    data.unlink()
    data.write_text(ROW)
    (project / "models" / "tiny" / "weights").symlink_to(tmp_path / "private.jsonl")
    with pytest.raises(ConflictError, match="models/tiny/weights is a link that leads out of the project"):
        files_of_project(project)
    (project / "arkor.toml").unlink()
    (project / "arkor.toml").symlink_to(tmp_path / "private.jsonl")
    assert files_of_project(project) == []


def test_only_changed_files_are_hashed_again(project: Path, tmp_path: Path) -> None:
    files = files_of_project(project)
    first = Hashes(tmp_path / "hashes.json").of(files)
    assert first[0] == hashlib.sha256(TOML.encode()).hexdigest()
    for file in files:
        file.path.chmod(0)  # neither root nor anybody else has to read them again
    kept = Hashes(tmp_path / "hashes.json")
    kept_before = (tmp_path / "hashes.json").stat().st_mtime_ns
    assert kept.of(files) == first
    assert (tmp_path / "hashes.json").stat().st_mtime_ns == kept_before
    files[0].path.chmod(0o600)
    files[0].path.write_text("[notify]\n")
    assert kept.of(files_of_project(project)[:1]) == [hashlib.sha256(b"[notify]\n").hexdigest()]
