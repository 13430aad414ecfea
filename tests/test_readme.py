"""The README says what the program says, and CONTRIBUTING what the repository has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from arkor_dev.project.arkor_toml import load_trainers

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_help_in_the_readme_is_the_commands_own() -> None:
    shown = re.search(r"<!-- help: .*? -->\n```\n(.*?)```", README, re.DOTALL)
    assert shown
    printed = subprocess.run(
        [sys.executable, "-m", "arkor_dev", "--help"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "100"},
    ).stdout
    assert shown[1] == printed


def test_the_toml_in_the_readme_is_a_valid_project(tmp_path: Path) -> None:
    shown = re.search(r"```toml\n(.*?)```", README, re.DOTALL)
    assert shown
    tomllib.loads(shown[1])
    (tmp_path / "arkor.toml").write_text(shown[1])
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "chats.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    assert [trainer["name"] for trainer in load_trainers(tmp_path)] == ["support-bot"]


def test_every_picture_and_link_in_the_readme_exists() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).is_file(), target


def test_what_the_guide_for_contributors_names_is_there() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    named = re.findall(r"(?<![\w/])((?:arkor_dev|docs|scripts|tests|web)/[\w./-]*\w/?)", guide)
    assert len(named) > 40
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_walk_of_an_event_in_the_guide_is_the_codes_own() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    walk = re.findall(r"^ +(\d+)  (\S+\.\w+) +(?:\w+\.)?(#?\w+) ", guide, re.MULTILINE)
    assert [int(number) for number, _, _ in walk] == list(range(1, 16))
    for _, path, name in walk:
        defined = rf"^ *(?:export |async )*(?:def |function )?{name}\("
        assert re.search(defined, (ROOT / path).read_text(), re.MULTILINE), f"{path}: {name}"


def test_the_pictures_in_docs_are_the_few_that_the_readme_shows() -> None:
    shown = set(re.findall(r"!\[[^]]*\]\(([^)]+)\)", README))
    files = {path for path in (ROOT / "docs").rglob("*") if path.is_file() and path.suffix != ".md"}
    committed = files - set((ROOT / "docs" / "cluster").iterdir())  # they are held to test_cluster_files.py
    assert shown == {path.relative_to(ROOT).as_posix() for path in committed}
    assert len(shown) <= 20
