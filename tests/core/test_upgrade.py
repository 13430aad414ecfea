"""The commands that upgrade and remove this installation, for each way to install it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from arkor_dev.contract.origin import ROOT
from arkor_dev.core.upgrade import installation, upgrade_command

if TYPE_CHECKING:
    from tests.support.environments import Environment

CLONE = '"url": "file:///home/a%20b/clone"'
EDITABLE = {"direct_url.json": f'{{{CLONE}, "dir_info": {{"editable": true}}}}'}
FOLDER = {"direct_url.json": f'{{{CLONE}, "dir_info": {{}}}}'}
WHEEL = {"direct_url.json": '{"url": "file:///tmp/a.whl", "archive_info": {}}'}
GIT = {"direct_url.json": '{"url": "https://x.example/r?a&b", "vcs_info": {"vcs": "git"}}'}
PIPX = {"../pipx_metadata.json": "{}"}
UV = {"INSTALLER": "uv"}
UV_TOOL = {"../uv-receipt.toml": "", **UV}
NEWER = "  # name the newer file in its place"


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"INSTALLER": "pip\n"}, "'{python}' -m pip install --upgrade 'arkor-dev[mcp]'"),
        (UV, "uv pip install --python '{python}' --upgrade 'arkor-dev[mcp]'"),
        ({"INSTALLER": "conda"}, "conda update --prefix '{prefix}' arkor-dev"),
        (PIPX, "pipx upgrade arkor-dev"),
        (PIPX | WHEEL, f"pipx install --force '/tmp/a.whl[mcp]'{NEWER}"),
        (UV_TOOL, "uv tool upgrade arkor-dev"),
        (UV_TOOL | WHEEL, f"uv tool install --reinstall-package arkor-dev '/tmp/a.whl[mcp]'{NEWER}"),
        (EDITABLE, "git -C '/home/a b/clone' pull"),
        (
            FOLDER,
            "git -C '/home/a b/clone' pull && '{python}' -m pip install --upgrade '/home/a b/clone[mcp]'",
        ),
        (GIT, "'{python}' -m pip install --upgrade 'arkor-dev[mcp] @ git+https://x.example/r?a&b'"),
        (WHEEL, f"'{{python}}' -m pip install --upgrade '/tmp/a.whl[mcp]'{NEWER}"),
        ({"direct_url.json": "{"}, "'{python}' -m pip install --upgrade 'arkor-dev[mcp]'"),
    ],
)
def test_the_command_is_that_of_the_installer_and_keeps_the_extras(
    environment: Environment, files: dict[str, str], command: str
) -> None:
    environment.add("mcp", "2.0")
    environment.install(files)
    assert upgrade_command() == command.format(python=environment.python, prefix=environment.prefix)


@pytest.mark.parametrize(
    ("files", "command"),
    [
        (WHEEL, f"uvx --refresh-package arkor-dev --from '/tmp/a.whl[mcp]' arkor-dev{NEWER}"),
        (
            GIT,
            "uvx --refresh-package arkor-dev --from 'arkor-dev[mcp] @ git+https://x.example/r?a&b' arkor-dev",
        ),
        ({}, "uvx --from 'arkor-dev[mcp]@latest' arkor-dev"),
    ],
)
def test_uvx_calls_the_same_origin_again_with_the_extras_that_it_has(
    environment: Environment, files: dict[str, str], command: str
) -> None:
    environment.move("uv/archive-v0/x")
    environment.add("mcp", "2.0")
    environment.install(UV | files)
    assert upgrade_command() == command
    assert not installation().may_run


def test_pipx_run_does_too(environment: Environment) -> None:
    environment.move(".cache/x")
    environment.install(PIPX | WHEEL)
    assert upgrade_command() == f"pipx run --no-cache --spec /tmp/a.whl arkor-dev{NEWER}"
    assert installation().remove == ("rm", "-r", str(environment.prefix))
    assert not installation().may_run


@pytest.mark.parametrize(
    ("files", "may_run", "remove"),
    [
        ({"INSTALLER": "pip"}, True, ["-m", "pip", "uninstall", "--yes", "arkor-dev"]),
        ({"INSTALLER": "conda"}, False, ["remove", "--prefix", "{prefix}", "arkor-dev"]),
        (EDITABLE, False, ["-m", "pip", "uninstall", "--yes", "arkor-dev"]),
        (WHEEL, True, ["-m", "pip", "uninstall", "--yes", "arkor-dev"]),
    ],
)
def test_temporary_environments_are_not_upgraded_in_place(
    environment: Environment, files: dict[str, str], may_run: bool, remove: list[str]
) -> None:
    environment.install(files)
    found = installation()
    assert found.may_run is may_run
    assert [*found.remove[1:]] == [each.format(prefix=environment.prefix) for each in remove]


def test_an_uninstalled_clone_is_upgraded_by_git_pull(environment: Environment) -> None:
    assert upgrade_command() == f"git -C {ROOT} pull"
