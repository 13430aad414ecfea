"""The guard: every attack of SECURITY.md on the way in, over bare sockets, against a whole Studio."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import web

from arkor_dev.contract.shapes import STUDIO_TOKEN_HEADER
from arkor_dev.server.api import envelope
from arkor_dev.server.app_keys import RUNS
from arkor_dev.server.security import http_protocol as protocol
from arkor_dev.server.security.guards import SECURITY_HEADERS, host_guard, split_host, token_guard
from arkor_dev.server.static_page import STATIC, load_assets
from tests.support.raw import RawAnswer, exchange, read_answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp.pytest_plugin import AiohttpClient

    from tests.support.fake_backend import FakeBackend
    from tests.support.studio import Studio

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")


def request_bytes(
    line: str = "GET / HTTP/1.1", *headers: str, host: str | None = "127.0.0.1:4000", body: bytes = b""
) -> bytes:
    """A request, byte by byte as told; without ``host`` there is no Host line but those in ``headers``."""
    hosts = [] if host is None else [f"Host: {host}"]
    length = [f"Content-Length: {len(body)}"] if body else []
    head = "\r\n".join([line, *hosts, *headers, *length, "Connection: close", "", ""])
    return head.encode() + body


ALLOWED = {
    "name": request_bytes(host="localhost"),
    "address": request_bytes(host="127.0.0.1"),
    "name and port": request_bytes(host="localhost:4000"),
    "forwarded by ssh to another port": request_bytes(host="127.0.0.1:65535"),
    "the lowest port": request_bytes(host="localhost:1"),
    "capitals": request_bytes(host="LocalHost:4000"),
    "a path of the page's own": request_bytes("GET /jobs/job-1 HTTP/1.1"),
    "forwarding headers that nobody reads": request_bytes("GET / HTTP/1.1", "X-Forwarded-Host: evil.example"),
}

ATTACKS = {
    # Whose name is asked for.
    "another host": request_bytes(host="evil.example"),
    "a rebound name on our port": request_bytes(host="evil.example:4000"),
    "no Host": request_bytes(host=None),
    "HTTP/1.0 without Host": request_bytes("GET / HTTP/1.0", host=None),
    "HTTP/0.9": b"GET /\r\n\r\n",
    "empty Host": request_bytes(host=""),
    "Host twice": request_bytes("GET / HTTP/1.1", "Host: 127.0.0.1:4000"),
    "Host twice, the second evil": request_bytes("GET / HTTP/1.1", "Host: evil.example"),
    "Host twice, the first evil": request_bytes("GET / HTTP/1.1", "Host: localhost", host="evil.example"),
    "a list of hosts": request_bytes(host="localhost, evil.example"),
    "X-Forwarded-Host": request_bytes("GET / HTTP/1.1", "X-Forwarded-Host: localhost", host="evil.example"),
    "Forwarded": request_bytes("GET / HTTP/1.1", "Forwarded: host=localhost", host="evil.example"),
    "userinfo": request_bytes(host="localhost@evil.example"),
    "userinfo before our name": request_bytes(host="evil@localhost:4000"),
    "127.1": request_bytes(host="127.1:4000"),
    "127.0.0.2": request_bytes(host="127.0.0.2:4000"),
    "0.0.0.0": request_bytes(host="0.0.0.0:4000"),  # noqa: S104
    "decimal address": request_bytes(host="2130706433:4000"),
    "hexadecimal address": request_bytes(host="0x7f000001:4000"),
    "octal address": request_bytes(host="0177.0.0.1:4000"),
    "leading zeros": request_bytes(host="127.000.000.001:4000"),
    "IPv6 loopback": request_bytes(host="[::1]:4000"),
    "IPv6-mapped": request_bytes(host="[::ffff:127.0.0.1]:4000"),
    "localhost.evil": request_bytes(host="localhost.evil.example:4000"),
    "evil.localhost": request_bytes(host="evil.localhost:4000"),
    "127.0.0.1.evil": request_bytes(host="127.0.0.1.evil.example"),
    "the dots of the pattern": request_bytes(host="127a0b0c1"),
    "localhost with a dot": request_bytes(host="localhost."),
    "127.0.0.1 with a dot": request_bytes(host="127.0.0.1.:4000"),
    "full-width dots": request_bytes(host="127\uff0e0\uff0e0\uff0e1"),
    "ideographic dots": request_bytes(host="127\u30020\u30020\u30021"),
    "a long s": request_bytes(host="localho\u017ft:4000"),
    "port 0": request_bytes(host="localhost:0"),
    "port 65536": request_bytes(host="localhost:65536"),
    "port 99999999999": request_bytes(host="localhost:99999999999"),
    "port abc": request_bytes(host="localhost:abc"),
    "port -1": request_bytes(host="localhost:-1"),
    "no port after the colon": request_bytes(host="localhost:"),
    "two ports": request_bytes(host="localhost:4000:4000"),
    "Arabic digits": request_bytes(host="localhost:\u0664\u0660\u0660\u0660"),
    "a space": request_bytes(host="local host"),
    "a path in Host": request_bytes(host="localhost/"),
    # What is asked for.
    "absolute form": request_bytes("GET http://localhost:4000/ HTTP/1.1"),
    "absolute form, evil Host": request_bytes("GET http://localhost:4000/ HTTP/1.1", host="evil.example"),
    "absolute form of another host": request_bytes("GET http://evil.example/ HTTP/1.1"),
    "absolute form of the API": request_bytes("GET http://localhost:4000/api/jobs HTTP/1.1"),
    "CONNECT": request_bytes("CONNECT localhost:4000 HTTP/1.1"),
    "CONNECT a path": request_bytes("CONNECT / HTTP/1.1"),
    "OPTIONS *": request_bytes("OPTIONS * HTTP/1.1"),
    "GET *": request_bytes("GET * HTTP/1.1"),
    "a target without a slash": request_bytes("GET api/jobs HTTP/1.1"),
    "the API": request_bytes("GET /api/jobs HTTP/1.1"),
    "the API itself": request_bytes("GET /api HTTP/1.1"),
    "the API with a fragment": request_bytes("GET /api/jobs#x HTTP/1.1"),
    "encoded letters": request_bytes("GET /%61pi/jobs HTTP/1.1"),
    "encoded slash after api": request_bytes("GET /api%2fjobs HTTP/1.1"),
    "encoded slash before api": request_bytes("GET /%2fapi/jobs HTTP/1.1"),
    "doubled slash": request_bytes("GET //api/jobs HTTP/1.1"),
    "doubled slash within": request_bytes("GET /api//jobs HTTP/1.1"),
    "dot segment": request_bytes("GET /./api/jobs HTTP/1.1"),
    "climbing to the API": request_bytes("GET /x/../api/jobs HTTP/1.1"),
    "climbing out": request_bytes("GET /../../../../etc/passwd HTTP/1.1"),
    "climbing out, encoded": request_bytes("GET /%2e%2e/%2e%2e/%2e%2e/etc/passwd HTTP/1.1"),
    "climbing out of the assets": request_bytes("GET /assets/..%2f..%2fguard.py HTTP/1.1"),
    "backslashes": request_bytes("GET /..\\..\\guard HTTP/1.1"),
    "a NUL": request_bytes("GET /%00 HTTP/1.1"),
    "a line break": request_bytes("GET /%0d%0aSet-Cookie:x HTTP/1.1"),
    # With what.
    "TRACE": request_bytes("TRACE / HTTP/1.1"),
    "PUT on the page": request_bytes("PUT / HTTP/1.1"),
    "an unknown method": request_bytes("BREW / HTTP/1.1"),
    "CORS preflight": request_bytes(
        "OPTIONS /api/train HTTP/1.1", "Origin: http://evil.example", "Access-Control-Request-Method: POST"
    ),
    "token that is not ASCII": request_bytes(
        "GET /api/jobs HTTP/1.1", f"{STUDIO_TOKEN_HEADER}: \u00e4\u2028"
    ),
    "token in the query of another route": request_bytes("GET /api/jobs?studioToken=TOKEN HTTP/1.1"),
    "token in the query of another method": request_bytes(
        "POST /api/jobs/x/events?studioToken=TOKEN HTTP/1.1"
    ),
    "token in the query of a longer path": request_bytes(
        "GET /api/jobs/x/events/y?studioToken=TOKEN HTTP/1.1"
    ),
    "token as a cookie": request_bytes("GET /api/jobs HTTP/1.1", "Cookie: studioToken=TOKEN"),
    "token as a bearer": request_bytes("GET /api/jobs HTTP/1.1", "Authorization: Bearer TOKEN"),
    # What is no HTTP.
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 200 + b"\r\n\r\n",
    "garbage": b"\x00\xff\x02\r\n\r\n",
    "HTTP/9.9": request_bytes("GET / HTTP/9.9"),
    "bare line feeds": b"GET / HTTP/1.1\nHost: localhost\n\n",
    "a folded header": request_bytes("GET / HTTP/1.1", "X: a", " b"),
    "length and chunks": request_bytes(
        "POST /api/train HTTP/1.1", "Content-Length: 5", "Transfer-Encoding: chunked"
    ),
    "two lengths": request_bytes("POST /api/train HTTP/1.1", "Content-Length: 5", "Content-Length: 6"),
    "a long request line": request_bytes(f"GET /{'a' * 9000} HTTP/1.1"),
    "a long header": request_bytes("GET / HTTP/1.1", f"X: {'a' * 9000}"),
    "a long header's name": request_bytes("GET / HTTP/1.1", f"{'a' * 9000}: x"),
    "many headers": request_bytes("GET / HTTP/1.1", *(f"X-{n}: 1" for n in range(300))),
    "non-ASCII target": request_bytes("GET /\u00e4pi/jobs HTTP/1.1"),
    "an expectation": request_bytes("POST /api/train HTTP/1.1", "Expect: the-unexpected"),
    "an expectation under another name": request_bytes("GET / HTTP/1.1", "Expect: 99-x", host="evil.example"),
    "an expectation of no route": request_bytes("GET /api/nothing HTTP/1.1", "Expect: 99-x"),
    "an expectation on the page": request_bytes("GET / HTTP/1.1", "Expect: 99-x"),
}


def assert_safe(answer: RawAnswer) -> None:
    """What holds for every answer whatever its status."""
    for name, value in SECURITY_HEADERS.items():
        assert answer.header(name) == value, name
    assert not [name for name, _ in answer.headers if name.startswith("access-control-")]


def test_security_headers_have_the_expected_values() -> None:
    """Each word by itself: the answers' tests compare with the table, whatever that says."""
    headers = dict(SECURITY_HEADERS)
    policy = dict(part.split(" ", 1) for part in headers.pop("Content-Security-Policy").split("; "))
    assert policy == {
        "default-src": "'none'",
        **dict.fromkeys(("script-src", "style-src", "font-src", "connect-src", "worker-src"), "'self'"),
        "manifest-src": "'self'",
        "img-src": "'self' data:",
        **dict.fromkeys(("base-uri", "form-action", "frame-ancestors"), "'none'"),
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert headers == {
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Server": "arkor-dev",
    }


@pytest.mark.parametrize("sent", ALLOWED.values(), ids=ALLOWED)
async def test_the_page_is_served_to_allowed_hosts(sent: bytes, studio: Studio) -> None:
    answer = await exchange(studio.port, sent)
    assert answer.status == 200
    assert studio.token.encode() in answer.body
    assert_safe(answer)


async def test_every_attack_on_the_guards_is_refused(
    studio: Studio, caplog: pytest.LogCaptureFixture
) -> None:
    for name, sent in ATTACKS.items():
        answer = await exchange(studio.port, sent.replace(b"TOKEN", studio.token.encode()))
        assert 400 <= answer.status < 500, name
        assert studio.token.encode() not in answer.body, name
        assert_safe(answer)
        assert answer.header("cache-control") == "no-store", name
        assert not caplog.records, name


async def test_a_query_token_is_for_get_only(studio: Studio) -> None:
    sent = ATTACKS["token in the query of another method"].replace(b"TOKEN", studio.token.encode())
    answer = await exchange(studio.port, sent)
    assert answer.status == 403  # and not 405: the guard comes before the routes, whatever they take


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("localhost", ("localhost", 80)),
        ("LOCALHOST:8", ("localhost", 8)),
        ("127.0.0.1:65535", ("127.0.0.1", 65535)),
        ("localhost:0", None),
        ("localhost\n", None),
        ("localhost:80\n", None),
        (" localhost", None),
        ("", None),
    ],
)
def test_split_host_separates_host_and_port(value: str, expected: tuple[str, int] | None) -> None:
    assert split_host(value) == expected


