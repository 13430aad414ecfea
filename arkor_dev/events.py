"""EventHub: one upstream stream a job feeds every tab, with history and resume.

The hub keeps a job's frames while there is room (least recently used jobs go first), so a late or reloaded
tab is served from memory. A tab's stream is not closed until the job's ``end``: while the backend is away
the hub reconnects with backoff and says so in comments, which are not events.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, Self

import aiohttp

from .errors import StudioError
from .frame_log import FrameLog
from .frames import Deduplicator, FrameSplitter, is_end, is_event

log = logging.getLogger(__name__)

JOB_BYTES = 192 << 20
TOTAL_BYTES = 256 << 20
LINGER = 10.0
"""Seconds that an upstream stream is kept after its last reader has left (a reload comes back at once)."""
SETTLED = 0.03
"""Seconds of silence after which the backend's replay of the history counts as complete."""
OPENING = 0.25
"""Seconds that a stream which has opened gets for its first event."""
BACKOFF = (0.25, 5.0)
"""First and longest pause between reconnections, seconds, before jitter."""
END_FRAME = b"event: end\ndata: {}\n\n"

OpenEvents = Callable[[str, str | None], AbstractAsyncContextManager[aiohttp.ClientResponse]]


class Sleep(Protocol):
    """``asyncio.sleep``, so that a test can bring a clock of its own."""

    async def __call__(self, delay: float) -> object: ...


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in one feed's log: the feed's own random name and a byte offset."""

    feed: str
    offset: int

    def __str__(self) -> str:
        return f"{self.feed}.{self.offset}"


class Feed:
    """One job: its log, and the task that fills it while anybody reads."""

    def __init__(self, job_id: str, open_events: OpenEvents, sleep: Sleep, limit: int) -> None:
        self.job_id = job_id
        self.name = secrets.token_hex(8)
        self.log = FrameLog(limit)
        self.readers = 0
        self.ended = False
        self.connected = False
        self.failure: StudioError | None = None
        self._open = open_events
        self._sleep = sleep
        self._repeats = Deduplicator()
        self._task: asyncio.Task[None] | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._settled = asyncio.Event()

    def acquire(self) -> None:
        """A reader has come: make sure that the upstream stream runs."""
        self.readers += 1
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if self._task is None and not self.ended:
            self.failure = None
            self._settled.clear()
            self._task = asyncio.create_task(self._run(), name=f"events {self.job_id}")

    def release(self) -> None:
        """A reader has left: the stream lingers a little, then closes; the log stays."""
        self.readers -= 1
        if self.readers == 0 and self._task is not None:
            self._linger = asyncio.get_running_loop().call_later(LINGER, self._task.cancel)

    async def settled(self) -> None:
        """Wait until the history is in; at most 10 s. Raises StudioError if the backend refused the job."""
        try:
            async with asyncio.timeout(10):
                await self._settled.wait()
        except TimeoutError:
            return  # a history that takes longer goes on as live frames
        if self.failure is not None and not self.log.size:
            raise self.failure

    async def close(self) -> None:
        """Stop reading the backend."""
        if self._linger is not None:
            self._linger.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        pause = BACKOFF[0]
        try:
            while not self.ended:
                try:
                    if await self._connection():
                        pause = BACKOFF[0]
                except StudioError as error:
                    if not self.log.size:
                        self.failure = error  # nothing was ever shown: say why at once
                        return
                    log.info("events of job %s: %s", self.job_id, error.text)
                except (aiohttp.ClientError, TimeoutError, OSError) as error:
                    log.info("events of job %s: stream cut (%s)", self.job_id, type(error).__name__)
                if self.connected:
                    self.connected = False
                    self.log.wake()
                if not self.ended:
                    self._settled.set()
                    await self._sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 (jitter)
                    pause = min(pause * 2, BACKOFF[1])
        finally:
            self.connected = False
            self._task = None
            self._settled.set()
            self.log.wake()

    async def _connection(self) -> bool:
        """Read one upstream stream to its end; whether it brought anything."""
        last_id = self._repeats.last_id
        splitter = FrameSplitter()
        brought = False
        loop = asyncio.get_running_loop()
        async with self._open(
            self.job_id, last_id.decode(errors="surrogateescape") if last_id else None
        ) as answer:
            self._repeats.reconnected()
            # A job that waits its turn has no event yet: an open stream that says nothing has settled too.
            settling = loop.call_later(OPENING, self._settled.set)
            self.connected = True
            self.log.wake()
            try:
                while data := await answer.content.readany():
                    frames = splitter.feed(data)
                    events = self._repeats.new([frame for frame in frames if is_event(frame)])
                    self.log.append(events)
                    brought = brought or bool(events)
                    if any(map(is_end, frames)):
                        self.ended = True
                        return True
                    if not self._settled.is_set():
                        settling.cancel()
                        settling = loop.call_later(SETTLED, self._settled.set)
            finally:
                settling.cancel()
        return brought


class EventHub:
    """The feeds of all jobs that anybody has looked at, bounded in bytes."""

    def __init__(
        self, open_events: OpenEvents, *, sleep: Sleep = asyncio.sleep,
        job_bytes: int = JOB_BYTES, total_bytes: int = TOTAL_BYTES,
    ) -> None:  # fmt: skip
        self._open = open_events
        self._sleep = sleep
        self._job_bytes = job_bytes
        self._total_bytes = total_bytes
        self._feeds: dict[str, Feed] = {}

    def _feed(self, job_id: str) -> Feed:
        feed = self._feeds.pop(job_id, None) or Feed(job_id, self._open, self._sleep, self._job_bytes)
        self._feeds[job_id] = feed  # the most recently used is last
        return feed

    def _evict(self) -> None:
        total = sum(feed.log.held for feed in self._feeds.values())
        for job_id, feed in list(self._feeds.items()):
            unused = feed.readers == 0
            if unused and (total > self._total_bytes or (feed.failure is not None and not feed.log.size)):
                total -= feed.log.held
                del self._feeds[job_id]

    def follow(self, job_id: str) -> Reader:
        """A reader of one job's events, to be entered with ``async with``."""
        return Reader(self, job_id)

    def enter(self, job_id: str) -> Feed:
        """Hand out a job's feed to a reader."""
        feed = self._feed(job_id)
        feed.acquire()
        return feed

    def leave(self, feed: Feed) -> None:
        """Take a feed back from a reader."""
        feed.release()
        self._evict()

    async def close(self) -> None:
        """Stop every upstream stream."""
        await asyncio.gather(*(feed.close() for feed in self._feeds.values()))


