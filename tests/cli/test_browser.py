"""Opening a browser: found, failing, missing, and never in this terminal."""

from __future__ import annotations

import ast
import os
import sys
from typing import TYPE_CHECKING

import pytest

from arkor_dev.cli import browser
from tests.support.processes import script

if TYPE_CHECKING:
    from pathlib import Path

ADDRESS = "http://127.0.0.1:1/a?b=c&d=%20"


@pytest.fixture(autouse=True)
def _no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each of these ends by itself: whether it has failed is known then, however late that is.
    monkeypatch.setattr(browser, "WAIT", 60.0)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(name, raising=False)


async def test_it_is_opened_and_may_not_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    seen = tmp_path / "seen"
    body = (
        "import os, sys\nprint('noise', flush=True)\n"
        f"open({str(seen)!r}, 'w').write(repr((sys.argv[1:], os.getsid(0))))"
    )
    monkeypatch.setenv("BROWSER", f"{script(tmp_path / 'browser', body)} %s")
    assert await browser.open_browser(ADDRESS)
    arguments, session = ast.literal_eval(seen.read_text())
    assert arguments == [ADDRESS]
    assert session != os.getsid(0)
    assert capfd.readouterr() == ("", "")


async def test_one_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER", f"{script(tmp_path / 'browser', 'raise SystemExit(1)')} %s")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert not await browser.open_browser(ADDRESS)


@pytest.mark.filterwarnings("ignore:subprocess [0-9]+ is still running:ResourceWarning")
async def test_one_that_stays_is_taken_to_be_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    over = tmp_path / "over"
    body = f"import os, time\nwhile not os.path.exists({str(over)!r}):\n    time.sleep(0.02)\n"
    monkeypatch.setenv("BROWSER", f"{script(tmp_path / 'browser', body)} %s")
    monkeypatch.setattr(browser, "WAIT", 0.1)
    try:
        assert await browser.open_browser(ADDRESS)
    finally:
        over.touch()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a desktop")
async def test_a_text_browser_does_not_take_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "w3m", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not await browser.open_browser(ADDRESS)