FOREIGN = {
    "another site": "Origin: http://evil.example",
    "our name, another port": "Origin: http://127.0.0.1:4001",
    "our other name": "Origin: http://localhost:4000",
    "no port": "Origin: http://127.0.0.1",
    "https": "Origin: https://127.0.0.1",
    "a sandboxed frame": "Origin: null",
    "empty": "Origin:",
    "userinfo": "Origin: http://127.0.0.1:4000@evil.example",
    "a path": "Origin: http://127.0.0.1:4000/",
    "another scheme": "Origin: chrome-extension://127.0.0.1:4000",
    "two origins": "Origin: http://127.0.0.1:4000\r\nOrigin: http://evil.example",
    "cross-site": "Sec-Fetch-Site: cross-site",
    "same-site": "Sec-Fetch-Site: same-site",
    "capitals": "Sec-Fetch-Site: Cross-Site",
    "an unknown site": "Sec-Fetch-Site: elsewhere",
    "two sites": "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site",
}


@pytest.mark.parametrize("header", FOREIGN.values(), ids=FOREIGN)
async def test_cross_origin_requests_are_refused_on_every_method(header: str, studio: Studio) -> None:
    """Although it has the token: the Origin and Sec-Fetch-Site headers are the browser's word."""
    for method in METHODS[:-1]:
        sent = request_bytes(f"{method} /api/jobs HTTP/1.1", f"{STUDIO_TOKEN_HEADER}: {studio.token}", header)
        answer = await exchange(studio.port, sent)
        assert answer.status == 403, method
        assert_safe(answer)
        if method != "HEAD":
            assert json.loads(answer.body) == {"error": "Studio's API answers only to its own page."}


