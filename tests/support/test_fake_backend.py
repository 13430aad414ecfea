"""The fake backend does what the other tests take for granted; nothing of the product is used here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import pytest

from .fake_backend import ORG, PROJECT, TOKEN, FakeBackend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HEADERS = {"Authorization": f"Bearer {TOKEN}", "X-Arkor-Client": "test/1.0"}
ASK = {"messages": [{"role": "user", "content": "hi"}], "baseModel": "tiny"}
SCOPE = {"orgSlug": ORG, "projectSlug": PROJECT}


@pytest.fixture
async def session(fake_backend: FakeBackend) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(fake_backend.url, headers=HEADERS) as session:
        yield session


async def test_the_fake_checks_token_client_and_scope(
    fake_backend: FakeBackend, session: aiohttp.ClientSession
) -> None:
    async def status(headers: dict[str, str], query: dict[str, str]) -> int:
        async with aiohttp.request(
            "GET", f"{fake_backend.url}/v1/jobs", headers=headers, params=query
        ) as answer:
            return answer.status

    assert await status(HEADERS, SCOPE) == 200
    assert await status({"X-Arkor-Client": "test/1.0"}, SCOPE) == 401
    assert await status({**HEADERS, "Authorization": "Bearer other"}, SCOPE) == 401
    assert await status({"Authorization": HEADERS["Authorization"]}, SCOPE) == 426
    assert await status(HEADERS, {}) == 400
    assert await status(HEADERS, {**SCOPE, "orgSlug": "other"}) == 403
    assert await status(HEADERS, {**SCOPE, "projectSlug": "other"}) == 404
    assert fake_backend.count("GET /v1/jobs") == 7


async def test_a_stream_replays_resumes_and_ends(
    fake_backend: FakeBackend, session: aiohttp.ClientSession
) -> None:
    job = fake_backend.add_job()
    second = fake_backend.log(job, 1, loss=2.0)
    fake_backend.log(job, 2, loss=1.0)
    url = f"/v1/jobs/{job}/events/stream"
    async with session.get(url, params=SCOPE) as answer:
        replay = await answer.content.readuntil(b"id: 3")
        assert replay.count(b"\nevent: ") == 2
        fake_backend.finish(job)
        rest = await answer.content.read()
        assert rest.endswith(b"event: end\ndata: {}\n\n")
    async with session.get(url, params=SCOPE, headers={"Last-Event-ID": second}) as answer:
        resumed = await answer.content.read()
    assert resumed.startswith(b"id: 3\n")
    assert fake_backend.count("GET /v1/jobs/{id}/events/stream") == 2


async def test_a_silent_stream_pings(fake_backend: FakeBackend, session: aiohttp.ClientSession) -> None:
    fake_backend.ping_every = 0.01
    job = fake_backend.add_job()
    async with session.get(f"/v1/jobs/{job}/events/stream", params=SCOPE) as answer:
        assert b"event: ping\n" in await answer.content.readuntil(b"event: ping\n")


async def test_the_fake_notices_a_disconnected_chat_client(
    fake_backend: FakeBackend, session: aiohttp.ClientSession
) -> None:
    fake_backend.chat.endless, fake_backend.chat.delay = True, 0.01
    async with session.post("/v1/inference/chat", params=SCOPE, json=ASK) as answer:
        assert await answer.content.readuntil(b"\n\n")
        assert fake_backend.active["POST /v1/inference/chat"] == 1
        assert fake_backend.chat.left_at is None
        answer.close()
    await fake_backend.until(lambda: fake_backend.chat.left_at is not None)
    await fake_backend.until(lambda: fake_backend.active["POST /v1/inference/chat"] == 0)


async def test_a_stopped_fake_refuses_and_restarts_with_its_log(
    fake_backend: FakeBackend, session: aiohttp.ClientSession
) -> None:
    job = fake_backend.add_job()
    url = f"/v1/jobs/{job}/events/stream"
    async with session.get(url, params=SCOPE) as answer:
        await answer.content.readuntil(b"\n\n")
        await fake_backend.stop()
        with pytest.raises(aiohttp.ClientError):
            await answer.content.readuntil(b"never")
    with pytest.raises(aiohttp.ClientConnectorError):
        await session.get("/v1/me")
    await fake_backend.start()
    fake_backend.finish(job)
    async with session.get(url, params=SCOPE) as answer:
        assert (await answer.content.read()).count(b"\nevent: training.") == 2


@pytest.mark.parametrize("limit", [0, 7, 20])
async def test_streams_are_cut_at_the_byte(
    fake_backend: FakeBackend, session: aiohttp.ClientSession, limit: int
) -> None:
    job = fake_backend.add_job()
    fake_backend.fault("GET /v1/jobs/{id}/events/stream", cut_after=limit)
    got = b""
    async with session.get(f"/v1/jobs/{job}/events/stream", params=SCOPE) as answer:
        try:
            async for piece in answer.content.iter_any():
                got += piece
        except aiohttp.ClientError:
            pass
        else:
            pytest.fail("the stream ended properly")
    assert len(got) == limit


async def test_faults_end_after_their_count(
    fake_backend: FakeBackend, session: aiohttp.ClientSession
) -> None:
    fake_backend.fault("GET /v1/me", times=2, status=503)
    fake_backend.fault("*", times=1, status=426)
    statuses = []
    for _ in range(4):
        async with session.get("/v1/me") as answer:
            statuses.append(answer.status)
    assert statuses == [503, 503, 426, 200]


async def test_garbage_floods_and_silence_are_simulated(
    fake_backend: FakeBackend, session: aiohttp.ClientSession
) -> None:
    fake_backend.fault("GET /v1/me", times=1, garbage=b"\x00\xffno http\r\n\r\n")
    with pytest.raises(aiohttp.ClientError):
        await session.get("/v1/me")
    fake_backend.fault("GET /v1/me", times=1, flood=200_000)
    async with session.get("/v1/me") as answer:
        assert len(await answer.read()) == 200_000
    fake_backend.fault("GET /v1/me", times=1, hang=True)
    with pytest.raises(TimeoutError):
        await session.get("/v1/me", timeout=aiohttp.ClientTimeout(total=0.05))
    fake_backend.fault("GET /v1/me", times=1, stall_after=5)
    async with session.get("/v1/me") as answer:
        assert len(await answer.content.readexactly(5)) == 5
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await answer.content.readany()


async def test_deployments_and_keys_are_created_and_deleted(session: aiohttp.ClientSession) -> None:
    async def call(method: str, path: str, **body: object) -> tuple[int, dict[str, object]]:
        async with session.request(method, f"/v1/endpoints{path}", params=SCOPE, json=body or None) as answer:
            return answer.status, (await answer.json() if answer.status != 204 else {})

    target = {"kind": "base_model", "baseModel": "tiny"}
    status, made = await call("POST", "", slug="one", target=target, authMode="none")
    assert status == 201
    assert isinstance(made["deployment"], dict)
    path = f"/{made['deployment']['id']}"
    assert (await call("POST", "", slug="one", target=target, authMode="none"))[0] == 409
    status, key = await call("POST", f"{path}/keys", label=" a ")
    assert isinstance(key["key"], dict)
    assert key["key"]["plaintext"]
    _, listed = await call("GET", f"{path}/keys")
    assert listed == {"keys": [{name: value for name, value in key["key"].items() if name != "plaintext"}]}
    assert (await call("DELETE", f"{path}/keys/{key['key']['id']}"))[0] == 204
    listed["keys"][0]["enabled"] = False  # type: ignore[index]
    assert (await call("GET", f"{path}/keys"))[1] == listed
    assert (await call("PATCH", path, enabled=False))[1]["deployment"] == {
        **made["deployment"],
        "enabled": False,
    }
    assert (await call("DELETE", path))[0] == 204
    assert (await call("GET", path))[0] == 404
