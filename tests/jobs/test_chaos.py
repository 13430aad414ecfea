"""Hundreds of cuts, stalls, restarts and pieces of garbage between backend, daemon and readers.

Whatever happens on the way, every event reaches every reader once and in order, and afterwards there is
nothing left: no task, no socket, no memory. The seed is fixed; what the network makes of it is not.
``ARKOR_CHAOS_CUTS=1000`` takes longer.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest

from arkor_dev.backend.http_client import Timeouts
from arkor_dev.server.app_keys import BACKEND, EVENTS
from tests.support.studio import Studio, running_studio
from tests.support.waiting import until

if TYPE_CHECKING:
    from arkor_dev.core.settings import Settings
    from tests.support.fake_backend import FakeBackend

JOBS = 24
DISTURBANCES = int(os.environ.get("ARKOR_CHAOS_CUTS", "300"))
STREAM = "GET /v1/jobs/{id}/events/stream"
END = b"event: end\ndata: {}\n\n"
NOISE = (b": keep-alive\n\n", b"event: ping\ndata: {}\n\n", b"retry: 10\n\n", b"\n\n\n")


class Reader:
    """What has arrived at one tab. ``cut`` breaks its connection, ``stall`` keeps it from reading."""

    def __init__(self, studio: Studio, session: aiohttp.ClientSession, job: str) -> None:
        self.url = f"{studio.url}/api/jobs/{job}"
        self.job = job
        self.session = session
        self.got: list[bytes] = []
        self.stall = 0.0
        self.answer: aiohttp.ClientResponse | None = None

    def cut(self) -> None:
        """Leave in the middle."""
        if self.answer is not None and self.answer.connection is not None:
            transport = self.answer.connection.transport
            if transport is not None:
                transport.abort()

    async def run(self) -> None:
        """Read until the job's end."""
        while not (self.got and self.got[-1] + b"\n\n" == END):
            try:
                await self.visit()
            except (aiohttp.ClientError, OSError):
                await asyncio.sleep(0.01)

    async def visit(self) -> None:
        """One connection."""
        raise NotImplementedError

    async def pieces(self, answer: aiohttp.ClientResponse) -> bytes:
        """Some bytes, after a stall."""
        stall, self.stall = self.stall, 0.0
        await asyncio.sleep(stall)
        return await answer.content.readany()

    async def frames(self, answer: aiohttp.ClientResponse) -> None:
        """Take whole frames until the connection ends."""
        self.answer = answer
        rest = b""
        while data := await self.pieces(answer):
            *frames, rest = (rest + data).split(b"\n\n")
            for frame in frames:
                self.take(frame)

    def take(self, frame: bytes) -> None:
        """One frame or comment."""
        if not frame.startswith(b":"):
            self.got.append(frame)


class Page(Reader):
    """History in one answer, then events from there; a stream that was cut is resumed at the byte."""

    cursor: str | None = None

    async def visit(self) -> None:
        """History, or the stream from the cursor on."""
        if self.cursor is None:
            async with self.session.get(self.url + "/history") as answer:
                if answer.status == 200:
                    self.got = (await answer.read()).split(b"\n\n")[:-1]
                    self.cursor = answer.headers["X-Arkor-Cursor"]
            return
        async with self.session.get(self.url + "/events", params={"after": self.cursor}) as answer:
            if answer.status != 200 or answer.headers["X-Arkor-From"] != self.cursor:
                self.cursor = None
                return
            await self.frames(answer)

    def take(self, frame: bytes) -> None:
        """Count on to the place after this frame."""
        super().take(frame)
        if not frame.startswith(b":") and self.cursor is not None:
            feed, _, offset = self.cursor.partition(".")
            self.cursor = f"{feed}.{int(offset) + len(frame) + 2}"


class Source(Reader):
    """As a browser's EventSource: it knows the last id and nothing else."""

    last: str | None = None

    async def visit(self) -> None:
        """The stream from behind the last id."""
        headers = {"Last-Event-ID": self.last} if self.last else {}
        async with self.session.get(self.url + "/events", headers=headers) as answer:
            if answer.status == 200:
                await self.frames(answer)

    def take(self, frame: bytes) -> None:
        """Remember the id."""
        super().take(frame)
        if frame.startswith(b"id: "):
            self.last = frame.split(b"\n")[0][4:].decode()


class Log:
    """One job's events at the backend: counters or clocks as ids, with or without frames that have none."""

    def __init__(self, backend: FakeBackend, rng: random.Random, number: int) -> None:
        self.backend, self.rng = backend, rng
        self.job = backend.add_job()
        self.counted = number % 2 == 0
        self.clock = 1700000000000
        self.sent = 0

    def grow(self) -> None:
        """Some more events."""
        for _ in range(self.rng.randrange(1, 6)):
            self.sent += 1
            filler = "x" * self.rng.choice([0, 10, 200, 3000])
            if self.rng.random() < 0.2:
                self.backend.emit_raw(self.job, self.rng.choice(NOISE))
            if self.counted:
                self.backend.log(self.job, self.sent, filler=filler)
                continue
            data = f"data: {self.sent} {filler}\n\n"
            if self.rng.random() < 0.1:
                self.backend.emit_raw(self.job, data.encode())
                continue
            self.clock += self.rng.choice([0, 1])
            self.backend.emit_raw(self.job, f"id: {self.clock}\n{data}".encode(), str(self.clock))

    def frames(self) -> list[bytes]:
        """What every reader has to have in the end."""
        kept = [frame for _, frame in self.backend.frames[self.job] if frame not in NOISE]
        return b"".join([*kept, END]).split(b"\n\n")[:-1]


