"""One job's feed: its log, and the upstream stream that fills it while anybody reads.

The stream is reconnected with backoff and jitter until the job's ``end``, resumed where it broke off. Readers
of the log only learn the connection's state, except that they get an error before the first event.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import aiohttp

from arkor_dev.backend.http_errors import passed_on
from arkor_dev.contract.errors import ArkorError

from .event_dedup import Deduplicator
from .frame_log import FrameLog
from .sse_frames import FrameSplitter

log = logging.getLogger(__name__)

BACKOFF = (0.25, 5.0)
"""First and longest pause between reconnections in seconds, before jitter."""
OPENING = 0.25
"""Seconds to wait for an open stream's first event."""
WINDOW = 0.02
"""Interval in seconds for checking whether the backend's replay of the history is complete."""
TRICKLE = 4096
"""Bytes per interval that separate live events from a replay."""
REPLAY = 1.5
"""Seconds after which an incomplete history is shown anyway; the rest follows live."""
CATCH_UP = 0.5
"""Seconds that a reader waits for news if there is an older log to show."""
REPORTED = 64 << 10
"""Bytes by which a log grows between two reports of its size."""
OWN_COST = 4096
"""A feed's memory beside its content, in bytes."""

OpenEvents = Callable[[str, str | None], AbstractAsyncContextManager[aiohttp.ClientResponse]]


class Sleep(Protocol):
    """Type of ``asyncio.sleep``, for tests with their own clock."""

    async def __call__(self, delay: float) -> object: ...


class Feed:
    """``on_growth`` is called with the feed when it holds notably more, ``on_end`` when the job ends.

    An end within the history does not call it.
    """

    def __init__(
        self,
        job_id: str,
        open_events: OpenEvents,
        on_growth: Callable[[Feed], None],
        on_end: Callable[[], None],
        *,
        sleep: Sleep,
        linger: float,
        limit: int,
    ) -> None:
        self.job_id = job_id
        self.name = secrets.token_hex(8)
        self.log = FrameLog(limit)
        self.readers = 0
        self.connected = False
        self.closed = False
        self.failure: ArkorError | None = None
        self.headers: dict[str, str] = {}
        """Headers of the backend's latest answer that a browser gets, too."""
        self._open = open_events
        self._on_growth = on_growth
        self._on_end = on_end
        self._sleep = sleep
        self._linger = linger
        self._deduplicator = Deduplicator(self.log.blocks)
        self._reported = 0
        self._task: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._settled = asyncio.Event()

    @property
    def end(self) -> bytes | None:
        """The job's last frame once its stream is over, with its blank line."""
        return self._deduplicator.end

    @property
    def cost(self) -> int:
        """About how many bytes of memory the feed takes."""
        return OWN_COST + self.log.stored_bytes + self._deduplicator.cost

    def acquire(self) -> None:
        """Add a reader: ensure that the upstream stream is running."""
        self.readers += 1
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.end is None:
            self._start()

    def _start(self) -> None:
        if self._task is None:
            self.failure = None
            self._settled.clear()
            self._task = asyncio.create_task(self._run(), name=f"events of {self.job_id}")

    def release(self) -> None:
        """Remove a reader: the stream stays open briefly, then closes; the log stays."""
        self.readers -= 1
        if self.readers == 0 and self._task is not None:
            self._timer = asyncio.get_running_loop().call_later(self._linger, self.stop)

    async def ready(self) -> None:
        """Wait until the history is complete. Raises ArkorError if the backend refuses or is unavailable."""
        try:
            # The backend client limits how long a connection may take.
            async with asyncio.timeout(CATCH_UP if self.log.size else None):
                await self._settled.wait()
        except TimeoutError:
            return
        if self.failure is not None:
            raise self.failure

    async def opened(self) -> None:
        """Wait until there is something to follow. Raises ArkorError like `ready`."""
        while not (self.connected or self.log.size or self._settled.is_set()):
            await self.log.changed()
        if self.failure is not None:
            raise self.failure

    def reopen(self) -> None:
        """Undo the job's end, if it has come: the stream is resumed for present and future readers."""
        if self.end is None or self.closed:
            return
        self._deduplicator.reopen()
        if self.readers:
            self._start()

    def stop(self) -> None:
        """Leave the upstream stream; a later reader opens another."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._ending.add(self._task)
            self._task.add_done_callback(self._ending.discard)
            self._task.cancel()
            self._task = None
            self._set_connected(connected=False)

    def retire(self) -> None:
        """Stop permanently: readers see the end of their stream."""
        self.closed = True
        self.stop()
        self._history_is_in()

    async def close(self) -> None:
        """Like `retire`, but wait until the upstream stream is closed."""
        self.retire()
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _set_connected(self, *, connected: bool) -> None:
        if self.connected != connected:
            self.connected = connected
            self.log.wake()

    def _history_is_in(self) -> None:
        self._settled.set()
        self.log.wake()

    async def _run(self) -> None:
        pause = BACKOFF[0]
        while True:
            try:
                if await self._connection():
                    pause = BACKOFF[0]
            except ArkorError as error:
                if not (self.connected or self._settled.is_set() or self.log.size):
                    self.failure = error  # refused before anything was shown: report the reason at once
                    break
                log.info("events of job %s: %s", self.job_id, error.text)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                log.info("events of job %s: stream cut (%s)", self.job_id, type(error).__name__)
            except Exception:
                log.exception("Unexpected error in the events of job %s", self.job_id)
            if self.end is not None:
                break
            self._history_is_in()
            self._set_connected(connected=False)
            await self._sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 (jitter)
            pause = min(pause * 2, BACKOFF[1])
        self._task = None
        self._history_is_in()
        self._set_connected(connected=False)

    async def _connection(self) -> bool:
        """Read one upstream stream to its end; return whether it brought anything."""
        loop = asyncio.get_running_loop()
        deduplicator, splitter, before = self._deduplicator, FrameSplitter(), self.log.size
        resume = deduplicator.resume_id
        last_event_id = resume.decode(errors="surrogateescape") if resume else None
        async with self._open(self.job_id, last_event_id) as answer:
            deduplicator.resumed()
            self.headers = passed_on(answer)
            self._set_connected(connected=True)
            settling = None if self._settled.is_set() else asyncio.create_task(self._settle())
            try:
                while data := await answer.content.readany():
                    block = deduplicator.deduplicate(splitter.feed(data))
                    if block:
                        self.log.append(block)
                        if self.log.size - self._reported >= REPORTED:
                            self._reported = self.log.size
                            # Run after the waiting readers, which are woken first.
                            loop.call_soon(self._on_growth, self)
                    if deduplicator.end is not None:
                        if self._settled.is_set():
                            self._on_end()  # before any reader can ask for the job's outcome
                        break
            finally:
                if settling is not None:
                    settling.cancel()
        return self.log.size > before

    async def _settle(self) -> None:
        """Mark the history as complete once events no longer arrive in bulk."""
        start, last_size = self.log.size, -1
        for waited in range(int(REPLAY / WINDOW)):
            size = self.log.size
            nothing_yet = size == start == 0 and waited * WINDOW < OPENING
            if last_size >= 0 and size - last_size < TRICKLE and not nothing_yet:
                break
            last_size = size
            await asyncio.sleep(WINDOW)
        self._history_is_in()
