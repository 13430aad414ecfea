"""The backend client under a backend that misbehaves: each fault becomes words, a status, and no leak."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import socket
import tracemalloc
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from yarl import URL

from arkor_dev import __version__
from arkor_dev.backend import http_errors
from arkor_dev.backend.client import Backend
from arkor_dev.backend.http_client import MIB, HttpClient, Timeouts, open_http_client
from arkor_dev.backend.http_errors import holds
from arkor_dev.backend.interfaces import Credentials, Scope
from arkor_dev.contract.errors import ArkorError, TimedOutError, TooOldError, status_of
from arkor_dev.core import upgrade
from arkor_dev.core.proxy import proxy_for
from arkor_dev.core.upgrade import upgrade_command
from arkor_dev.identity.scope import FixedScope
from arkor_dev.identity.views import FixedIdentity
from tests.support.fake_backend import ORG, PROJECT, TOKEN, FakeBackend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PATIENT = Timeouts(connect=60, first_byte=60, chat=60, silence=60, total=60)
"""For all that is to succeed, however long this machine stands still; a test shortens what is to fire."""
STREAM = "GET /v1/jobs/{id}/events/stream"


class NoScope:
    """A project that nobody can read yet."""

    async def for_read(self, credentials: Credentials) -> Scope | None:
        return None

    async def for_write(self, credentials: Credentials) -> Scope:
        raise AssertionError("a read must not create a scope")


ASK = {"messages": [{"role": "user", "content": "hi"}], "baseModel": "tiny"}
CONFIG = {"model": "tiny", "datasetSource": {"type": "huggingface", "name": "rows"}}


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with open_http_client(PATIENT) as http:
        yield http


def backend_at(base_url: str, http: HttpClient, token: str = TOKEN) -> Backend:
    return Backend(
        http, FixedIdentity(Credentials("anon", token, ORG, base_url)), FixedScope(Scope(ORG, PROJECT))
    )


@pytest.fixture
def backend(fake_backend: FakeBackend, http: HttpClient) -> Backend:
    return backend_at(fake_backend.url, http)


async def fails(call: Any) -> ArkorError:
    """The ArkorError that ``call`` raises, which never holds the token."""
    with pytest.raises(ArkorError) as raised:
        await call
    assert TOKEN not in f"{raised.value!r} {raised.value.text} {raised.value.extra}"
    return raised.value


async def read_events(backend: Backend, job: str, last: str | None = None) -> bytes:
    got = b""
    async with backend.events(job, last) as answer:
        async for piece in answer.content.iter_any():
            got += piece
    return got


async def test_each_contract_call_reaches_its_route(backend: Backend, fake_backend: FakeBackend) -> None:
    assert json.loads((await backend.me()).body)["user"]["id"] == "u1"
    made = await backend.create_job("first", CONFIG)
    assert isinstance(made["job"], dict)
    job = str(made["job"]["id"])
    assert json.loads((await backend.list_jobs()).body)["jobs"][0]["name"] == "first"
    assert json.loads((await backend.get_job(job)).body)["job"]["id"] == job
    assert (await backend.cancel_job(job)).status == 200
    assert (await read_events(backend, job)).endswith(b"event: end\ndata: {}\n\n")
    async with backend.chat(ASK) as answer:
        assert (await answer.read()).endswith(b"data: [DONE]\n\n")
    async with backend.chat(json.dumps({**ASK, "stream": False}).encode()) as answer:
        assert (await answer.json())["choices"][0]["message"]["content"] == "Hello, world"
    body = {"slug": "one", "target": {"kind": "base_model", "baseModel": "t"}, "authMode": "none"}
    deployment = json.loads((await backend.create_deployment(body)).body)["deployment"]["id"]
    assert json.loads((await backend.list_deployments()).body)["deployments"][0]["id"] == deployment
    assert (await backend.get_deployment(deployment)).status == 200
    assert (await backend.update_deployment(deployment, {"enabled": False})).status == 200
    key = json.loads((await backend.create_key(deployment, {"label": "k"})).body)["key"]["id"]
    assert key in (await backend.list_keys(deployment)).body.decode()
    assert (await backend.delete_key(deployment, key)).status == 204
    assert (await backend.delete_deployment(deployment)).status == 204
    for seen in fake_backend.requests:
        assert seen.headers["Authorization"] == f"Bearer {TOKEN}"
        assert seen.headers["X-Arkor-Client"].startswith("arkor-dev/")
        scoped = {} if seen.route == "GET /v1/me" else {"orgSlug": ORG, "projectSlug": PROJECT}
        assert dict(seen.url.query) == scoped


async def test_response_bodies_are_forwarded_byte_for_byte(
    backend: Backend, fake_backend: FakeBackend
) -> None:
    odd = b'{ "jobs" : [ {"n": 1e309} ],\n "new": "\xc3\xa4" }'
    fake_backend.fault("GET /v1/jobs", status=200, body=odd)
    assert (await backend.list_jobs()).body == odd


async def test_reads_without_a_scope_send_no_request(fake_backend: FakeBackend, http: HttpClient) -> None:
    identity = FixedIdentity(Credentials("anon", TOKEN, ORG, fake_backend.url))
    backend = Backend(http, identity, NoScope())
    assert json.loads((await backend.list_jobs()).body) == {"jobs": []}
    assert json.loads((await backend.list_deployments()).body) == {"deployments": [], "scopeMissing": True}
    assert status_of(await fails(backend.get_job("j"))) == 404
    assert status_of(await fails(read_events(backend, "j"))) == 404
    assert fake_backend.requests == []


@pytest.mark.parametrize(
    "name", ["..", ".", "", "a/b", "../../me", "a?orgSlug=x", "a#b", "%2e%2e", "\u00e4 \n"]
)
async def test_an_id_is_escaped_into_one_path_segment(
    backend: Backend, fake_backend: FakeBackend, name: str
) -> None:
    assert status_of(await fails(backend.get_job(name))) == 404
    for seen in fake_backend.requests:
        assert seen.route == "GET /v1/jobs/{id}"
        assert seen.url.name == name
        assert seen.url.query["orgSlug"] == ORG


async def test_resuming_a_stream_sends_last_event_id(backend: Backend, fake_backend: FakeBackend) -> None:
    job = fake_backend.add_job()
    last = fake_backend.log(job, 1, loss=1.0)
    fake_backend.finish(job)
    assert (await read_events(backend, job, last)).startswith(b"id: 3\n")
    assert fake_backend.last(STREAM).headers["Accept-Encoding"] == "identity"
    # What no header can carry is left out: then the whole history comes.
    assert (await read_events(backend, job, "a\udc80\n")).startswith(b"id: 1\n")
    assert "Last-Event-ID" not in fake_backend.last(STREAM).headers


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ({"status": 404}, 404, "Told to fail."),
        ({"status": 429, "body": b'{"error": "Slow down."}'}, 429, "Slow down."),
        ({"status": 400, "body": b'{"error": {"message": "Nested."}}'}, 400, "Nested."),
        ({"status": 500, "body": b"plain  words\n"}, 500, "answered 500: plain words"),
        (
            {"status": 502, "body": b"<html><h1>Bad gateway"},
            502,
            "answered 502 Bad Gateway. Try again later.",
        ),
        ({"status": 503, "body": b""}, 503, "answered 503"),
        ({"status": 500, "body": b"\x00\x01\xff"}, 500, "answered 500"),
        ({"status": 500, "body": b'{"error": 7}'}, 500, "answered 500"),
        ({"status": 500, "body": b"[" * 60_000}, 500, "answered 500"),
        ({"status": 500, "body": b'{"error": "' + b"x" * 50_000 + b'"}'}, 500, "x" * 2_000),
        ({"status": 999}, 502, "Told to fail."),
        ({"status": 426}, 426, f"Told to fail. To upgrade this Studio, run `{upgrade_command()}`."),
        (
            {"status": 426, "body": b'{"error": "sdk_version_unsupported"}'},
            426,
            f" does not work with arkor-dev {__version__}. To upgrade",
        ),
        (
            {
                "status": 426,
                "body": b'{"error": "sdk_version_unsupported", "currentVersion": "0.1.0\\u001b[2J",'
                b'"supportedRange": ">=1.4.0 <2"}',
            },
            426,
            " does not work with arkor-dev 0.1.0: it supports >=1.4.0 <2. To upgrade",
        ),
        ({"status": 403, "body": b'{"error": "You sent Bearer ' + TOKEN.encode() + b'"}'}, 403, "Bearer …"),
        (
            {"status": 302, "headers": {"Location": "https://evil.example/v1/jobs"}},
            502,
            "redirects to evil.example",
        ),
        ({"status": 307, "headers": {"Location": "http://[bad"}}, 502, "redirects (307)"),
        ({"status": 304}, 502, "redirects (304)"),
        ({"garbage": b"SSH-2.0-OpenSSH_9\r\n"}, 502, "closed the connection"),
        ({"garbage": b""}, 502, "closed the connection"),
        ({"cut_after": 3}, 502, "closed the connection"),
        ({"flood": 9 * MIB}, 502, "sent more than 8 MiB"),
    ],
)
async def test_each_failure_has_an_error_message(
    backend: Backend, fake_backend: FakeBackend, fault: dict[str, Any], status: int, words: str
) -> None:
    fake_backend.fault("GET /v1/me", **fault)
    error = await fails(backend.me())
    assert status_of(error) == status
    assert words in error.text
    assert len(error.text) < 2_200
    if "Told" not in error.text and fault.get("status", 500) >= 500 and "x" * 9 not in error.text:
        assert f"127.0.0.1:{fake_backend.port}" in error.text
    # The backend is well again: so are we, on the same session.
    fake_backend.heal()
    assert (await backend.me()).status == 200


@pytest.mark.parametrize(
    ("fault", "limit", "words"),
    [
        ({"hang": True}, {"first_byte": 0.2}, "sent nothing for 0.2 s"),
        ({"delay": 60}, {"first_byte": 0.2}, "sent nothing for 0.2 s"),
        ({"stall_after": 3}, {"first_byte": 0.2}, "sent nothing for 0.2 s"),
        ({"drip": 0.15}, {"total": 1}, "did not finish its answer in 1 s"),
    ],
)
async def test_each_timeout_has_an_error_message(
    backend: Backend,
    fake_backend: FakeBackend,
    http: HttpClient,
    fault: dict[str, Any],
    limit: dict[str, float],
    words: str,
) -> None:
    fake_backend.fault("GET /v1/me", **fault)
    http.timeouts = replace(PATIENT, **limit)
    error = await fails(backend.me())
    assert status_of(error) == 504
    assert f"127.0.0.1:{fake_backend.port} {words}" in error.text
    assert len(error.text) < 2_200
    # The backend is well again: so are we, on the same session.
    fake_backend.heal()
    http.timeouts = PATIENT
    assert (await backend.me()).status == 200


async def test_extra_fields_of_an_error_are_kept(backend: Backend, fake_backend: FakeBackend) -> None:
    fake_backend.fault(
        "GET /v1/me", status=409, body=b'{"error": "No.", "code": "c", "status": 1, "text": "t"}'
    )
    error = await fails(backend.me())
    assert error.extra == {"code": "c", "status": 1, "text": "t"}
    assert (status_of(error), error.text) == (409, "No.")


async def test_extra_fields_of_an_error_that_contain_the_token_are_dropped(
    backend: Backend, fake_backend: FakeBackend
) -> None:
    body = json.dumps({"error": "No.", "code": "c", "seen": {"headers": [f"Bearer {TOKEN}"]}}).encode()
    fake_backend.fault("GET /v1/me", status=409, body=body)
    error = await fails(backend.me())
    assert (status_of(error), error.text, error.extra) == (409, "No.", {})


@pytest.mark.parametrize("secret", ["tok", 'a"b', "a\\b", "é"])
def test_holds_finds_a_secret_in_nested_strings(secret: str) -> None:
    assert holds({"a": [1, {"b": f"Bearer {secret}."}]}, [secret])
    assert not holds({"a": [1, {"b": "Bearer."}]}, [secret])


async def test_the_command_that_upgrades_is_found_once(
    backend: Backend, fake_backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each installed package is read for it, which no request may wait for again."""
    calls: list[upgrade.Installation] = []
    real = upgrade.installation

    def counted() -> upgrade.Installation:
        calls.append(real())
        return calls[-1]

    monkeypatch.setattr(upgrade, "installation", counted)
    http_errors._upgrade_command.cache_clear()
    fake_backend.fault("GET /v1/me", times=2, status=426)
    said = [str(await fails(backend.me())) for _ in range(2)]
    assert len(calls) == 1
    assert all(upgrade_command() in each for each in said)


