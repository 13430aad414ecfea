"""`arkor-dev self`: the installer's own command is run, or printed where it is for a person."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from arkor_dev.cli.commands import self_command
from arkor_dev.cli.commands.self_command import run_self
from arkor_dev.contract.errors import BadRequestError
from arkor_dev.core.upgrade import Installation
from arkor_dev.identity.engine import FOLDER
from tests.support.processes import script

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings


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
    with pytest.raises(BadRequestError, match="update, uninstall"):
        run_self(settings, "x", yes=True, dry_run=False)
