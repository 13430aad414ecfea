"""EventHub: one upstream stream per job feeds every tab, with history and resumption.

The hub keeps a job's frames while there is space (least recently used jobs are dropped first), so that a late
or reloaded tab is served from memory. A minute after the last tab has left, a job's frames stay only within
the few megabytes that an idle Studio may hold: the backend has them all. A tab's stream stays open until the
job's ``end``: while the backend is unavailable the feed reconnects with backoff, and tabs are informed by
comments, which are not events.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from arkor_dev.contract.events import STREAM_CONNECTED, STREAM_RECONNECTING
from arkor_dev.core.process import give_back

from .feed import Feed, OpenEvents, Sleep

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from .frame_log import Take

JOB_BYTES = 128 << 20
TOTAL_BYTES = 256 << 20
IDLE_BYTES = 4 << 20
"""Bytes that feeds without readers may take for longer than `KEEP` seconds."""
KEEP = 60.0
"""Seconds that a feed is kept after its last reader has left, whatever its size."""
LINGER = 10.0
"""Seconds that an upstream stream is kept after its last reader has left (a reload comes back at once)."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in one feed's log: the feed's own random name and a byte offset.

    A reader adds the bytes of the frames received (comments are not part of the log), and so knows exactly
    where to resume: nothing is sent twice and no repeats need to be detected.
    """

    feed: str
    offset: int

    def __str__(self) -> str:
        return f"{self.feed}.{self.offset}"


class EventHub:
    """The feeds of all viewed jobs, limited in bytes. ``on_end`` is called whenever one of the jobs ends."""

    def __init__(
        self, open_events: OpenEvents, on_end: Callable[[], None] = lambda: None, *,
        sleep: Sleep = asyncio.sleep, linger: float = LINGER, job_bytes: int = JOB_BYTES,
        total_bytes: int = TOTAL_BYTES, idle_bytes: int = IDLE_BYTES, keep: float = KEEP,
    ) -> None:  # fmt: skip
        self._open = open_events
        self._on_end = on_end
        self._sleep = sleep
        self._linger = linger
        self._job_bytes = job_bytes
        self._total_bytes = total_bytes
        self._idle_bytes = idle_bytes
        self._keep = keep
        self._idle_since: dict[Feed, float] = {}  # when the last reader left, in loop time
        self._sweep: asyncio.TimerHandle | None = None
        self._feeds: dict[str, Feed] = {}  # least recently used first
        self._costs: dict[str, int] = {}
        self._total = 0

    @property
    def size(self) -> int:
        """About how many bytes of memory the feeds take."""
        return self._total

    def follow(self, job_id: str, *, complete: bool = True) -> Reader:
        """Return a reader of one job's events, for ``async with``.

        ``complete``: wait until the history is complete, so that its end and its ids are known. Otherwise the
        reader gets events as they arrive.
        """
        return Reader(self, job_id, complete=complete)

    def enter(self, job_id: str) -> Feed:
        """Give a job's feed to a reader."""
        feed = self._feeds.pop(job_id, None) or Feed(
            job_id, self._open, self._on_growth, self._on_end,
            sleep=self._sleep, linger=self._linger, limit=self._job_bytes,
        )  # fmt: skip
        self._feeds[job_id] = feed
        self._idle_since.pop(feed, None)
        feed.acquire()
        self._on_growth(feed)
        return feed

    def leave(self, feed: Feed) -> None:
        """Release a reader's feed."""
        self._on_growth(feed)
        feed.release()
        if self._feeds.get(feed.job_id) is not feed:
            return
        self._feeds[feed.job_id] = self._feeds.pop(feed.job_id)
        if feed.readers:
            return
        if feed.failure is not None:
            self._drop(feed)
            return
        self._idle_since[feed] = asyncio.get_running_loop().time()
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(self._keep, self._forget)

    def forget(self, job_id: str) -> None:
        """Drop a deleted job's events and end its readers' streams."""
        feed = self._feeds.get(job_id)
        if feed is not None:
            self._drop(feed)
            feed.retire()

    def reopen(self, job_id: str) -> None:
        """Record that an ended job may continue: later readers see what follows its end."""
        feed = self._feeds.get(job_id)
        if feed is not None:
            feed.reopen()

    async def close(self) -> None:
        """Stop every upstream stream, and end every reader's."""
        if self._sweep is not None:
            self._sweep.cancel()
        await asyncio.gather(*(feed.close() for feed in list(self._feeds.values())))

    def _on_growth(self, feed: Feed) -> None:
        if self._feeds.get(feed.job_id) is not feed:
            return
        cost = feed.cost
        self._total += cost - self._costs.get(feed.job_id, 0)
        self._costs[feed.job_id] = cost
        if self._total > self._total_bytes:
            self._make_room()

    def _make_room(self) -> None:
        for feed in [feed for feed in self._feeds.values() if not feed.readers]:
            if self._total <= self._total_bytes:
                return
            self._drop(feed)
        if self._total <= self._total_bytes:
            return
        # Everything left is being read: keep only each job's newest events.
        share = self._total_bytes // len(self._feeds)
        for feed in list(self._feeds.values()):
            feed.log.trim(max(0, share - (feed.cost - feed.log.stored_bytes)))
            self._total += feed.cost - self._costs[feed.job_id]
            self._costs[feed.job_id] = feed.cost

    def _forget(self) -> None:
        """Drop feeds that have had no readers for a while, longest unread first."""
        now = asyncio.get_running_loop().time()
        idle = sum(self._costs[feed.job_id] for feed in self._idle_since)
        for feed, idle_since in list(self._idle_since.items()):
            if idle <= self._idle_bytes or idle_since + self._keep > now:
                break
            idle -= self._costs[feed.job_id]
            self._drop(feed)
        give_back()
        self._sweep = None
        if idle > self._idle_bytes:
            due = next(iter(self._idle_since.values())) + self._keep
            self._sweep = asyncio.get_running_loop().call_at(due, self._forget)

    def _drop(self, feed: Feed) -> None:
        feed.stop()
        self._idle_since.pop(feed, None)
        del self._feeds[feed.job_id]
        self._total -= self._costs.pop(feed.job_id, 0)