async def test_an_error_with_a_truncated_body_keeps_its_status(
    backend: Backend, fake_backend: FakeBackend
) -> None:
    fake_backend.fault("GET /v1/me", times=1, status=418, body=b'{"error": "half')
    assert status_of(await fails(backend.me())) == 418


async def test_a_job_list_of_nine_mebibytes_is_accepted(backend: Backend, fake_backend: FakeBackend) -> None:
    fake_backend.fault("GET /v1/jobs", flood=9 * MIB)
    assert len((await backend.list_jobs()).body) == 9 * MIB


async def test_a_gzip_bomb_is_refused_without_being_unpacked(
    backend: Backend, fake_backend: FakeBackend
) -> None:
    bomb = gzip.compress(b"[" + bytes(64 * MIB))
    assert len(bomb) < MIB
    fake_backend.fault("GET /v1/me", status=200, body=bomb, headers={"Content-Encoding": "gzip"})
    tracemalloc.start()
    error = await fails(backend.me())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "sent more than 8 MiB" in error.text
    assert peak < 40 * MIB


async def test_a_gzip_response_is_decompressed(backend: Backend, fake_backend: FakeBackend) -> None:
    body = gzip.compress(b'{"user": {}}')
    fake_backend.fault("GET /v1/me", status=200, body=body, headers={"Content-Encoding": "gzip"})
    assert (await backend.me()).body == b'{"user": {}}'