class Reader:
    """One tab's place at a job's feed."""

    def __init__(self, hub: EventHub, job_id: str) -> None:
        self._hub = hub
        self._job_id = job_id

    async def __aenter__(self) -> Self:
        """Join the feed; waits for the history. Raises StudioError when the backend refuses the job."""
        self._feed = self._hub.enter(self._job_id)
        try:
            await self._feed.settled()
        except BaseException:
            self._hub.leave(self._feed)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._hub.leave(self._feed)

    def cursor(self, after: str | None = None, last_event_id: str | None = None) -> Cursor:
        """Where to begin: at the cursor ``after``, after an event id, else at the oldest frame kept."""
        feed, log_ = self._feed, self._feed.log
        if after is not None:
            name, _, offset = after.partition(".")
            if name == feed.name and offset.isdecimal() and log_.base <= int(offset) <= log_.size:
                return Cursor(name, int(offset))
        elif last_event_id is not None:
            found = log_.after(last_event_id.encode(errors="surrogateescape"))
            if found is not None:
                return Cursor(feed.name, found)
        return Cursor(feed.name, log_.base)

    def end(self) -> Cursor:
        """The place after the newest frame."""
        return Cursor(self._feed.name, self._feed.log.size)

    @property
    def ended(self) -> bool:
        """Whether the job's stream is over: nothing will follow what the log has."""
        return self._feed.ended

    async def history(self, offset: int, stop: int) -> AsyncIterator[bytes]:
        """What lies between two offsets, in large pieces, and the ``end`` if nothing will follow."""
        log_ = self._feed.log
        while offset < stop:
            offset = max(offset, log_.base)
            data = log_.read(offset)[: stop - offset]
            if not data:
                return
            offset += len(data)
            yield data
        if self.ended and stop == log_.size:
            yield END_FRAME

    async def live(self, offset: int) -> AsyncIterator[bytes]:
        """What is known and all that follows, with the state of the connection, until the job's end."""
        feed, log_ = self._feed, self._feed.log
        told = True
        while True:
            if feed.connected != told and not feed.ended:
                told = feed.connected
                yield b": connected\n\n" if told else b": reconnecting\n\n"
            offset = max(offset, log_.base)
            data = log_.read(offset)
            if data:
                offset += len(data)
                yield data
            elif feed.ended:
                yield END_FRAME
                return
            else:
                await log_.changed()
