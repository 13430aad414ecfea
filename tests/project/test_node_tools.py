"""Which ``arkor`` and which Node a TypeScript project stands on, and what to install when one is missing."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from arkor_dev.project.node_tools import (
    find_cli,
    is_typescript,
    no_node,
    not_installed,
    satisfies,
    wanted_node,
)
from tests.support.processes import script
from tests.support.typescript_projects import LAYOUTS, LOCK_FILES, lay_out

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.typescript_projects import Layout


@pytest.fixture(autouse=True)
def _empty_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_arkor_command_is_found_in_each_layout(
    layout: Layout, tmp_path: Path, arkor_package: Path
) -> None:
    project = lay_out(layout, tmp_path / "there", arkor_package)
    assert find_cli(project.path) == str(project.repository / "node_modules" / ".bin" / "arkor")
    assert is_typescript(project.path)
    assert wanted_node(project.path) == ">=18"


def repository(folder: Path, mark: str = ".git") -> Path:
    """A repository with a command at its root; the folder of a package in it."""
    script(folder / "node_modules" / ".bin" / "arkor", "")
    package = folder / "packages" / "bot"
    package.mkdir(parents=True)
    if mark == "workspaces":
        (folder / "package.json").write_text('{"workspaces": ["packages/*"]}')
    elif mark == ".git":
        (folder / ".git").mkdir()
    elif mark:
        (folder / mark).touch()
    return package


@pytest.mark.parametrize("mark", [".git", "workspaces", "pnpm-workspace.yaml"])
def test_the_search_ends_at_the_root_of_the_repository(tmp_path: Path, mark: str) -> None:
    inner = tmp_path / "inner"
    package = repository(inner, mark)
    assert find_cli(package) == str(inner / "node_modules" / ".bin" / "arkor")
    (inner / "node_modules" / ".bin" / "arkor").unlink()
    script(tmp_path / "node_modules" / ".bin" / "arkor", "")
    (tmp_path / ".git").mkdir()
    assert find_cli(package) is None


def test_without_a_repository_parent_folders_are_not_searched(tmp_path: Path) -> None:
    assert find_cli(repository(tmp_path / "any", "")) is None


def test_world_writable_parent_folders_are_not_searched(tmp_path: Path) -> None:
    package = repository(tmp_path / "shared")
    (tmp_path / "shared").chmod(0o777)
    assert find_cli(package) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
def test_parent_folders_of_other_users_are_not_searched(tmp_path: Path) -> None:
    package = repository(tmp_path / "theirs")
    os.chown(tmp_path / "theirs", 12345, 12345)
    assert find_cli(package) is None


def test_a_hoisted_command_does_not_make_a_typescript_project(tmp_path: Path) -> None:
    package = repository(tmp_path / "repository")
    assert not is_typescript(package)


@pytest.mark.parametrize("lock", sorted({*LOCK_FILES.values(), "bun.lockb"}))
@pytest.mark.parametrize("hoisted", [False, True])
def test_the_install_command_matches_the_lock_file(tmp_path: Path, lock: str, hoisted: bool) -> None:
    tool = {"package-lock.json": "npm", "pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn"}.get(lock, "bun")
    package = repository(tmp_path / "repository")
    ((tmp_path / "repository" if hoisted else package) / lock).touch()
    (package / "package.json").write_text(json.dumps({"devDependencies": {"arkor": "1"}}))
    assert f"package.json names arkor, but it is not installed. Run `{tool} install`" in not_installed(
        package
    )
    (package / "package.json").write_text("{}")
    assert f"`{tool} {'install' if tool == 'npm' else 'add'} FILE.tgz`" in not_installed(package)


def test_without_a_lock_file_npm_is_suggested(tmp_path: Path) -> None:
    assert "`npm install FILE.tgz`" in not_installed(tmp_path)


def test_yarn_plug_and_play_is_refused_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / ".pnp.cjs").touch()
    assert "nodeLinker: node-modules" in not_installed(tmp_path)


@pytest.mark.parametrize("engines", [None, 3, {}, {"node": 3}, {"node": ""}, {"node": ">=1\u001b[2J"}])
def test_invalid_engines_fields_are_ignored(tmp_path: Path, engines: object) -> None:
    (tmp_path / "package.json").write_text(json.dumps({"engines": engines}))
    assert wanted_node(tmp_path) is None
    assert "Install Node.js (https://nodejs.org" in no_node(tmp_path)


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        ("v20.20.2", ">=18", True),
        ("v20.20.2", ">=20.19", True),
        ("v20.20.2", ">=20.20.3", False),
        ("v16.0.0", ">=18", False),
        ("v20.20.2", ">20", False),
        ("v21.0.0", ">20", True),
        ("v20.20.2", "<=20", True),
        ("v20.20.2", "<20.20", False),
        ("v20.20.2", ">=18 <20", False),
        ("v20.20.2", ">= 18 < 21", True),
        ("v20.20.2", "^20.19.0 || >=22.12.0", True),
        ("v21.9.0", "^20.19.0 || >=22.12.0", False),
        ("v22.12.0", "^20.19.0 || >=22.12.0", True),
        ("v20.20.2", "^18", False),
        ("v0.12.3", "^0.12.1", True),
        ("v0.13.0", "^0.12.1", False),
        ("v20.20.2", "~20.20.1", True),
        ("v20.21.0", "~20.20.1", False),
        ("v20.20.2", "20.x", True),
        ("v20.20.2", "20", True),
        ("v21.0.0", "20.x", False),
        ("v20.20.2", "=20.20.2", True),
        ("v20.20.2", "*", True),
        ("v20.20.2", "", True),
        ("v20.20.2", "18 - 22", True),
        ("v20.20.2", "lts/iron", True),
        ("nonsense", ">=99", True),
    ],
)
def test_version_ranges_are_read_as_npm_does(version: str, wanted: str, expected: bool) -> None:
    assert satisfies(version, wanted) is expected


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        (json.dumps({"dependencies": {"arkor": "1"}}), True),
        (json.dumps({"devDependencies": {"arkor": "1"}}), True),
        (json.dumps({"dependencies": {"other": "1"}}), False),
        ("{", False),
        ("[]", False),
        ('{"dependencies": null}', False),
        ('{"dependencies": 3}', False),
        ("[" * 100_000, False),
        (None, False),
    ],
)
def test_typescript_projects_are_recognized(tmp_path: Path, package: str | None, expected: bool) -> None:
    if package is not None:
        (tmp_path / "package.json").write_text(package)
    assert is_typescript(tmp_path) is expected
    entry = tmp_path / "src" / "arkor" / "index.ts"
    entry.parent.mkdir(parents=True)
    entry.touch()
    assert is_typescript(tmp_path)
