"""``arkor-dev serve``: one endpoint, made where it is not there, and nothing else on that port."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from arkor_dev.cli.commands import serve
from arkor_dev.client.endpoints import slug_of
from arkor_dev.connection.connect import connected
from tests.cli.commands.test_jobs import Command, command
from tests.support.commands import start_command
from tests.support.ports import held_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend

__all__ = ["command"]

ASK = {"messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture
def serves(fake_backend: FakeBackend, signed_in: None) -> FakeBackend:
    """A backend whose deployments are served through Studio."""
    del signed_in
    fake_backend.features = ["endpoints", "serving"]
    return fake_backend


def add(fake: FakeBackend, slug: str, **more: Any) -> None:
    target = {"kind": "base_model", "baseModel": "tiny"}
    usual = {"id": slug, "slug": slug, "target": target, "authMode": "none", "enabled": True}
    fake.deployments[slug] = {**usual, **more}
    fake.keys[slug] = {}


@asynccontextmanager
async def served(settings: Settings, fake: FakeBackend, *arguments: str) -> AsyncIterator[tuple[str, str]]:
    """Run the command; answers what it says and its address. It has to end well when it is told to."""
    with held_ports() as take:
        port = take()
        process = await start_command(
            "serve", *arguments, "--project", str(settings.project), "--port", str(port),
            env={**os.environ, "ARKOR_CLOUD_API_URL": fake.url}, stderr=None,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            async with asyncio.timeout(60):
                said = "".join([(await process.stdout.readline()).decode() for _ in range(3)])
            assert process.returncode is None, said
            yield said, f"http://localhost:{port}"
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 60) == 0


async def status(url: str, **headers: str) -> int:
    async with aiohttp.ClientSession() as session, session.post(url, json=ASK, headers=headers) as answer:
        await answer.read()
        return answer.status


async def test_serve_serves_one_endpoint_only(settings: Settings, serves: FakeBackend) -> None:
    add(serves, "bot")
    add(serves, "other")
    async with served(settings, serves, "bot") as (said, origin):
        assert f"Serving {origin}/e/bot/v1 (model bot)" in said
        assert "Any program on this machine can call it" in said
        assert await status(f"{origin}/e/bot/v1/chat/completions") == 200
        assert await status(f"{origin}/e/other/v1/chat/completions") == 404
        assert await status(f"{origin}/e/bot/v1/chat/completions", Origin="http://evil.example") == 403
        async with aiohttp.ClientSession(origin) as session:
            for path in ("/", "/index.html", "/api/jobs", "/api/credentials"):
                async with session.get(path) as answer:
                    assert (path, answer.status) == (path, 404)
                    assert answer.headers["X-Content-Type-Options"] == "nosniff"
            async with session.get("/e/bot/v1/models", headers={"Host": "evil.example"}) as answer:
                assert answer.status == 403
    assert len(serves.serving.asked) == 1


async def test_serving_a_job_creates_an_endpoint_with_a_key(settings: Settings, serves: FakeBackend) -> None:
    job = serves.add_job("completed", name="Support Bot!")
    add(serves, "support-bot")
    async with served(settings, serves, job) as (said, origin):
        key = re.search(r"shown only once: (\S+)", said)
        assert key
        url = f"{origin}/e/support-bot-2/v1/chat/completions"
        assert await status(url) == 401
        assert await status(url, Authorization=f"Bearer {key[1]}") == 200
    made = next(each for each in serves.deployments.values() if each["slug"] == "support-bot-2")
    assert made["target"] == {"kind": "adapter", "adapter": {"kind": "final", "jobId": job}}
    async with served(settings, serves, "latest") as (said, origin):
        assert "support-bot-2" in said
        assert "Callers need one of its API keys." in said
    assert len(serves.deployments) == 2


async def test_an_open_endpoint_needs_the_option(settings: Settings, serves: FakeBackend) -> None:
    serves.add_job("completed", name="bot")
    async with served(settings, serves, "latest", "--open") as (said, origin):
        assert "Any program on this machine can call it" in said
        assert await status(f"{origin}/e/bot/v1/chat/completions") == 200


async def test_unservable_endpoints_are_refused(command: Command, serves: FakeBackend) -> None:
    add(serves, "off", enabled=False)
    add(serves, "locked", authMode="fixed_api_key")
    assert "Name what to serve" in await command.run(2, "serve")
    for name, said in (("off", "is off"), ("nothing", "There is no endpoint nothing")):
        assert said in await command.run(2, "serve", name)
    serves.features = []
    assert "add --local" in await command.run(2, "serve", "off")


async def test_serving_a_job_without_adapter_is_refused(command: Command, serves: FakeBackend) -> None:
    job = serves.add_job("running", name="bot")
    serves.serving.trouble[job] = "The job bot is running and has no final adapter"
    said = await command.run(2, "serve", "latest")
    assert "The job bot is running and has no final adapter. `arkor-dev jobs` lists the others." in said
    assert serves.deployments == {}
    add(serves, "old", target={"kind": "adapter", "adapter": {"kind": "final", "jobId": job}})
    assert "The endpoint old cannot answer: The job bot is running" in await command.run(2, "serve", "old")


async def test_failed_requests_are_printed(
    settings: Settings, serves: FakeBackend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(serve, "FAULTS_SECONDS", 0.01)
    add(serves, "bot")
    log = serves.serving.log.setdefault("bot", [])
    one = {"at": "2026-06-01T00:00:00Z", "status": 503, "error": "an old one"}
    log.insert(0, {**one, "id": "1"})
    ended = asyncio.Event()
    async with connected(settings, lambda _: None) as backend:
        watching = asyncio.create_task(serve._report_errors(backend, "bot", ended))
        await asyncio.sleep(0.2)
        log.insert(0, {**one, "id": "2", "status": 200, "error": None})
        for number in range(3, 9):  # said once
            log.insert(0, {**one, "id": str(number), "error": "out of\x1b[2Jmemory"})
        async with asyncio.timeout(60):
            while "answered 503" not in caplog.text:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        ended.set()
        await watching
    assert [record.getMessage() for record in caplog.records if "answered" in record.getMessage()] == [
        "a request was answered 503: out ofmemory"
    ]


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Support Bot!", "support-bot"),
        ("Größe", "gr-e"),
        ("🦊", "job-1"),
        ("a", "job-1"),
        ("x" * 80, "x" * 50),
        ("a" * 49 + "-b", "a" * 49),
    ],
)
def test_a_job_name_becomes_a_slug(name: str, slug: str) -> None:
    assert slug_of(name, "job_1") == slug