class Reader:
    """One tab's position in a job's feed."""

    def __init__(self, hub: EventHub, job_id: str, *, complete: bool) -> None:
        self._hub = hub
        self._job_id = job_id
        self._complete = complete
        self._offset = self._marked = 0
        self._reported_connected = True
        self._at_end = False

    async def __aenter__(self) -> Self:
        """Join the feed. Raises ArkorError if that is impossible."""
        self._feed = self._hub.enter(self._job_id)
        try:
            await (self._feed.ready() if self._complete else self._feed.opened())
        except BaseException:
            self._hub.leave(self._feed)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hub.leave(self._feed)

    def begin(self, after: str | None = None, last_event_id: str | None = None) -> Cursor:
        """Set the position: after an event id, at the cursor ``after``, or else at the oldest stored frame.

        The id has priority: EventSource resumes with it and still sends its first cursor.
        """
        log = self._feed.log
        offset = log.after(last_event_id.encode(errors="surrogateescape")) if last_event_id else None
        if offset is None and after is not None:
            offset = self._offset_of(after)
        self._offset = log.base if offset is None else offset
        return Cursor(self._feed.name, self._offset)

    def _offset_of(self, cursor: str) -> int | None:
        name, _, digits = cursor.partition(".")
        if name != self._feed.name or not digits.isdecimal() or len(digits) > 18:
            return None
        return int(digits) if self._feed.log.is_between_frames(int(digits)) else None

    def end(self) -> Cursor:
        """The position after the newest frame."""
        return Cursor(self._feed.name, self._feed.log.size)

    @property
    def last_frame(self) -> bytes:
        """The job's ``end`` once nothing will follow the log, else ``b""``."""
        return self._feed.end or b""

    def known(self, stop: int) -> bytes:
        """Return the next piece before the offset ``stop``; ``b""`` at its end, or if it is lost."""
        if not self._feed.log.base <= self._offset < stop:
            return b""
        data = self._feed.log.read(self._offset)[: stop - self._offset]
        self._offset += len(data)
        return data

    @property
    def headers(self) -> dict[str, str]:
        """Headers about the backend's own deprecation; ``{}`` before its first answer."""
        return self._feed.headers

    def at(self, cursor: Cursor) -> bool:
        """Return whether everything before ``cursor`` has been read."""
        return self._offset == cursor.offset

    async def next(self, at_once: Take | None = None) -> bytes:
        """Wait for and return the next chunk: whole frames, or a comment on the connection's state.

        What arrives meanwhile is offered to ``at_once`` first; what that accepts is not returned.

        ``b""`` ends the stream: after the job's ``end``, when Studio closes, or if the reader was so slow
        that the log has dropped the next frames, which a resumed stream then detects.
        """
        feed, log = self._feed, self._feed.log

        def take(block: bytes) -> bool:  # everything before it has been read
            if at_once is None or not at_once(block):
                return False
            self._offset += len(block)
            return True

        while not (self._at_end or feed.closed or self._offset < log.base):
            if feed.connected != self._reported_connected and feed.end is None:
                self._reported_connected = feed.connected
                state = STREAM_CONNECTED if self._reported_connected else STREAM_RECONNECTING
                return f": {state}\n\n".encode()
            data = log.read(self._offset)
            if data:
                self._offset += len(data)
                return data
            if feed.end is not None:
                self._at_end = True
                return feed.end
            await log.changed(take)
        return b""