class Chaos:
    """The disturbances, one at a time."""

    def __init__(self, backend: FakeBackend, readers: list[Reader], rng: random.Random) -> None:
        self.backend, self.readers, self.rng = backend, readers, rng
        self.kinds = {
            self.cut: 20, self.break_next: 20, self.refuse_next: 10, self.garbage_next: 8, self.hang_next: 4,
            self.restart: 1, self.leave: 25, self.stall: 12,
        }  # fmt: skip

    async def strike(self) -> None:
        """One of them."""
        kinds = list(self.kinds)
        await self.rng.choices(kinds, weights=list(self.kinds.values()))[0]()

    async def cut(self) -> None:
        """One connection between backend and daemon breaks."""
        runner = self.backend._runner
        open_ones = list(runner.server.connections) if runner and runner.server else []
        if open_ones:
            transport = self.rng.choice(open_ones).transport
            if transport is not None:
                transport.abort()

    async def break_next(self) -> None:
        """The next stream is cut, or stalls, after so many bytes."""
        kind = self.rng.choice(["cut_after", "stall_after"])
        size = self.rng.choice([0, 1, 2, 50, 500, 5000])
        self.backend.fault(STREAM, times=1, **{kind: size + self.rng.randrange(100)})
        await self.cut()

    async def refuse_next(self) -> None:
        """The next stream is refused, or is none, or is somewhere else."""
        status = self.rng.choice([200, 302, 400, 403, 404, 409, 426, 429, 500, 502, 503])
        self.backend.fault(STREAM, times=1, status=status, headers={"Location": "http://127.0.0.1:9/"})
        await self.cut()

    async def garbage_next(self) -> None:
        """The next answer is no HTTP, or stops being any."""
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        garbage = [
            b"",
            b"\x00\xff\r\n\r\n",
            head + b"zz\r\n",
            head + b"5\r\nid: 9",
            b"HTTP/9.9 hello\r\n\r\n",
        ]
        self.backend.fault(STREAM, times=1, garbage=self.rng.choice(garbage))
        await self.cut()

    async def hang_next(self) -> None:
        """The next call is accepted and never answered."""
        self.backend.fault(STREAM, times=1, hang=True)
        await self.cut()

    async def restart(self) -> None:
        """The backend dies and comes back with its log."""
        await self.backend.stop()
        await asyncio.sleep(self.rng.random() * 0.1)
        await self.backend.start()

    async def leave(self) -> None:
        """A reader's connection breaks."""
        self.rng.choice(self.readers).cut()

    async def stall(self) -> None:
        """A reader does not read for a while."""
        self.rng.choice(self.readers).stall = self.rng.random() * 0.3


def difference(got: list[bytes], wanted: list[bytes]) -> str:
    """Where two logs part, in words."""
    for place, (one, other) in enumerate(zip_longest(got, wanted)):
        if one != other:
            lost = len(set(wanted) - set(got))
            return f"frame {place} of {len(wanted)} is {one!r:.80} and not {other!r:.80}; {lost} lost"
    return "none"


def open_files() -> int:
    """How many descriptors this process holds."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def resident() -> int:
    """Bytes of this process's memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def hurried(delay: float) -> None:
    """The hub's pauses, in a hurry."""
    await asyncio.sleep(delay / 20)


@pytest.mark.ci
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="counts memory and sockets as Linux does")
async def test_tabs_see_every_event_once_despite_random_faults(
    settings: Settings, signed_in: None, fake_backend: FakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("aiohttp.server", "arkor_dev"):
        caplog.set_level(logging.CRITICAL, name)
    rng = random.Random(20260102)
    files = open_files()
    logs = [Log(fake_backend, rng, number) for number in range(JOBS)]
    connector = aiohttp.TCPConnector(limit=0)
    headers = {"X-Arkor-Studio-Token": settings.studio_token}
    async with (
        running_studio(settings) as studio,
        aiohttp.ClientSession(headers=headers, connector=connector) as session,
    ):
        studio.app[EVENTS]._sleep = hurried
        studio.app[BACKEND].http.timeouts = Timeouts(connect=1, first_byte=0.5, silence=0.5)
        readers: list[Reader] = [Page(studio, session, log.job) for log in logs for _ in range(2)]
        readers += [Source(studio, session, log.job) for log in logs if log.counted]
        running = [asyncio.create_task(reader.run()) for reader in readers]
        await until(lambda: all(reader.got for reader in readers), 60)

        chaos, memory = Chaos(fake_backend, readers, rng), 0
        for number in range(DISTURBANCES):
            await chaos.strike()
            rng.choice(logs).grow()
            await asyncio.sleep(0.005)
            if number == DISTURBANCES // 2:
                memory = resident()
        grown = resident() - memory

        fake_backend.heal()
        studio.app[BACKEND].http.timeouts = Timeouts()
        for log in logs:
            fake_backend.finish(log.job)
        async with asyncio.timeout(100):
            await asyncio.gather(*running)
        wanted = {log.job: log.frames() for log in logs}
        wrong = [f"{type(r).__name__} of {r.job}: {difference(r.got, wanted[r.job])}" for r in readers]
        assert not list(filter(lambda text: not text.endswith("none"), wrong))
        assert sum(map(len, wanted.values())) > 2 * DISTURBANCES
        assert fake_backend.count(STREAM) > DISTURBANCES / 3
    await fake_backend.close()
    assert grown < 24 << 20
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
    await until(lambda: open_files() <= files)