@pytest.mark.parametrize("body", [b"<html>Sign in to the hotel", b"OK", b"\x00"])
async def test_a_response_that_is_not_json_is_a_502(
    backend: Backend, fake_backend: FakeBackend, body: bytes
) -> None:
    fake_backend.fault("GET /v1/me", status=200, body=body)
    error = await fails(backend.me())
    assert status_of(error) == 502
    assert f"127.0.0.1:{fake_backend.port} did not answer with JSON" in error.text


async def test_an_unreachable_backend_is_named_and_used_again_once_it_is_back(
    backend: Backend, fake_backend: FakeBackend
) -> None:
    job = fake_backend.add_job()
    await fake_backend.stop()
    for call in (backend.me(), backend.list_jobs(), read_events(backend, job)):
        error = await fails(call)
        assert status_of(error) == 502
        assert f"Cannot reach 127.0.0.1:{fake_backend.port} (Connection refused)." in error.text
        assert "Check that it is running" in error.text
    await fake_backend.restart()
    assert (await backend.me()).status == 200


async def test_an_unknown_host_and_a_wrong_protocol_are_502(
    http: HttpClient, fake_backend: FakeBackend
) -> None:
    error = await fails(backend_at("https://nowhere.invalid", http).me())
    assert (status_of(error), "nowhere.invalid was not found" in error.text) == (502, True)
    error = await fails(backend_at(f"https://127.0.0.1:{fake_backend.port}", http).me())
    assert status_of(error) == 502
    assert f"127.0.0.1:{fake_backend.port}" in error.text


