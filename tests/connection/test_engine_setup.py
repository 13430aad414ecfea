"""The engine installed from the page: lines of `arkor-dev setup` become states, and nothing outlives it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.connection import engine_setup
from arkor_dev.connection.engine_setup import EngineSetupService
from arkor_dev.contract.errors import ConflictError
from tests.support.processes import script
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.core.settings import Settings

SETUP = """
import json, os, sys, time
def say(**said): print(json.dumps(said), flush=True)
say(step="looking")
say(step="plan", folder="/e", free=9, pytorch="9", fetch=2, disk=3, words=["PyTorch 9."])
if "--dry-run" in sys.argv: sys.exit(0)
say(step="progress", seconds=1.0, fetched=1, unpacked=0, now="torch")
open("pid", "w").write(str(os.getpid()))
while os.path.exists("wait"): time.sleep(0.01)
if os.path.exists("broken"): sys.exit("arkor-dev: No matching distribution found for late")
open("engine", "w").close()
say(step="installed", folder="/e", bytes=3, seconds=1.0)
"""


@pytest.fixture
def service(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineSetupService:
    settings.home.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(
        engine_setup, "missing_extra", lambda _: None if (settings.home / "engine").exists() else "missing"
    )
    return EngineSetupService(settings, [str(script(tmp_path / "setup.py", SETUP))])


async def reached(service: EngineSetupService, state: str, *, progress: bool = False) -> dict[str, Any]:
    """Wait until the service is in that state, with ``progress`` if needed; return what the page gets."""
    async with asyncio.timeout(60):
        while (shown := await service.view())["state"] != state or (  # noqa: ASYNC110
            progress and not shown["progress"]
        ):
            await asyncio.sleep(0.01)
    return dict(shown)


async def test_setup_is_planned_installed_cancelled_and_continued(
    service: EngineSetupService, settings: Settings
) -> None:
    assert await service.view() == {
        "state": "missing", "next": engine_setup.AFTERWARDS, "plan": None, "progress": None, "error": None,
    }  # fmt: skip
    await service.start(install=False)
    plan = (await reached(service, "planned"))["plan"]
    assert plan == {"folder": "/e", "free": 9, "pytorch": "9", "fetch": 2, "disk": 3, "words": ["PyTorch 9."]}

    (settings.home / "wait").touch()
    await service.start(install=True)
    with pytest.raises(ConflictError, match="running already"):
        await service.start(install=True)
    await until(lambda: bool((settings.home / "pid").exists() and (settings.home / "pid").read_text()))
    shown = await reached(service, "installing", progress=True)
    assert shown["progress"] == {"seconds": 1.0, "fetched": 1, "unpacked": 0, "now": "torch"}
    await service.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((settings.home / "pid").read_text()), 0)
    assert (await service.view())["state"] == "planned"

    (settings.home / "wait").unlink()
    (settings.home / "broken").touch()
    await service.start(install=True)
    assert (await reached(service, "failed"))["error"] == "No matching distribution found for late"
    (settings.home / "broken").unlink()
    await service.start(install=True)
    assert (await reached(service, "installed"))["error"] is None
    await service.close()


async def test_errors_of_the_setup_command_are_shown(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.home.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(engine_setup, "missing_extra", lambda _: "missing")
    service = EngineSetupService(settings, [*engine_setup.COMMAND, "--no-such-option"])
    await service.start(install=True)
    assert "--no-such-option" in (await reached(service, "failed"))["error"]


async def test_nothing_is_offered_here_when_another_machine_trains(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_setup, "missing_extra", lambda _: "missing")
    assert (await EngineSetupService(settings).view())["state"] == "missing"
    over_ssh = replace(settings, local=True, ssh="gpu-box")
    assert (await EngineSetupService(over_ssh).view())["state"] == "installed"
