"""Pieces of a stream: at once after a pause, together where they follow each other closely, and all there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from arkor_dev.server import gathered as module
from arkor_dev.server.gathered import FULL, gathered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pytest

    Writing = Callable[[web.StreamResponse], Awaitable[None]]


async def pieces_of(write: Writing) -> list[bytes]:
    """What is passed on of a response that ``write`` writes."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await write(response)
        return response

    app = web.Application()
    app.router.add_get("/", handler)
    found: list[bytes] = []
    async with TestServer(app) as server, aiohttp.request("GET", server.make_url("/")) as answer:
        pieces = gathered(answer.content)
        try:
            while piece := await anext(pieces, b""):
                found.append(piece)
        except aiohttp.ClientError:
            found.append(b"cut")
    return found


async def test_the_first_comes_at_once_and_what_follows_closely_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "APART", 0.3)

    async def write(response: web.StreamResponse) -> None:
        for number in range(50):
            await response.write(b"%d," % number)
            await asyncio.sleep(0)  # a pause, on a busy machine, might be as long as those that count
        await asyncio.sleep(0.7)
        await response.write(b"later")
        await asyncio.sleep(0.05)
        await response.write(b"x" * 2 * FULL)

    found = await pieces_of(write)
    assert b"".join(found) == b"".join(b"%d," % n for n in range(50)) + b"later" + b"x" * 2 * FULL
    assert found[0].startswith(b"0,")
    assert len(found[0]) < 100
    assert found[2] == b"later"
    assert len(found) < 10


async def test_of_a_stream_that_is_cut_what_was_read_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "APART", 0.3)

    async def write(response: web.StreamResponse) -> None:
        await response.write(b"first")
        await asyncio.sleep(0.05)
        await response.write(b"second")
        await asyncio.sleep(0.05)
        assert response._req
        assert response._req.transport
        response._req.transport.abort()

    assert await pieces_of(write) == [b"first", b"second", b"cut"]