@pytest.mark.parametrize(
    "base_url", ["http://api.arkor.ai", "http://192.168.0.1:80", "ftp://127.0.0.1", "api"]
)
async def test_a_token_is_never_sent_over_plain_http(http: HttpClient, base_url: str) -> None:
    error = await fails(backend_at(base_url, http).me())
    assert status_of(error) == 400
    assert "clear text" in error.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST"])
async def test_studios_own_port_is_refused_as_a_backend(
    http: HttpClient, fake_backend: FakeBackend, host: str
) -> None:
    http.own_ports.add(fake_backend.port)
    error = await fails(backend_at(f"http://{host}:{fake_backend.port}", http).me())
    assert "is this Studio itself" in error.text
    assert fake_backend.requests == []


async def test_a_silent_event_stream_times_out_unless_it_pings(
    backend: Backend, fake_backend: FakeBackend, http: HttpClient
) -> None:
    job = fake_backend.add_job()
    http.timeouts = replace(PATIENT, first_byte=0.3, silence=0.3)
    error = await fails(read_events(backend, job))
    assert status_of(error) == 504
    assert "sent nothing for 0.3 s" in error.text
    fake_backend.ping_every = 0.1
    # A machine that stands still sends no pings either: then the next limit is one that it does not reach.
    for silence in (0.3, 1.5, 6.0):
        job = fake_backend.add_job()
        http.timeouts = replace(PATIENT, first_byte=silence, silence=silence)
        finishing = asyncio.get_running_loop().call_later(2 * silence, fake_backend.finish, job)
        with suppress(TimedOutError):
            if (await read_events(backend, job)).count(b"event: ping") >= 4:
                break
        finishing.cancel()
    else:
        pytest.fail("pings do not keep a stream")