@pytest.mark.parametrize(
    "header",
    [
        "Origin: http://127.0.0.1:4000",
        "Sec-Fetch-Site: same-origin",
        "Sec-Fetch-Site: none",
        "Origin: http://127.0.0.1:4000\r\nSec-Fetch-Site: same-origin",
    ],
)
async def test_same_origin_requests_are_served(header: str, studio: Studio) -> None:
    sent = request_bytes("GET /api/jobs HTTP/1.1", f"{STUDIO_TOKEN_HEADER}: {studio.token}", header)
    assert (await exchange(studio.port, sent)).status == 200


async def test_an_origin_without_a_port_is_port_80(studio: Studio) -> None:
    token = f"{STUDIO_TOKEN_HEADER}: {studio.token}"
    sent = request_bytes("GET /api/jobs HTTP/1.1", token, "Origin: http://localhost", host="localhost")
    assert (await exchange(studio.port, sent)).status == 200
    sent = request_bytes("GET /api/jobs HTTP/1.1", token, "Origin: https://localhost", host="localhost")
    assert (await exchange(studio.port, sent)).status == 403


def api_routes(app: web.Application) -> Iterator[tuple[str, str]]:
    """``(method, path)`` of every route under /api that the application has, with ids filled in."""
    for route in app.router.routes():
        path = "" if route.resource is None else route.resource.canonical
        if path.startswith("/api"):
            yield route.method, path.replace("{", "").replace("}", "")


