"""The command that upgrades this installation, for each way to install it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from arkor_dev.core.upgrade import installation, upgrade_command

if TYPE_CHECKING:
    from pathlib import Path

CLONE = '"url": "file:///home/a%20b/clone"'


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"INSTALLER": "pip\n"}, "'{python}' -m pip install --upgrade arkor-dev"),
        ({"INSTALLER": "uv"}, "uv pip install --python '{python}' --upgrade arkor-dev"),
        ({"INSTALLER": "conda"}, "conda update --prefix '{prefix}' arkor-dev"),
        ({"../pipx_metadata.json": "{}"}, "pipx upgrade arkor-dev"),
        ({"../uv-receipt.toml": "", "INSTALLER": "uv"}, "uv tool upgrade arkor-dev"),
        (
            {"direct_url.json": f'{{{CLONE}, "dir_info": {{"editable": true}}}}'},
            "git -C '/home/a b/clone' pull",
        ),
        (
            {"direct_url.json": f'{{{CLONE}, "dir_info": {{}}}}', "INSTALLER": "pip"},
            "git -C '/home/a b/clone' pull && '{python}' -m pip install --upgrade '/home/a b/clone'",
        ),
        (
            {"direct_url.json": '{"url": "https://x.example/r?a&b", "vcs_info": {"vcs": "git"}}'},
            "'{python}' -m pip install --upgrade 'git+https://x.example/r?a&b'",
        ),
        (
            {"direct_url.json": '{"url": "file:///tmp/a.whl", "archive_info": {}}'},
            "'{python}' -m pip install --upgrade arkor-dev",
        ),
        ({"direct_url.json": "{"}, "'{python}' -m pip install --upgrade arkor-dev"),
    ],
)
def test_the_command_is_that_of_the_installer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], command: str
) -> None:
    prefix = tmp_path / "an environment"
    packages = prefix / "arkor_dev-0.1.0.dist-info"
    packages.mkdir(parents=True)
    for name, text in {"METADATA": "Name: arkor-dev\nVersion: 0.1.0\n", **files}.items():
        (packages / name).write_text(text)
    python = str(prefix / "bin" / "python")
    monkeypatch.setattr(sys, "path", [str(prefix)])
    monkeypatch.setattr(sys, "prefix", str(prefix))
    monkeypatch.setattr(sys, "executable", python)
    assert upgrade_command() == command.format(python=python, prefix=prefix)


def test_temporary_environments_are_not_upgraded_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = tmp_path / "uv" / "archive-v0" / "x"
    packages = prefix / "arkor_dev-0.1.0.dist-info"
    packages.mkdir(parents=True)
    (packages / "METADATA").write_text("Name: arkor-dev\nVersion: 0.1.0\n")
    monkeypatch.setattr(sys, "path", [str(prefix)])
    monkeypatch.setattr(sys, "prefix", str(prefix))
    found = installation()
    assert (found.may_run, found.remove[1:]) == (True, ("-m", "pip", "uninstall", "--yes", "arkor-dev"))
    (packages / "INSTALLER").write_text("uv")
    assert (installation().may_run, upgrade_command()) == (False, "uvx arkor-dev@latest")
    (packages / "INSTALLER").write_text("conda")
    assert not installation().may_run
    (packages / "INSTALLER").write_text("pip")
    (packages / "direct_url.json").write_text(f'{{{CLONE}, "dir_info": {{"editable": true}}}}')
    assert not installation().may_run


def test_an_uninstalled_clone_is_upgraded_by_git_pull(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert upgrade_command().startswith("git -C ")