async def test_a_truncated_stream_raises_after_its_bytes(backend: Backend, fake_backend: FakeBackend) -> None:
    job = fake_backend.add_job()
    fake_backend.fault(STREAM, cut_after=10)
    got = b""

    async def read() -> None:
        nonlocal got
        async with backend.events(job) as answer:
            async for piece in answer.content.iter_any():
                got += piece

    error = await fails(read())
    assert status_of(error) == 502
    assert len(got) == 10


async def test_exceptions_of_the_reader_pass_unchanged(backend: Backend, fake_backend: FakeBackend) -> None:
    job = fake_backend.add_job()
    with pytest.raises(ConnectionResetError, match="the browser has left"):
        async with backend.events(job):
            raise ConnectionResetError("the browser has left")
    with pytest.raises(TimeoutError):
        async with backend.events(job) as answer, asyncio.timeout(0.05):
            await answer.content.readuntil(b"never")


async def test_an_html_page_is_not_read_as_an_event_stream(
    backend: Backend, fake_backend: FakeBackend
) -> None:
    fake_backend.fault(STREAM, status=200, body=b"<html>", headers={"Content-Type": "text/html"})
    error = await fails(read_events(backend, fake_backend.add_job()))
    assert status_of(error) == 502
    assert "no event stream" in error.text


async def test_closing_a_chat_ends_the_upstream_request(backend: Backend, fake_backend: FakeBackend) -> None:
    fake_backend.chat.endless, fake_backend.chat.delay = True, 0.01
    async with backend.chat(ASK) as answer:
        assert await answer.content.readuntil(b"\n\n")
    await fake_backend.until(lambda: fake_backend.chat.left_at is not None)


async def test_a_chat_has_a_longer_timeout_than_other_calls(
    backend: Backend, fake_backend: FakeBackend, http: HttpClient
) -> None:
    fake_backend.chat.first_delay = 0.3
    http.timeouts = replace(PATIENT, first_byte=0.05)
    async with backend.chat(ASK) as answer:
        assert b"Hello" in await answer.read()
    fake_backend.chat.first_delay = 60
    http.timeouts = replace(PATIENT, chat=0.2)

    async def chat() -> None:
        async with backend.chat(ASK):
            pass

    assert status_of(await fails(chat())) == 504


async def test_the_first_token_of_a_chat_has_its_own_timeout(fake_backend: FakeBackend) -> None:
    fake_backend.chat.first_delay = 0.5
    async with open_http_client(PATIENT) as http:
        backend = backend_at(fake_backend.url, http)
        await backend.me()  # and the connection is kept: what is short from now on bounds the answer alone
        http.timeouts = replace(PATIENT, connect=0.1, first_byte=0.1)
        async with backend.chat(ASK) as answer:
            assert b"Hello" in await answer.read()
        assert len(fake_backend.peers) == 1


async def test_a_chat_error_has_the_backends_message(backend: Backend, fake_backend: FakeBackend) -> None:
    fake_backend.fault("POST /v1/inference/chat", status=422, body=b'{"error": "No such adapter."}')

    async def chat() -> None:
        async with backend.chat(ASK):
            pass

    error = await fails(chat())
    assert (status_of(error), error.text) == (422, "No such adapter.")


