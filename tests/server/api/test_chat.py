"""``POST /api/inference/chat``: the backend's answer, each piece at once, and nobody left behind."""

from __future__ import annotations

import asyncio
import io
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.support.fake_backend import TOKEN
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

ROUTE = "POST /v1/inference/chat"
ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "baseModel": "tiny"}
DONE = b"data: [DONE]\n\n"


def delta(text: str) -> bytes:
    return f"data: {json.dumps({'choices': [{'delta': {'content': text}}]})}\n\n".encode()


async def test_a_chat_stream_is_forwarded_unchanged(studio: Studio, fake_backend: FakeBackend) -> None:
    fake_backend.chat.chunks = ["He", "llo ☃", "\n\n", ""]
    fake_backend.headers = {"Deprecation": "true", "X-Own": "stays", "Warning": f"echo {TOKEN}"}
    asked = {**ASK, "temperature": 0.5, "someday": [1]}
    async with studio.session.post(
        "/api/inference/chat", json=asked, headers={"Accept-Encoding": "gzip, br"}
    ) as answer:
        body = await answer.read()
    assert body == b"".join(map(delta, fake_backend.chat.chunks)) + DONE
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Deprecation"] == "true"
    assert "Content-Encoding" not in answer.headers
    assert "X-Own" not in answer.headers
    assert TOKEN not in str(answer.headers)
    seen = fake_backend.last(ROUTE)
    assert seen.json() == asked
    assert seen.headers["Accept-Encoding"] == "identity"


async def test_chat_chunks_are_forwarded_immediately(studio: Studio, fake_backend: FakeBackend) -> None:
    """The model says the next only when the last one is here: who keeps it back never sees it."""
    fake_backend.chat.chunks, fake_backend.chat.turns = list("abcdef"), asyncio.Semaphore(0)
    async with asyncio.timeout(30), studio.session.post("/api/inference/chat", json=ASK) as answer:
        for text in "abcdef":
            fake_backend.chat.turns.release()
            assert await answer.content.readexactly(len(delta(text))) == delta(text)
        assert await answer.content.read() == DONE


async def test_response_headers_are_forwarded_before_the_first_chunk(
    studio: Studio, fake_backend: FakeBackend
) -> None:
    fake_backend.fault(ROUTE, times=1, stall_after=0)
    async with asyncio.timeout(30), studio.session.post("/api/inference/chat", json=ASK) as answer:
        assert answer.status == 200


async def test_a_long_conversation_is_forwarded_completely(studio: Studio, fake_backend: FakeBackend) -> None:
    asked = {**ASK, "messages": [{"role": "user", "content": "x" * (3 << 20)}]}
    body = io.BytesIO(json.dumps(asked).encode())
    async with studio.session.post("/api/inference/chat", data=body) as answer:
        assert (await answer.read()).endswith(DONE)
    assert fake_backend.last(ROUTE).json() == asked


async def test_a_chat_without_streaming_is_one_json_body(studio: Studio) -> None:
    async with studio.session.post("/api/inference/chat", json={**ASK, "stream": False}) as answer:
        assert answer.content_type == "application/json"
        assert (await answer.json())["choices"][0]["message"]["content"] == "Hello, world"


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 426, 429, 500, 503])
async def test_a_refused_chat_keeps_status_and_message(
    studio: Studio, fake_backend: FakeBackend, status: int
) -> None:
    fake_backend.fault(ROUTE, times=1, status=status, body=b'{"error": "No adapter.", "code": 7}')
    async with studio.session.post("/api/inference/chat", json=ASK) as answer:
        assert answer.status == status
        told = await answer.json()
    assert told["error"].startswith("No adapter.")
    assert told["code"] == 7


async def test_an_unreachable_backend_is_a_502(studio: Studio, fake_backend: FakeBackend) -> None:
    await fake_backend.stop()
    async with studio.session.post("/api/inference/chat", json=ASK) as answer:
        assert answer.status == 502
        assert f"127.0.0.1:{fake_backend.port}" in (await answer.json())["error"]