async def test_every_route_refuses_a_missing_and_a_wrong_token(studio: Studio) -> None:
    routes = list(api_routes(studio.app))
    assert ("POST", "/api/train") in routes
    assert len(routes) > 15
    wrong = (None, "", studio.token[:-1], studio.token + "x", studio.token.swapcase(), "\u00e4")
    for method, path in routes:
        for token in wrong:
            header = [] if token is None else [f"{STUDIO_TOKEN_HEADER}: {token}"]
            query = "" if token is None else f"?studioToken={studio.token[:-1]}"
            answer = await exchange(studio.port, request_bytes(f"{method} {path}{query} HTTP/1.1", *header))
            assert answer.status == 403, (method, path, token)
            assert_safe(answer)
            if method != "HEAD":
                assert json.loads(answer.body) == {"error": "Missing or invalid studio token"}


async def test_the_first_of_two_tokens_counts(studio: Studio) -> None:
    good, bad = f"{STUDIO_TOKEN_HEADER}: {studio.token}", f"{STUDIO_TOKEN_HEADER}: wrong"
    assert (await exchange(studio.port, request_bytes("GET /api/jobs HTTP/1.1", bad, good))).status == 403


async def test_only_event_streams_accept_a_query_token(studio: Studio, fake_backend: FakeBackend) -> None:
    job = fake_backend.add_job()
    fake_backend.finish(job)
    path = f"/api/jobs/{job}/events"
    async with studio.stranger.get(path, params={"studioToken": studio.token}) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
    async with studio.stranger.get(path, params={"studioToken": "wrong"}) as answer:
        assert answer.status == 403


