"""``arkor-dev jobs``: what there is, in words and as JSON, and the end of the one that is meant."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.cli import main as cli
from arkor_dev.local.jobs.store import Store, Verdict

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend

CONFIG = {"model": "m", "datasetSource": {"type": "file", "path": "d"}}


class Command:
    """``arkor-dev jobs`` or ``local`` in this process, on the test's project and backend."""

    def __init__(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        self._settings = settings
        self._capsys = capsys

    async def run(self, code: int, command: str, *more: str) -> str:
        """What it prints, on standard error when it fails; ``code`` has to be its exit code."""
        arguments = [command, "--project", str(self._settings.project), *more]
        assert await asyncio.to_thread(cli.main, arguments) == code
        out, err = self._capsys.readouterr()
        return err if code == 2 else out


@pytest.fixture
def command(
    settings: Settings,
    fake_backend: FakeBackend,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    monkeypatch.setenv("ARKOR_CLOUD_API_URL", fake_backend.url)
    return Command(settings, capsys)


async def test_jobs_are_listed_the_newest_first(
    command: Command, signed_in: None, fake_backend: FakeBackend
) -> None:
    assert await command.run(0, "jobs") == "No job has run yet.\n"
    said: dict[str, Any] = {"tags": ["a", "b\x1b[31m"], "starred": True}
    old = fake_backend.add_job("completed", name="old", createdAt="2026-01-01T00:00:00Z", **said)
    place = {"position": 1, "behind": None, "held": True}
    hostile = "\x1b[31mnew\u202e\nline"
    new = fake_backend.add_job("queued", name=hostile, createdAt="2026-01-02T00:00:00Z", queue=place)
    head, first, second = (await command.run(0, "jobs")).splitlines()
    assert head.split() == ["STATUS", "CREATED", "ID", "NAME"]
    assert first.split()[:3] == ["queued", "1", "(held)"]
    assert first.endswith(f"{new}  new line")
    assert second.startswith("completed  ")
    assert second.endswith(f"{old}  * old  [a, b]")
    listed = json.loads(await command.run(0, "jobs", "--json"))["jobs"]
    assert listed == [fake_backend.jobs[new], fake_backend.jobs[old]]


async def test_the_job_that_is_meant_is_cancelled(
    command: Command, signed_in: None, fake_backend: FakeBackend
) -> None:
    for number, job_id in enumerate(("job_aa1", "job_aa2", "job_b")):
        fake_backend.add_job(id=job_id, name=job_id[4:], createdAt=f"2026-01-0{number + 1}T00:00:00Z")

    def statuses() -> list[str]:
        return [job["status"] for job in fake_backend.jobs.values()]

    refused = await command.run(2, "jobs", "cancel", "job_aa")
    assert "job_aa2, job_aa1. Give more of the id" in refused
    assert "There is no job nope" in await command.run(2, "jobs", "cancel", "nope")
    assert "Say which job" in await command.run(2, "jobs", "cancel")
    assert "unknown action stop" in await command.run(2, "jobs", "stop")
    assert statuses() == ["running"] * 3
    assert await command.run(0, "jobs", "cancel", "job_aa1") == "job_aa1 (aa1) is cancelled.\n"
    assert statuses() == ["cancelled", "running", "running"]
    assert await command.run(0, "jobs", "cancel", "latest") == "job_b (b) is cancelled.\n"
    answer = json.loads(await command.run(0, "jobs", "cancel", "job_aa2", "--json"))
    assert answer["job"]["status"] == "cancelled"
    again = await command.run(0, "jobs", "cancel", "job_b")
    assert again == "job_b (b) is cancelled already: nothing was cancelled.\n"
    assert fake_backend.count("POST /v1/jobs/{id}/cancel") == 3


async def test_to_look_makes_no_identity(
    command: Command, settings: Settings, fake_backend: FakeBackend
) -> None:
    assert "add --local" in await command.run(2, "jobs")
    assert fake_backend.requests == []
    assert not (settings.arkor_home / "credentials.json").exists()


async def test_to_look_at_this_machine_s_jobs_starts_none(command: Command, settings: Settings) -> None:
    settings.local_data.mkdir(parents=True)
    store = Store(settings.local_data / "backend.sqlite", "local")
    waiting, done = store.create("waiting", CONFIG)["id"], store.create("done", CONFIG)["id"]
    store.finish(done, Verdict("completed", {}))
    store.close()
    for _ in range(2):
        listed = json.loads(await command.run(0, "jobs", "--local", "--json"))["jobs"]
        assert {job["id"]: job["status"] for job in listed} == {waiting: "queued", done: "completed"}
    assert "is cancelled." in await command.run(0, "jobs", "cancel", waiting[:10], "--local")
    listed = json.loads(await command.run(0, "jobs", "--local", "--json"))["jobs"]
    assert {job["status"] for job in listed} == {"cancelled", "completed"}
