"""Benchmark clients that do as little work as possible, so that the servers are measured."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

END = b"event: end\n"
_SENT = re.compile(rb'"sent": ([\d.]+)')
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


class _Asker(asyncio.Protocol):
    """A connection that sends the next request as soon as it has the response."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.answers = 0
        self.left = 0
        self.head = b""
        self.failed: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        if self.left:
            self.left -= len(data)
        else:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self.head, 0, end + 2)
            if not self.head.startswith(b"HTTP/1.1 200") or length is None:
                raise RuntimeError(self.head[:200].decode())
            self.left = int(length[1]) - (len(self.head) - end - 4)
            self.head = b""
        if self.left == 0:
            self.answers += 1
            self.transport.write(self.request)


async def _requests_a_second(port: int, request: bytes, connections: int, seconds: float) -> float:
    loop = asyncio.get_running_loop()
    askers = [
        (await loop.create_connection(lambda: _Asker(request), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    async with asyncio.timeout(30):
        while not all(asker.answers for asker in askers):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    before, begun = sum(asker.answers for asker in askers), time.perf_counter()
    await asyncio.sleep(seconds)
    count = sum(asker.answers for asker in askers) - before
    passed = time.perf_counter() - begun
    for asker in askers:
        asker.transport.abort()
    if not count:
        raise RuntimeError("not one answer came in time")
    return count / passed


def requests_a_second(
    port: int, path: str, headers: Mapping[str, str], connections: int, seconds: float
) -> float:
    """Return the ``GET`` responses per second over a number of connections that never pause."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{lines}\r\n".encode()
    return asyncio.run(_requests_a_second(port, request, connections, seconds))


async def _events(session: aiohttp.ClientSession, url: str, started: asyncio.Event | None = None) -> int:
    count, tail = 0, b""
    async with session.get(url) as answer:
        answer.raise_for_status()
        if started is not None:
            started.set()
        async for data in answer.content.iter_any():
            count += data.count(b"{")  # one per event; a single byte can't be split
            tail = (tail + data)[-40:] if len(data) < 40 else data[-40:]
    if END not in tail:
        raise RuntimeError(f"the stream ended with {tail!r}")
    return count - 1


def events_a_second(url: str, headers: Mapping[str, str], expected: int, tabs: int = 1) -> float:
    """Return the events per second that a number of tabs together read from a stream to its end."""

    async def read() -> float:
        async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
            begun = time.perf_counter()
            counts = await asyncio.gather(*(_events(session, url) for _ in range(tabs)))
            passed = time.perf_counter() - begun
        if counts != [expected] * tabs:
            raise RuntimeError(f"{expected} events were sent, {set(counts)} came")
        return tabs * expected / passed

    return asyncio.run(read())


def bytes_a_second(url: str, headers: Mapping[str, str]) -> float:
    """Return the speed of one whole response, in bytes per second."""

    async def read() -> float:
        async with aiohttp.ClientSession(headers=headers) as session:
            begun = time.perf_counter()
            async with session.get(url) as answer:
                answer.raise_for_status()
                size = 0
                async for data in answer.content.iter_any():
                    size += len(data)
            return size / (time.perf_counter() - begun)

    return asyncio.run(read())


async def _live(url: str, headers: Mapping[str, str], go: object, tabs: int, expected: int) -> float:
    assert callable(go)
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
        started = [asyncio.Event() for _ in range(tabs)]
        reading = [asyncio.create_task(_events(session, url, event)) for event in started]
        for event in started:
            await event.wait()
        await asyncio.sleep(0.3)
        begun = time.perf_counter()
        await asyncio.to_thread(go)
        counts = await asyncio.gather(*reading)
        passed = time.perf_counter() - begun
    if set(counts) != {expected}:
        raise RuntimeError(f"{expected} events were sent, {set(counts)} came")
    return tabs * expected / passed


def live_events_a_second(url: str, headers: Mapping[str, str], go: object, tabs: int, expected: int) -> float:
    """Return the events per second that reach a number of open tabs together, after ``go()`` emits them."""
    return asyncio.run(_live(url, headers, go, tabs, expected))


async def _delays(url: str, headers: Mapping[str, str], go: Callable[[], object]) -> list[float]:
    delays: list[float] = []
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as answer:
        answer.raise_for_status()
        await asyncio.sleep(0.3)
        await asyncio.to_thread(go)
        async for data in answer.content.iter_any():
            now = time.perf_counter()
            delays += [now - float(sent) for sent in _SENT.findall(data)]
    return delays


def delays(url: str, headers: Mapping[str, str], go: Callable[[], object]) -> list[float]:
    """Return the seconds from each event's sending, which it contains, to its arrival in an open tab."""
    return asyncio.run(_delays(url, headers, go))


def first_tokens(urls: Mapping[str, Mapping[str, str]], count: int) -> list[list[float]]:
    """Return the seconds from a request to the first byte of its response, ``count`` times for each URL in
    turns.
    """

    async def ask() -> list[list[float]]:
        times: list[list[float]] = [[] for _ in urls]
        async with aiohttp.ClientSession() as session:
            for number in range(count + 5):
                for place, (url, headers) in enumerate(urls.items()):
                    begun = time.perf_counter()
                    async with session.post(url, headers=headers, data=CHAT) as answer:
                        await answer.content.readany()
                        passed = time.perf_counter() - begun
                        await answer.read()
                    if number >= 5:
                        times[place].append(passed)
        return times

    return asyncio.run(ask())


def deltas_a_second(url: str, headers: Mapping[str, str], expected: int) -> float:
    """Return the deltas per second of one long answer."""

    async def ask() -> float:
        async with aiohttp.ClientSession(headers=headers) as session:
            begun, count = time.perf_counter(), 0
            async with session.post(url, data=CHAT) as answer:
                answer.raise_for_status()
                async for data in answer.content.iter_any():
                    count += data.count(b"{")
            count //= 3  # braces per delta
            if count != expected:
                raise RuntimeError(f"{expected} deltas were sent, {count} came")
            return count / (time.perf_counter() - begun)

    return asyncio.run(ask())


CHAT = b'{"messages":[{"role":"user","content":"hi"}],"baseModel":"tiny"}'