async def test_every_response_has_the_security_headers(studio: Studio, fake_backend: FakeBackend) -> None:
    job = fake_backend.add_job()
    fake_backend.finish(job)
    token = f"{STUDIO_TOKEN_HEADER}: {studio.token}"
    asset = next(iter(load_assets(STATIC)))
    kinds = {
        200: request_bytes("GET / HTTP/1.1"),
        403: request_bytes("GET /api/jobs HTTP/1.1"),
        404: request_bytes("GET /api/nothing HTTP/1.1", token),
        405: request_bytes("DELETE /api/jobs HTTP/1.1", token),
        400: request_bytes("POST /api/train HTTP/1.1", token, body=b"{"),
    }
    for status, sent in kinds.items():
        answer = await exchange(studio.port, sent)
        assert answer.status == status
        assert_safe(answer)
        assert answer.header("cache-control") == "no-store"
    for sent in (
        request_bytes(f"GET /api/jobs/{job}/events HTTP/1.1", token),
        request_bytes(f"GET /api/jobs/{job}/history HTTP/1.1", token),
    ):
        answer = await exchange(studio.port, sent)
        assert answer.status == 200
        assert answer.header("content-type") == "text/event-stream"
        assert_safe(answer)
        assert answer.header("cache-control") == "no-store"
    answer = await exchange(studio.port, request_bytes(f"GET {asset} HTTP/1.1"))
    assert answer.status == 200
    assert_safe(answer)


