"""What a launch says first."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING

from arkor_dev.cli.banner import banner

if TYPE_CHECKING:
    import pytest

    from arkor_dev.core.settings import Settings


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_it_says_when_the_port_has_moved(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    banner(settings, 4000)
    assert "taken" not in capsys.readouterr().err
    banner(settings, 4003)
    said = capsys.readouterr().err
    assert "Port 4000 is taken; using 4003, the next free one.\n" in said
    assert f"  Project  {settings.project}\n" in said
    assert "\x1b" not in said


def test_a_terminal_gets_styles_unless_it_wants_none(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stderr", screen := Screen())
    banner(settings, 4000)
    assert "\x1b[1mArkor Studio\x1b[0m" in screen.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stderr", screen := Screen())
    banner(settings, 4000)
    assert "\x1b" not in screen.getvalue()


def test_it_waits_for_no_library() -> None:
    code = "import sys, arkor_dev.cli.banner; sys.exit(bool({'rich', 'aiohttp'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
