"""A stream with nothing to send is kept alive, whatever else the store is busy with."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from arkor_dev.local.jobs.async_store import ChangeSignal
from arkor_dev.local.server import event_stream
from arkor_dev.local.server.event_stream import stream_events

if TYPE_CHECKING:
    import pytest


async def test_the_stream_of_a_queued_job_is_pinged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "PING_SECONDS", 0.2)
    pulse = ChangeSignal()

    async def read(*_: object) -> tuple[bool, list[Any]]:
        return False, []

    store = SimpleNamespace(pulse=pulse, read=read, trouble=None)

    async def handler(request: web.Request) -> web.StreamResponse:
        return await stream_events(request, cast("Any", store), "job_1")

    async def others() -> None:
        while True:
            pulse.beat()
            await asyncio.sleep(0.02)

    app = web.Application()
    app.router.add_get("/", handler)
    async with TestClient(TestServer(app)) as client, client.get("/") as answer:
        busy = asyncio.create_task(others())
        async with asyncio.timeout(10):
            for trouble in (None, "The disk is full"):
                store.trouble = trouble
                ping = await answer.content.readuntil(b"\n\n")
                assert b"event: ping\n" in ping
                assert (b"The disk is full" in ping) is (trouble is not None)
        busy.cancel()