async def test_an_internal_error_has_the_security_headers(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ZeroDivisionError("a bug with details")

    monkeypatch.setattr(studio.app[RUNS], "views", broken)
    token = f"{STUDIO_TOKEN_HEADER}: {studio.token}"
    answer = await exchange(studio.port, request_bytes("GET /api/train HTTP/1.1", token))
    assert answer.status == 500
    assert b"details" not in answer.body.replace(b"Its terminal has the details", b"")
    assert_safe(answer)
    assert answer.header("cache-control") == "no-store"


async def test_only_assets_may_be_cached(studio: Studio) -> None:
    for path in load_assets(STATIC):
        async with studio.stranger.get(path) as answer:
            caching = answer.headers["Cache-Control"]
        assert ("immutable" in caching) == path.startswith("/assets/")


async def test_no_response_has_cors_headers(studio: Studio) -> None:
    """Also when it is asked for as a browser's preflight does."""
    for path in ("/", "/api/jobs", "/nothing.js"):
        for method in METHODS[:-1]:
            headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
            async with studio.session.request(method, path, headers=headers) as answer:
                assert not [name for name in answer.headers if name.lower().startswith("access-control")]


async def test_an_incomplete_request_times_out(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "IDLE_TIMEOUT", 0.2)
    for half in (b"", b"GET /", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "):
        reader, writer = await asyncio.open_connection("127.0.0.1", studio.port)
        began = asyncio.get_running_loop().time()
        writer.write(half)
        await asyncio.sleep(0.15)
        if half:
            writer.write(b"x")  # a byte now and then does not keep it open
        async with asyncio.timeout(30):
            # A byte that comes too late for a closed connection resets it.
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        assert 0.15 < asyncio.get_running_loop().time() - began < 20
        writer.close()


async def test_only_idle_connections_are_closed(
    studio: Studio, fake_backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    for idle in (0.2, 1.0, 5.0):
        monkeypatch.setattr(protocol, "IDLE_TIMEOUT", idle)
        reader, writer = await asyncio.open_connection("127.0.0.1", studio.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer, rest = None, b""
        async with asyncio.timeout(30):
            # One that this machine kept from being heard in time is closed as well, without an answer.
            with contextlib.suppress(AssertionError, ConnectionResetError):
                answer = await read_answer(reader)
            with contextlib.suppress(ConnectionResetError):
                rest = await reader.read()
        writer.close()
        if answer is not None:
            break
    assert answer is not None
    assert (answer.status, rest) == (200, b"")
    for idle in (0.2, 1.0, 5.0):
        monkeypatch.setattr(protocol, "IDLE_TIMEOUT", idle)
        job = fake_backend.add_job()
        with contextlib.suppress(aiohttp.ClientConnectionError):  # before it is answered, as above
            async with studio.session.get(f"/api/jobs/{job}/events") as stream:
                await asyncio.sleep(2.5 * idle)
                fake_backend.finish(job)
                async with asyncio.timeout(30):
                    assert b"event: end" in await stream.read()
                break
    else:
        pytest.fail("no stream was opened")


async def test_request_bodies_are_limited_in_size_and_time(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = io.BytesIO(bytes(envelope.BODY_LIMIT + 1))
    async with studio.session.post("/api/train", data=large) as refused:
        assert refused.status == 413
        assert "16 MiB" in (await refused.json())["error"]
    monkeypatch.setattr(envelope, "BODY_TIMEOUT", 0.1)
    token = f"{STUDIO_TOKEN_HEADER}: {studio.token}"
    half = request_bytes("POST /api/train HTTP/1.1", token, "Content-Length: 10")
    answer = await exchange(studio.port, half + b"{")
    assert answer.status == 408


async def test_a_refused_request_is_answered_before_its_body(studio: Studio) -> None:
    """A refused request is answered before its body has come."""
    answer = await exchange(
        studio.port, request_bytes("POST /api/train HTTP/1.1", "Content-Length: 1000000000")
    )
    assert answer.status == 403


@pytest.mark.parametrize("expect", ["99-x", "100-continue", "\u00e4", ""])
async def test_guards_run_before_expect_continue(expect: str, studio: Studio) -> None:
    sent = (
        request_bytes("GET / HTTP/1.1", f"Expect: {expect}", host="evil.example"),
        request_bytes("POST /api/train HTTP/1.1", f"Expect: {expect}", "Content-Length: 9"),
        request_bytes("GET /api/nothing HTTP/1.1", f"Expect: {expect}"),
    )
    for attack in sent:
        answer = await exchange(studio.port, attack)
        assert answer.status == 403, attack
        assert_safe(answer)


async def test_expect_continue_is_met_for_allowed_requests(studio: Studio) -> None:
    """Only the one that HTTP knows is met, and in HTTP/1.0 there are none."""
    token = f"{STUDIO_TOKEN_HEADER}: {studio.token}"
    for line in ("GET / HTTP/1.1", "GET /api/nothing HTTP/1.1", "DELETE /api/jobs HTTP/1.1"):
        answer = await exchange(studio.port, request_bytes(line, token, "Expect: 99-x"))
        assert answer.status == 417
        assert_safe(answer)
        assert answer.header("cache-control") == "no-store"
        assert b"99-x" not in answer.body
    answer = await exchange(studio.port, request_bytes("GET /api/train HTTP/1.0", token, "Expect: 99-x"))
    assert answer.status == 200
    reader, writer = await asyncio.open_connection("127.0.0.1", studio.port)
    head = request_bytes("POST /api/jobs/x/cancel HTTP/1.1", token, "Expect: 100-Continue", body=b"{}")
    writer.write(head[:-2])
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(head[-2:])
    answer = await read_answer(reader)
    assert answer.status == 404
    assert_safe(answer)
    writer.close()


async def test_responses_to_head_have_no_body(studio: Studio, fake_backend: FakeBackend) -> None:
    """A client reads what follows the head as the next answer."""
    job = fake_backend.add_job()
    fake_backend.finish(job)
    token = f"{STUDIO_TOKEN_HEADER}: {studio.token}"
    paths = {path for method, path in api_routes(studio.app) if method == "HEAD"}
    assert "/api/jobs/id/history" in paths
    for path in ("/", "/api/jobs/unknown/history", *(path.replace("/id", f"/{job}") for path in paths)):
        reader, writer = await asyncio.open_connection("127.0.0.1", studio.port)
        writer.write(request_bytes(f"HEAD {path} HTTP/1.1", token))
        async with asyncio.timeout(30):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 "), path
        assert body == b"", path
        writer.close()


async def test_the_host_guard_works_by_itself(aiohttp_client: AiohttpClient) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="inside")

    app = web.Application(middlewares=[host_guard])
    app.router.add_get("/", handler)
    client = await aiohttp_client(app)
    assert (await client.get("/")).status == 200
    assert (await client.get("/", headers={"Host": "evil.example"})).status == 403


async def test_the_token_guard_works_by_itself(aiohttp_client: AiohttpClient) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text="inside")

    app = web.Application(middlewares=[token_guard("secret")])
    app.router.add_get("/{path:.*}", handler)
    client = await aiohttp_client(app)
    assert (await client.get("/")).status == 200
    assert (await client.get("/api/x")).status == 403
    assert (await client.get("/api/x", headers={STUDIO_TOKEN_HEADER: "secret"})).status == 200
