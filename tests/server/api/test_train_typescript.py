"""``POST /api/train`` in a TypeScript project: what the page shows is what is built and run."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.project import typescript
from tests.support.in_ci import others_in_ci
from tests.support.studio import running_studio
from tests.support.typescript_projects import LAYOUTS, TypeScriptProject, lay_out, trainer
from tests.support.waiting import until

from .test_train import runs, train

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio
    from tests.support.typescript_projects import Layout


@pytest.fixture
async def studio(
    settings: Settings, typescript_project: TypeScriptProject, fake_backend: FakeBackend
) -> AsyncIterator[Studio]:
    """A Studio on the TypeScript project."""
    fake_backend.sign_in(settings.arkor_home, typescript_project.path)
    async with running_studio(replace(settings, project=typescript_project.path)) as studio:
        yield studio


async def manifest(studio: Studio) -> dict[str, Any]:
    """``GET /api/manifest``."""
    async with studio.session.get("/api/manifest") as answer:
        assert answer.status == 200, await answer.text()
        return dict(await answer.json())


async def refusal(studio: Studio, **body: object) -> tuple[int, dict[str, Any]]:
    """Status and answer of a ``POST /api/train`` that starts nothing."""
    async with studio.session.post("/api/train", json=body) as answer:
        assert answer.status >= 400, await answer.text()
        return answer.status, dict(await answer.json())


async def test_an_edited_trainer_is_started_under_its_new_name_only(
    studio: Studio, typescript_project: TypeScriptProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its maker hears of the starts alone: `arkor` tells it of each call, and waits for that."""
    for name in ("DO_NOT_TRACK", "ARKOR_TELEMETRY_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    typescript_project.write(trainer("one"))
    assert (await manifest(studio))["trainer"] == {"name": "one"}
    assert b"Started job job-one\n" in (await train(studio))[1]
    typescript_project.write(trainer("two"))
    status, answer = await refusal(studio, trainer="one")
    assert status == 409
    assert '"two"' in answer["error"]
    assert (await manifest(studio))["trainer"] == {"name": "two"}
    assert [run["trainer"] for run in await runs(studio)] == ["one"]
    assert b"Started job job-two\n" in (await train(studio, trainer="two"))[1]
    calls = typescript_project.calls()
    assert [call for call in calls if call != "build"] == ["start", "start"]
    assert (typescript_project.path / ".arkor" / "telemetry").read_text() == "start\n" * 2


async def test_the_shown_trainer_is_started(studio: Studio, typescript_project: TypeScriptProject) -> None:
    """`arkor` may also be a trainer itself, and then goes before `trainer`."""
    made = 'import { createTrainer } from "arkor";\nconst model = "smollm2-135m-instruct";\n'
    exports = ("arkor", "trainer")
    typescript_project.write(
        made
        + "".join(
            f'export const {name} = createTrainer({{ name: "as {name}", model }});\n' for name in exports
        )
    )
    assert (await manifest(studio))["trainer"] == {"name": "as arkor"}
    assert b"Started job job-as arkor\n" in (await train(studio))[1]


async def test_a_project_that_cannot_be_started_says_why(
    studio: Studio, typescript_project: TypeScriptProject
) -> None:
    typescript_project.write("export const x y = 1;\n")
    status, answer = await refusal(studio)
    assert status == 400
    assert 'src/arkor/index.ts:1:15: Expected ";" but found "y"' in answer["error"]
    typescript_project.write("export const other = 1;\n")
    assert (await manifest(studio))["trainers"] == []
    status, answer = await refusal(studio)
    assert status == 400
    assert "src/arkor/index.ts exports no trainer" in answer["error"]
    assert "arkor.toml" not in answer["error"]
    typescript_project.write('import "./missing";\n', "other.ts")
    status, answer = await refusal(studio, file="other.ts")
    assert status == 400
    assert 'other.ts:1:7: Could not resolve "./missing"' in answer["error"]
    assert await runs(studio) == []
    assert "start" not in typescript_project.calls()


async def test_running_a_file_does_not_affect_the_next_run(
    studio: Studio, typescript_project: TypeScriptProject
) -> None:
    typescript_project.write(trainer("one"))
    typescript_project.write(trainer("other"), "src/arkor/other.ts")
    assert b"Started job job-other\n" in (await train(studio, file="src/arkor/other.ts"))[1]
    assert (await manifest(studio))["trainer"] == {"name": "one"}
    assert b"Started job job-one\n" in (await train(studio))[1]


async def test_concurrent_starts_create_one_run(
    studio: Studio, typescript_project: TypeScriptProject
) -> None:
    typescript_project.write(
        trainer("one").replace("export", "await new Promise((r) => setTimeout(r, 500)); export")
    )

    async def press() -> int:
        async with studio.session.post("/api/train", json={}) as answer:
            await answer.read()
            return answer.status

    assert sorted(await asyncio.gather(press(), press())) == [200, 409]
    assert len(await runs(studio)) == 1


async def test_builds_and_starts_are_serialized(
    studio: Studio, typescript_project: TypeScriptProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a bundle is on the disk for a while, and nobody reads it: neither a run nor a second Studio."""
    monkeypatch.setenv("ARKOR_TEST_SLOW_WRITE", "300")
    typescript_project.write(trainer("one"))
    stop = asyncio.Event()
    read = 0

    async def watch(studio: Studio) -> None:
        nonlocal read
        while not stop.is_set():
            assert (await manifest(studio))["trainer"] == {"name": "one"}
            read += 1

    async with running_studio(studio.settings) as second:
        watching = [asyncio.create_task(watch(each)) for each in (studio, second)]
        try:
            _, printed = await train(studio)
            assert b"Started job job-one\n" in printed, printed.decode()
            assert printed.endswith(b"exit=0\n")
        finally:
            stop.set()
            await asyncio.gather(*watching)
    assert read >= 2


async def test_the_manifest_does_not_wait_for_a_slow_start(
    studio: Studio, typescript_project: TypeScriptProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typescript, "START_SECONDS", 600)  # never reached: a start releases its lock
    slow = "await new Promise((go) => setTimeout(go, process.argv[2] === 'start' ? 6e5 : 0));\n"
    typescript_project.write(slow + trainer("one"))
    async with studio.session.post("/api/train", json={}) as answer:
        assert answer.status == 200
        await until(lambda: "start" in typescript_project.calls(), 60)
        async with asyncio.timeout(30):
            assert (await manifest(studio))["trainer"] == {"name": "one"}
        assert typescript_project.calls() == ["build", "start"]


# npm's is that of every other project here.
@pytest.mark.parametrize("layout", others_in_ci(layout for layout in LAYOUTS if layout != "npm"))
async def test_each_layout_is_read_and_run(
    layout: Layout, settings: Settings, arkor_package: Path, node_on_path: None, tmp_path: Path,
    fake_backend: FakeBackend,
) -> None:  # fmt: skip
    project = lay_out(layout, tmp_path / layout, arkor_package)
    project.write(trainer("bot"))
    fake_backend.sign_in(settings.arkor_home, project.path)
    async with running_studio(replace(settings, project=project.path)) as studio:
        assert (await manifest(studio))["trainer"] == {"name": "bot"}
        _, printed = await train(studio)
        assert b"Started job job-bot\n" in printed
        (run,) = await runs(studio)
        assert run["command"] == [str(project.repository / "node_modules" / ".bin" / "arkor"), "start"]
    assert project.calls() == ["build", "build", "start"]


async def test_an_expired_login_is_renewed_before_a_run(
    settings: Settings, typescript_project: TypeScriptProject, fake_backend: FakeBackend
) -> None:
    typescript_project.write(trainer("one"))
    fake_backend.refresh_tokens.add("old-refresh-token")
    settings.arkor_home.mkdir(parents=True, exist_ok=True)
    account = {
        "mode": "oauth", "accessToken": "expired-token-0123456789-OLD", "refreshToken": "old-refresh-token",
        "expiresAt": int(time.time()) - 60, "auth0Domain": f"127.0.0.1:{fake_backend.port}",
        "audience": "a", "clientId": "cli",
    }  # fmt: skip
    (settings.arkor_home / "credentials.json").write_text(json.dumps(account))
    async with running_studio(replace(settings, project=typescript_project.path)) as studio:
        _, printed = await train(studio)
        assert b"token ends in" in printed
        assert b"token ends in -OLD" not in printed
        fake_backend.refresh_tokens.clear()
        account["expiresAt"] = 1
        (settings.arkor_home / "credentials.json").write_text(json.dumps(account))
        status, answer = await refusal(studio)
        assert (status, "arkor-dev login" in answer["error"]) == (401, True)
        assert len(await runs(studio)) == 1