@pytest.mark.parametrize("cut", [0, 1, 5, 40, 55, 60])
async def test_a_cut_stream_ends_with_an_error_event(
    studio: Studio, fake_backend: FakeBackend, cut: int
) -> None:
    fake_backend.fault(ROUTE, times=1, cut_after=cut)
    async with studio.session.post("/api/inference/chat", json=ASK) as answer:
        frames = (await answer.read()).split(b"\n\n")
    whole = [frame for frame in frames if frame.startswith(b"data: {") and b"event: ping" not in frame]
    assert whole == [delta("Hello").strip()] * (cut >= len(delta("Hello")) - 1)
    assert frames[-2].startswith(b"event: error\ndata: ")
    assert "broke off" in json.loads(frames[-2].split(b"data: ")[1])["error"]
    # What there was of a frame is in one that no reader takes for text.
    assert all(b"\nevent: ping" in b"\n" + frame for frame in frames[len(whole) : -2] if frame)


async def test_a_truncated_json_answer_breaks_off(studio: Studio, fake_backend: FakeBackend) -> None:
    fake_backend.fault(ROUTE, times=1, cut_after=10)
    with pytest.raises(aiohttp.ClientError):
        async with studio.session.post("/api/inference/chat", json={**ASK, "stream": False}) as answer:
            await answer.read()


@pytest.mark.parametrize("began", [True, False])
async def test_closing_the_tab_ends_the_upstream_call(
    studio: Studio, fake_backend: FakeBackend, began: bool
) -> None:
    fake_backend.chat.endless, fake_backend.chat.delay = True, 0.02
    fake_backend.chat.first_delay = 0 if began else 60
    if began:
        async with studio.session.post("/api/inference/chat", json=ASK) as answer:
            await answer.content.readany()
            answer.close()
    else:
        asking = asyncio.create_task(studio.session.post("/api/inference/chat", json=ASK))
        await until(lambda: fake_backend.active[ROUTE])
        asking.cancel()
    left = asyncio.get_running_loop().time()
    await until(lambda: fake_backend.chat.left_at is not None, 30)
    assert fake_backend.chat.left_at is not None
    assert fake_backend.chat.left_at - left < 1
    await until(lambda: fake_backend.active[ROUTE] == 0)


async def test_a_tab_that_does_not_read_applies_backpressure(
    studio: Studio, fake_backend: FakeBackend
) -> None:
    fake_backend.chat.chunks, fake_backend.chat.endless = ["x" * 100_000], True
    reader, writer = await asyncio.open_connection("127.0.0.1", studio.port, limit=1024)
    body = json.dumps(ASK).encode()
    writer.write(
        b"POST /api/inference/chat HTTP/1.1\r\nHost: localhost\r\nX-Arkor-Studio-Token: "
        + studio.token.encode()
        + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
        + body
    )
    await reader.readuntil(b"\r\n\r\n")
    sent = -1
    async with asyncio.timeout(60):
        while sent != fake_backend.chat_bytes:
            sent = fake_backend.chat_bytes
            await asyncio.sleep(0.3)
    assert sent < 40 << 20
    writer.transport.abort()
    await until(lambda: fake_backend.active[ROUTE] == 0)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"{}", 400),
        (b'{"messages": "hi"}', 400),
        (b"\xff", 400),
        (b"[" * 100_000, 400),
        (b'{"messages": [' + b" " * (17 << 20) + b"]}", 413),
    ],
)
async def test_invalid_chat_bodies_are_not_forwarded(
    studio: Studio, fake_backend: FakeBackend, body: bytes, status: int
) -> None:
    async with studio.session.post("/api/inference/chat", data=io.BytesIO(body)) as answer:
        assert answer.status == status
        assert (await answer.json())["error"]
    assert fake_backend.count(ROUTE) == 0
