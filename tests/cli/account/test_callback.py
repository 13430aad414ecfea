"""The browser's way back: one answer, from this machine, by this machine's own name; nothing else counts."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from arkor_dev.cli.account import callback as module
from arkor_dev.cli.account.callback import Callback
from arkor_dev.contract.errors import ArkorError
from arkor_dev.server.serve import bind
from tests.support.raw import exchange

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.support.raw import RawAnswer


SECONDS = 60
"""The patience of a test with what is to come, however long this machine stands still."""


def ours(query: Mapping[str, list[str]]) -> bool:
    """Whether an answer belongs to the sign-in that waits."""
    return query.get("state", [])[:1] == ["s"]


class Waiting:
    """A callback that waits, and requests to it as they come over the wire."""

    def __init__(self, callback: Callback, port: int) -> None:
        self.callback = callback
        self.port = port

    async def send(self, head: str, *more: str, host: str | None = None) -> RawAnswer:
        """One request with the right ``Host``, unless another is given."""
        lines = [f"{head} HTTP/1.1", f"Host: {host or f'127.0.0.1:{self.port}'}", "Connection: close", *more]
        return await exchange(self.port, ("\r\n".join(lines) + "\r\n\r\n").encode(), seconds=SECONDS)


@pytest.fixture
async def waiting(unused_tcp_port: int) -> AsyncIterator[Waiting]:
    async with Callback(bind(unused_tcp_port), ours) as callback:
        yield Waiting(callback, unused_tcp_port)


RIGHT = "GET /callback?code=c&state=s&state=t"


async def test_the_callback_page_reports_the_result_escaped(waiting: Waiting) -> None:
    visit = asyncio.create_task(waiting.send(RIGHT))
    assert await waiting.callback.query(SECONDS) == {"code": ["c"], "state": ["s", "t"]}
    await waiting.callback.show("Not <signed> in", '<script>alert(1)</script> & "it\'s" over')
    page = await visit
    assert page.status == 200
    assert page.header("content-type") == "text/html; charset=utf-8"
    text = page.body.decode()
    assert "<h1>Not &lt;signed&gt; in</h1>" in text
    assert "<p>&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;it&#x27;s&quot; over</p>" in text
    assert "<script" not in text
    policy = page.header("content-security-policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert page.header("referrer-policy") == "no-referrer"  # the address holds the code
    assert page.header("cache-control") == "no-store"
    assert page.header("x-content-type-options") == "nosniff"


@pytest.mark.parametrize(
    ("head", "more", "status"),
    [
        ("GET /callback/?code=c", [], 404),
        ("GET /?code=c", [], 404),
        ("GET /favicon.ico", [], 404),
        ("POST /callback?code=c", [], 403),
        ("HEAD /callback?code=c", [], 403),
        ("OPTIONS /callback", [], 403),
        ("GET http://127.0.0.1/callback?code=c", [], 403),
        ("GET /callback", [], 403),
        ("GET /callback?code=c&state=x", [], 403),
        ("GET /callback?code=c", ["Sec-Fetch-Dest: image"], 403),
        ("GET /callback?code=c", ["Sec-Fetch-Dest: iframe"], 403),
        ("GET /callback?code=c", ["Host: evil.example"], 400),
        ("BREW\x01 /callback", [], 400),
    ],
)
async def test_other_requests_are_not_the_callback(
    waiting: Waiting, head: str, more: list[str], status: int
) -> None:
    answer = await waiting.send(head, *more)
    assert answer.status == status
    assert b"code=c" not in answer.body
    with pytest.raises(ArkorError, match="The browser did not answer"):
        await waiting.callback.query(0.05)


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}"]
)
async def test_a_callback_with_another_host_is_refused(waiting: Waiting, host: str) -> None:
    answer = await waiting.send(RIGHT, host=host.format(port=waiting.port))
    assert answer.status == 403
    with pytest.raises(ArkorError):
        await waiting.callback.query(0.05)


async def test_only_the_first_callback_counts(waiting: Waiting) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", waiting.port)  # open before the first answer
    first = asyncio.create_task(waiting.send(RIGHT))
    await waiting.callback.query(SECONDS)
    writer.write(f"{RIGHT} HTTP/1.1\r\nHost: 127.0.0.1:{waiting.port}\r\n\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 410 ")
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", waiting.port)
    await waiting.callback.show("Signed in", "Done.")
    assert b"<h1>Signed in</h1>" in (await first).body


async def test_a_callback_of_another_user_is_refused(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(module, "strangers", lambda **_: nullcontext(lambda _peer, _own: True))
    async with Callback(bind(unused_tcp_port), ours) as callback:
        assert (await Waiting(callback, unused_tcp_port).send(RIGHT)).status == 403
        with pytest.raises(ArkorError):
            await callback.query(0.05)


async def test_the_callback_listens_on_loopback_only(waiting: Waiting) -> None:
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.2", waiting.port)


async def test_a_closed_tab_does_not_delay_the_login(waiting: Waiting) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", waiting.port)
    writer.write(f"{RIGHT} HTTP/1.1\r\nHost: 127.0.0.1:{waiting.port}\r\n\r\n".encode())
    await waiting.callback.query(SECONDS)
    writer.close()
    async with asyncio.timeout(60):
        await waiting.callback.show("Signed in", "Done.")


async def test_cancelling_the_login_frees_the_port(unused_tcp_port: int) -> None:
    async with Callback(bind(unused_tcp_port), ours):
        pass
    with bind(unused_tcp_port):
        pass