async def test_deprecation_headers_are_forwarded_and_logged_once(
    backend: Backend, fake_backend: FakeBackend, http: HttpClient
) -> None:
    told: list[str] = []
    http.on_notice = told.append
    fake_backend.headers = {
        "Deprecation": "@1767225600",
        "Sunset": "soon",
        "Warning": '299 - "Old"',
        "X-Other": "x",
    }
    for _ in range(3):
        answer = await backend.me()
    assert answer.headers == {"Deprecation": "@1767225600", "Sunset": "soon", "Warning": '299 - "Old"'}
    assert told == [
        f"127.0.0.1:{fake_backend.port} says Deprecation: @1767225600",
        f"127.0.0.1:{fake_backend.port} says Sunset: soon",
        f'127.0.0.1:{fake_backend.port} says Warning: 299 - "Old"',
    ]
    fake_backend.fault("*", status=426, headers={"Warning": f"leak {TOKEN}"})
    with pytest.raises(TooOldError) as raised:
        await backend.me()
    assert raised.value.headers == {"Warning": "leak …"}
    for number in range(50):
        fake_backend.headers["Warning"] = f"{number} o'clock"
        fake_backend.heal()
        await backend.me()
    assert len(told) < 10


async def test_cookies_are_ignored_and_connections_reused(
    backend: Backend, fake_backend: FakeBackend
) -> None:
    fake_backend.headers = {"Set-Cookie": "a=b; Path=/"}
    for _ in range(5):
        await backend.me()
    assert not any("Cookie" in seen.headers for seen in fake_backend.requests)
    assert len(fake_backend.peers) == 1


async def test_a_call_succeeds_beside_150_open_streams(backend: Backend, fake_backend: FakeBackend) -> None:
    fake_backend.ping_every = 0.1
    job = fake_backend.add_job()

    async def follow() -> None:
        async with backend.events(job) as answer:
            await answer.read()

    tasks = [asyncio.create_task(follow()) for _ in range(150)]
    await fake_backend.until(lambda: fake_backend.active[STREAM] == 150, patience=60)
    assert (await backend.me()).status == 200
    fake_backend.finish(job)
    await asyncio.gather(*tasks)


async def test_loopback_addresses_bypass_the_proxy(
    backend: Backend,
    http: HttpClient,
    fake_backend: FakeBackend,
    home: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readline())
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    # Bound and never listening: when the proxy has gone, its port is nobody else's and refuses.
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", 0))
    port = place.getsockname()[1]
    server = await asyncio.start_server(proxy, "127.0.0.1", port, reuse_address=True)
    async with server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{TOKEN}@127.0.0.1:{port}")
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        assert (await backend.me()).status == 200
        assert seen == []
        error = await fails(backend_at("https://api.example", http).me())
        assert "proxy refused api.example (403)" in error.text
        assert seen == [b"CONNECT api.example:443 HTTP/1.1\r\n"]
        monkeypatch.setenv("NO_PROXY", "nowhere.invalid")
        assert "was not found" in (await fails(backend_at("https://nowhere.invalid", http).me())).text
    with place:
        assert "reach the proxy" in (await fails(backend_at("https://api.example", http).me())).text


@pytest.mark.parametrize(
    ("address", "proxy"),
    [
        ("https://api.example/v1", "http://proxy.example:3128"),
        ("https://inside.example/v1", None),
        ("https://a.inside.example/v1", None),
        ("http://api.example/v1", None),
        ("https://127.0.0.1:4000", None),
        ("https://localhost:4000", None),
    ],
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_https_to_other_machines_goes_through_the_proxy_but_to_those_of_no_proxy(
    monkeypatch: pytest.MonkeyPatch, name: str, address: str, proxy: str | None
) -> None:
    monkeypatch.setenv(name, "http://proxy.example:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://other.example:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    assert proxy_for(URL(address)) == (proxy and URL(proxy))


async def test_the_token_is_never_logged(
    backend: Backend, fake_backend: FakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fake_backend.fault("GET /v1/jobs", garbage=b"HTTP/1.1 200 OK\r\nContent-Length: nonsense\r\n\r\n")
    await backend.me()
    await fails(backend.list_jobs())
    product = [record.getMessage() for record in caplog.records if record.name.startswith("arkor_dev")]
    assert TOKEN not in "\n".join(product)
    assert TOKEN not in repr(await backend.identity.credentials())


async def test_a_401_without_a_refreshable_identity_says_to_restart(
    http: HttpClient, fake_backend: FakeBackend
) -> None:
    error = await fails(backend_at(fake_backend.url, http, token="wrong").me())
    assert status_of(error) == 401
    assert "Start Studio again" in error.text
    assert fake_backend.count("GET /v1/me") == 1


def test_an_address_with_a_path_is_valid(http: HttpClient) -> None:
    http.check_address(URL("https://host/prefix/v1/me"))
