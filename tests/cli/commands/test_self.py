"""`arkor-dev self`: the installer's own command is run, or printed where it is for a person."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from arkor_dev.cli.commands import self_command
from arkor_dev.cli.commands.self_command import run_self
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.core.upgrade import Installation
from arkor_dev.identity.engine import FOLDER, engine_folder
from tests.support.processes import script

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings
    from tests.support.environments import Environment


def test_self_update_runs_the_installers_command_after_asking(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    tool = str(
        script(tmp_path / "tool", "import sys; print(*sys.argv[1:]); sys.exit(3 * ('fail' in sys.argv))")
    )
    found = Installation(((tool, "upgrade", "a b"), (tool, "fail"), (tool, "never")), (tool, "remove"))
    monkeypatch.setattr(self_command, "installation", lambda: found)
    engine = settings.data / FOLDER
    engine.mkdir(parents=True)
    assert run_self(settings, "update", yes=False, dry_run=True) == 0
    assert capfd.readouterr().out == f"Run: {tool} upgrade 'a b' && {tool} fail && {tool} never\n"
    assert run_self(settings, "update", yes=False, dry_run=False) == 3
    assert capfd.readouterr().out == "upgrade a b\nfail\n"
    with pytest.raises(BadRequestError, match="--yes"):
        run_self(settings, "uninstall", yes=False, dry_run=False)
    assert engine.is_dir()
    capfd.readouterr()
    assert run_self(settings, "uninstall", yes=True, dry_run=False) == 0
    said = capfd.readouterr().out
    assert str(settings.data) in said
    assert said.endswith("remove\n")
    assert not engine.exists()


def test_self_update_prints_commands_it_may_not_run(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Installation(((sys.executable, "-c", "raise SystemExit(9)"),), ("no-such-tool",), may_run=False)
    monkeypatch.setattr(self_command, "installation", lambda: found)
    assert run_self(settings, "update", yes=True, dry_run=False) == 0
    assert capsys.readouterr().out.startswith("Run: ")
    monkeypatch.setattr(self_command, "installation", lambda: Installation((), ("no-such-tool",)))
    with pytest.raises(BadRequestError, match="no-such-tool was not found"):
        run_self(settings, "uninstall", yes=True, dry_run=False)
    with pytest.raises(BadRequestError, match="update, add, uninstall"):
        run_self(settings, "x", yes=True, dry_run=False)


def test_a_command_that_has_to_be_changed_first_is_printed_with_what_to_change(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Installation((("no-such-tool", "a.whl"),), ("no-such-tool",), note="name the newer file")
    monkeypatch.setattr(self_command, "installation", lambda: found)
    assert run_self(settings, "update", yes=True, dry_run=False) == 0
    assert capsys.readouterr().out == "Run: no-such-tool a.whl  # name the newer file\n"


def test_an_extra_is_added_here_and_to_the_engines_environment(
    settings: Settings, environment: Environment, capfd: pytest.CaptureFixture[str]
) -> None:
    environment.install({})
    engine = engine_folder(settings) / "bin" / "python"
    for python in (Path(environment.python), engine):
        python.parent.mkdir(parents=True)
        python.write_text(f"#!/bin/sh\necho '{python.parent.parent.name}' \"$@\"\n")
        python.chmod(0o755)
    assert run_self(settings, "add", ["sweep"], yes=False, dry_run=False) == 0
    assert capfd.readouterr().out.splitlines() == [
        "an environment -m pip install optuna>=4",
        f"{engine_folder(settings).name} -m pip install optuna>=4",
    ]
    assert run_self(settings, "add", ["mcp"], yes=False, dry_run=True) == 0
    assert capfd.readouterr().out.startswith(f"Run: '{environment.python}' -m pip install 'mcp>=2' && ")


def test_under_uvx_the_call_with_the_extra_is_printed(
    settings: Settings, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.move("archive-v0/x")
    environment.install(
        {"INSTALLER": "uv", "direct_url.json": '{"url": "file:///a.whl", "archive_info": {}}'}
    )
    assert run_self(settings, "add", ["sweep"], yes=False, dry_run=False) == 0
    assert capsys.readouterr().out == "Run: uvx --from '/a.whl[sweep]' arkor-dev\n"


@pytest.mark.parametrize("extras", [[], ["nosuch"], [""], ["dev"]])
def test_an_unknown_extra_is_refused_with_those_that_there_are(settings: Settings, extras: list[str]) -> None:
    with pytest.raises(BadRequestError, match=r"of local, gpu, .*mcp.*: arkor-dev self add gguf"):
        run_self(settings, "add", extras, yes=False, dry_run=False)
    with pytest.raises(BadRequestError, match="update` takes no extras"):
        run_self(settings, "update", ["gguf"], yes=False, dry_run=False)
