"""Attacks on endpoints, over bare sockets against a whole Studio: nothing is served, nothing is left running.

What only a browser can show is in ``tests/browser/test_endpoint_attacks.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import zlib
from typing import TYPE_CHECKING

from arkor_dev.contract.shapes import STUDIO_TOKEN_HEADER
from arkor_dev.server.endpoints import routes
from tests.server.security.test_guards import assert_safe
from tests.support.raw import exchange, read_answer
from tests.support.waiting import until

from .conftest import ASK

if TYPE_CHECKING:
    import pytest

    from .conftest import Served

BODY = json.dumps({**ASK, "model": "open"}).encode()
OPEN = "POST /e/open/v1/chat/completions HTTP/1.1"
KEYED_PATH = "POST /e/bot/v1/chat/completions"
KEYED = f"{KEYED_PATH} HTTP/1.1"
MODELS = "GET /e/open/v1/models HTTP/1.1"
PREFLIGHT = "OPTIONS /e/open/v1/chat/completions HTTP/1.1"
GIANT = b"180000\r\n" + b" " * 0x180000 + b"\r\n0\r\n\r\n"
JSON = "Content-Type: application/json"
FLOOD = 200


def request(
    *headers: str,
    line: str = OPEN,
    host: str | None = "127.0.0.1:4000",
    kind: str | None = JSON,
    body: bytes = BODY,
) -> bytes:
    """A request byte by byte as told; ``KEY`` and ``TOKEN`` in it are replaced."""
    lines = [line, *([] if host is None else [f"Host: {host}"]), *([] if kind is None else [kind]), *headers]
    length = (
        []
        if any(each.startswith(("Content-Length", "Transfer")) for each in headers)
        else [f"Content-Length: {len(body)}"]
    )
    return "\r\n".join([*lines, *length, "Connection: close", "", ""]).encode() + body


def get(line: str, *headers: str) -> bytes:
    """A request without a body."""
    return request(*headers, line=line, kind=None, body=b"")


def bearer(key: str, *more: str) -> bytes:
    return request(f"Authorization: {key}", *more, line=KEYED)


ATTACKS = {
    # A web page of somebody else, in a browser that says so.
    "another site": request("Origin: http://evil.example"),
    "another site, with a good key": bearer("Bearer KEY", "Origin: http://evil.example"),
    "another port of this machine": request("Origin: http://127.0.0.1:4001"),
    "our other name": request("Origin: http://localhost:4000"),
    "no port": request("Origin: http://127.0.0.1"),
    "https": request("Origin: https://127.0.0.1"),
    "a sandboxed frame": request("Origin: null"),
    "a file": request("Origin: file://"),
    "an extension": request("Origin: chrome-extension://abcdef"),
    "an empty origin": request("Origin:"),
    "two origins": request("Origin: http://127.0.0.1:4000", "Origin: http://evil.example"),
    "cross-site": request("Sec-Fetch-Site: cross-site"),
    "cross-site, with a good key": bearer("Bearer KEY", "Sec-Fetch-Site: cross-site"),
    "same-site": request("Sec-Fetch-Site: same-site"),
    "two sites": request("Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"),
    "a site in capitals": request("Sec-Fetch-Site: Cross-Site"),
    "an image of the models": get(MODELS, "Sec-Fetch-Site: cross-site"),
    "models for another site": get(MODELS, "Origin: http://evil.example"),
    "a preflight": get(
        PREFLIGHT, "Origin: http://evil.example", "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: content-type",
    ),
    "a preflight without an origin": get(PREFLIGHT, "Access-Control-Request-Method: POST"),
    "a preflight for a private network": get(
        PREFLIGHT, "Origin: http://evil.example", "Access-Control-Request-Private-Network: true"
    ),
    # What a page may send without asking: another type, whatever it holds.
    "a form": request(kind="Content-Type: application/x-www-form-urlencoded"),
    "plain text": request(kind="Content-Type: text/plain"),
    "plain text that names JSON": request(kind="Content-Type: text/plain; x=application/json"),
    "a form in parts": request(kind="Content-Type: multipart/form-data; boundary=x"),
    "no type": request(kind=None),
    "an empty type": request(kind="Content-Type:"),
    "a beacon": request(kind="Content-Type: text/plain;charset=UTF-8"),
    "JSON of another kind": request(kind="Content-Type: application/json-patch+json"),
    "JSON in UTF-16": request(kind="Content-Type: application/json; charset=utf-16"),
    # A name that was turned to this machine.
    "another host": request(host="evil.example"),
    "a rebound name on our port": request(host="evil.example:4000"),
    "no host": request(host=None),
    "two hosts": request("Host: evil.example"),
    "a subdomain of localhost": request(host="evil.localhost:4000"),
    "an address that means this machine": request(host="0.0.0.0:4000"),
    "IPv6": request(host="[::1]:4000"),
    "a forwarded host": request("X-Forwarded-Host: localhost", host="evil.example"),
    "an absolute target": request(line="POST http://localhost:4000/e/open/v1/chat/completions HTTP/1.1"),
    "a rebound name with a good key": request("Authorization: Bearer KEY", line=KEYED, host="evil.example"),
    # Keys.
    "no key": request(line=KEYED),
    "an empty key": bearer("Bearer "),
    "a key cut by one": bearer("Bearer CUT"),
    "a key with one more": bearer("Bearer KEYx"),
    "the shown part of a key": bearer("Bearer ak_1"),
    "a key in other letters": bearer("Bearer SWAPPED"),
    "two keys in one": bearer("Bearer KEY KEY"),
    "a key twice": bearer("Bearer KEY", "Authorization: Bearer KEY"),
    "a key of another scheme": bearer("Basic KEY"),
    "a key without a scheme": bearer("KEY"),
    "a key with a NUL": bearer("Bearer KEY\x01"),
    "a key that is not ASCII": bearer("Bearer KEY\u00e4"),
    "a key in quotes": bearer('Bearer "KEY"'),
    "a key as a cookie": request("Cookie: Authorization=KEY", line=KEYED),
    "a key in the query": request(line=f"{KEYED_PATH}?key=KEY&api_key=KEY HTTP/1.1"),
    "a key in the header between Studio and its backend": request("X-Arkor-Endpoint-Key: KEY", line=KEYED),
    "a key as api-key": request("api-key: KEY", line=KEYED),
    "the page's token as a key": bearer("Bearer TOKEN"),
    "the page's token in its header": request(f"{STUDIO_TOKEN_HEADER}: TOKEN", line=KEYED),
    "the page's token in the query": request(line=f"{KEYED_PATH}?studioToken=TOKEN HTTP/1.1"),
    "the backend's token": bearer("Bearer fake-backend-token-0123456789"),
    # Other ways to it.
    "an endpoint that is not there": request(line="POST /e/nobody/v1/chat/completions HTTP/1.1"),
    "its id for its name": request(line="POST /e/dep-1/v1/chat/completions HTTP/1.1"),
    "a name in capitals": request(line="POST /e/OPEN/v1/chat/completions HTTP/1.1"),
    "an encoded slash": request(line="POST /e%2fopen/v1/chat/completions HTTP/1.1"),
    "a slash within the name": request(line="POST /e/x%2fopen/v1/chat/completions HTTP/1.1"),
    "a doubled slash": request(line="POST //e/open/v1/chat/completions HTTP/1.1"),
    "dots for a name": request(line="POST /e/../v1/chat/completions HTTP/1.1"),
    "encoded dots for a name": request(line="POST /e/%2e%2e/v1/chat/completions HTTP/1.1"),
    "climbing out of the name": request(line="POST /e/..%2f..%2finference/v1/chat/completions HTTP/1.1"),
    "climbing to another call": request(line="POST /e/open/v1/..%2f..%2finference%2fchat HTTP/1.1"),
    "a method in the place of POST": request(line="PUT /e/open/v1/chat/completions HTTP/1.1"),
    "a method that overrides": get(
        "GET /e/open/v1/chat/completions HTTP/1.1", "X-HTTP-Method-Override: POST"
    ),
    "the API through an endpoint": request(line="POST /e/open/v1/../../../api/inference/chat HTTP/1.1"),
    # Bodies.
    "no JSON": request(body=b"{"),
    "no body": request(body=b""),
    "a list": request(body=b"[]"),
    "no messages": request(body=b'{"messages": []}'),
    "nothing but depth": request(body=b"[" * 100_000),
    "not a number": request(body=b'{"messages": [], "temperature": NaN}'),
    "a body that is announced as giant": request("Content-Length: 5000000000"),
    "a giant in pieces": request("Transfer-Encoding: chunked", body=GIANT),
    "a giant": request(body=b" " * (routes.BODY_LIMIT + 1)),
    "a bomb of gzip": request("Content-Encoding: gzip", body=gzip.compress(b" " * (64 << 20))),
    "a packed body": request("Content-Encoding: deflate", body=zlib.compress(BODY)),
    "a length and pieces": request("Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "two lengths": request("Content-Length: 5", "Content-Length: 6"),
    "an expectation": request("Expect: the-unexpected"),
}  # fmt: skip


def filled(sent: bytes, served: Served) -> bytes:
    key = served.key
    words = {"CUT": key[:-1], "SWAPPED": key.swapcase(), "KEY": key, "TOKEN": served.studio.token}
    for name, value in words.items():
        sent = sent.replace(name.encode(), value.encode())
    return sent


def test_there_are_at_least_60_attacks() -> None:
    assert len(ATTACKS) >= 60


async def test_every_attack_is_refused(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    for name, sent in ATTACKS.items():
        answer = await exchange(served.studio.port, filled(sent, served))
        assert 400 <= answer.status < 500, name
        assert_safe(answer)
        assert answer.header("cache-control") == "no-store", name
        assert served.fake.serving.asked == [], name
        told = str(answer.headers).encode() + answer.body
        for secret in (served.key, served.studio.token, "fake-backend-token"):
            assert secret.encode() not in told, name
        assert b"/tmp" not in told, name
        assert b"Hello" not in told, name
        assert not caplog.records, name
    answer = await exchange(served.studio.port, filled(request(), served))
    assert answer.status == 200, "so many wrong ones have not shut it"


async def test_valid_requests_are_served(served: Served) -> None:
    """Else the table above could be refused for a reason of its own."""
    for sent in (
        request(),
        request(kind="Content-Type: application/json; charset=UTF-8"),
        request("Origin: http://127.0.0.1:4000", "Sec-Fetch-Site: same-origin"),
        request(host="localhost:4000"),
        bearer("Bearer KEY"),
        bearer("bearer  KEY"),
    ):
        answer = await exchange(served.studio.port, filled(sent, served))
        assert answer.status == 200, sent
        assert b"Hello" in answer.body
        assert_safe(answer)
    assert len(served.fake.serving.asked) == 6


async def open_connection(served: Served, sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.studio.port)
    writer.write(sent)
    await writer.drain()
    return reader, writer


def active(served: Served) -> int:
    return served.fake.active["POST /v1/serve/{slug}/chat/completions"]


STREAM = request(body=json.dumps({**ASK, "stream": True}).encode())


async def test_disconnecting_ends_the_answer(served: Served) -> None:
    served.fake.serving.endless, served.fake.serving.delay = True, 0.01
    reader, writer = await open_connection(served, STREAM)
    await reader.readuntil(b"Hello")
    writer.transport.abort()
    await until(lambda: served.fake.serving.left == 1 and active(served) == 0)


async def test_disconnecting_before_the_answer_ends_it(served: Served) -> None:
    served.fake.serving.delay = 3600
    _, writer = await open_connection(served, request())
    await until(lambda: active(served) == 1)
    writer.transport.abort()
    await until(lambda: active(served) == 0)


async def test_a_client_that_does_not_read_is_disconnected(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "READ_SECONDS", 0.2)
    served.fake.serving.endless, served.fake.serving.chunks = True, ["x" * 100_000]
    _, writer = await open_connection(served, STREAM)
    await until(lambda: served.fake.serving.left == 1 and active(served) == 0)
    writer.transport.abort()


async def test_an_incomplete_request_is_not_forwarded(served: Served) -> None:
    _, writer = await open_connection(served, request()[:-5])
    async with asyncio.timeout(60):
        answer = await exchange(served.studio.port, request())
    assert answer.status == 200
    writer.transport.abort()
    await until(lambda: active(served) == 0)
    assert len(served.fake.serving.asked) == 1


async def test_a_flood_of_requests_is_answered_and_leaves_nothing_running(served: Served) -> None:
    """200 at once: all are answered, and Studio's own page is there meanwhile."""
    served.fake.serving.delay = 0.05
    flood = [asyncio.create_task(exchange(served.studio.port, request(), seconds=60)) for _ in range(FLOOD)]
    async with served.studio.session.get("/api/credentials") as answer:
        assert answer.status == 200
    assert {each.status for each in await asyncio.gather(*flood)} == {200}
    await until(lambda: active(served) == 0)
    assert len(served.fake.serving.asked) == FLOOD


async def test_a_disconnecting_flood_ends_its_answers(served: Served) -> None:
    served.fake.serving.endless, served.fake.serving.delay = True, 0.25
    flood = await asyncio.gather(*(open_connection(served, STREAM) for _ in range(FLOOD)))
    await until(lambda: active(served) == FLOOD, 30)
    for _, writer in flood:
        writer.transport.abort()
    await until(lambda: active(served) == 0, 30)
    answer = await exchange(served.studio.port, get(MODELS))
    assert answer.status == 200


async def test_silent_connections_do_not_block_others(served: Served) -> None:
    silent = [await asyncio.open_connection("127.0.0.1", served.studio.port) for _ in range(FLOOD)]
    answer = await exchange(served.studio.port, request())
    assert answer.status == 200
    for _, writer in silent:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_pipelined_requests_are_checked_separately(served: Served) -> None:
    """Two on one connection: the first is good, the second comes from another site."""
    first = request().replace(b"Connection: close", b"Connection: keep-alive")
    reader, writer = await open_connection(served, first + request("Origin: http://evil.example"))
    assert (await read_answer(reader)).status == 200
    assert (await read_answer(reader)).status == 403
    writer.close()
    assert len(served.fake.serving.asked) == 1
