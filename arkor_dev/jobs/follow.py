"""A job's events from the first to the last, over as many connections as necessary.

The stream is resumed after the last id, repeats are dropped, and an unavailable backend is tried for as long
as it takes: a job may run for days. Only permanent failures (a refusal) end it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeGuard

from arkor_dev.contract.errors import ArkorError, NotFoundError, TemporaryError
from arkor_dev.contract.events import (
    MANAGED_METRICS,
    TRAINING_CANCELLED,
    TRAINING_COMPLETED,
    TRAINING_FAILED,
    TRAINING_MESSAGE,
)
from arkor_dev.contract.shapes import CANCELLED_ERROR, TERMINAL

from .event_dedup import Deduplicator
from .sse_frames import PING_NAME, FrameSplitter, event_name, frames_in

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from arkor_dev.backend.client import Backend
    from arkor_dev.contract.shapes import Job

    from .feed import Sleep

BACKOFF: Final = (0.5, 30.0)
"""First and longest pause between two connections in seconds, before jitter."""
QUEUE_SECONDS: Final = (0.3, 2.0)
"""When to first ask for a silent job's position in the queue, and how often after that."""
REASONS: Final = 5
"""Maximum number of reasons reported per outage, in case every message differs."""
APPEARS_WITHIN: Final = 20.0
"""How many seconds after its creation a job's stream may still be unknown."""


@dataclass(frozen=True, slots=True)
class JobEvent:
    """One event. ``data`` is its JSON object, or its text if that is not a JSON object."""

    name: str
    data: dict[str, object] | str


@dataclass(frozen=True, slots=True)
class Connection:
    """The stream was lost (``fault`` says why, each reason once per outage), or is back (None)."""

    fault: str | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """The job waits in the queue: ``position`` 1 is the next. ``behind`` (name, id) is directly before it.

    While the queue is ``held`` no job starts.
    """

    position: int
    behind: tuple[str, str] | None
    held: bool = False


async def follow(
    backend: Backend, job_id: str, sleep: Sleep = asyncio.sleep, *, appears_within: float = 0.0
) -> AsyncGenerator[JobEvent | Connection | Waiting, None]:
    """Yield each of the job's events once, in order, until the backend says that there are no more.

    Before the first one, the job's position in the queue is yielded, too, whenever it changes. Once in each
    silence, a message says why the backend can store no event, such as a full disk. A job that was
    just created may be unknown for ``appears_within`` seconds: parts of a backend learn of it later.

    Raises ArkorError if the backend refuses the job or the identity.
    """
    deduplicator = Deduplicator()
    pause, reasons, troubles = BACKOFF[0], set[str](), set[str]()
    queue = _Queue(backend, job_id)
    appears_by = asyncio.get_running_loop().time() + appears_within
    while True:
        received = False
        try:
            resume = deduplicator.resume_id
            async with backend.events(
                job_id, resume.decode(errors="surrogateescape") if resume else None
            ) as answer:
                deduplicator.resumed()
                splitter, appears_by = FrameSplitter(), 0.0
                if reasons:
                    reasons.clear()
                    yield Connection(None)
                while True:
                    reading = asyncio.ensure_future(answer.content.readany())
                    try:
                        async for waiting in queue.positions(reading):
                            yield waiting
                        data = await reading
                    finally:
                        reading.cancel()
                    if not data:
                        break
                    block = splitter.feed(data)
                    for trouble in _troubles_in(block) - troubles:
                        troubles.add(trouble)
                        yield JobEvent(TRAINING_MESSAGE, {"message": trouble})
                    for frame in frames_in(deduplicator.deduplicate(block)):
                        troubles.clear()
                        received = True
                        queue.has_started = True
                        yield read_event(frame)
                    if deduplicator.end is not None:
                        return
        except TemporaryError as fault:
            if fault.text not in reasons and len(reasons) < REASONS:
                reasons.add(fault.text)
                yield Connection(fault.text)
        except NotFoundError:
            if asyncio.get_running_loop().time() >= appears_by:
                raise
        else:
            # A backend may close without `end`. Connect once more to make sure that nothing is missing.
            if not received and await _is_over(backend, job_id):
                return
        if received:
            pause = BACKOFF[0]
        await sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 (jitter)
        pause = min(pause * 2, BACKOFF[1])


def _troubles_in(block: bytes) -> set[str]:
    """Return why the backend can store nothing, as the pings among these frames say; usually nothing."""
    if PING_NAME not in block:
        return set()
    pings = (read_event(frame) for frame in frames_in(block) if event_name(frame) == PING_NAME)
    said = (ping.data.get("trouble") for ping in pings if isinstance(ping.data, dict))
    return {trouble for trouble in said if isinstance(trouble, str)}


class _Queue:
    """A job's position in its backend's queue, polled while its stream is silent."""

    def __init__(self, backend: Backend, job_id: str) -> None:
        self._backend = backend
        self._job_id = job_id
        self._last: Waiting | None = None
        self.has_started = False

    async def positions(self, reading: asyncio.Future[bytes]) -> AsyncGenerator[Waiting, None]:
        """Yield each new position until ``reading`` has brought something, or the job no longer waits."""
        pause = QUEUE_SECONDS[0]
        while not self.has_started:
            await asyncio.wait({reading}, timeout=pause)
            if reading.done():
                return
            pause = QUEUE_SECONDS[1]
            with contextlib.suppress(ArkorError):  # the stream reports the error, and tries again
                job = await job_of(self._backend, self._job_id)
                waiting = None if job is None else waiting_of(job)
                self.has_started = waiting is None
                if waiting is not None and waiting != self._last:
                    self._last = waiting
                    yield waiting


def waiting_of(job: Job) -> Waiting | None:
    """Return a job's position in the queue; None if it does not wait, or its backend does not report it."""
    queue = job.get("queue")
    if job.get("status") != "queued" or not isinstance(queue, dict):
        return None
    position: object = queue.get("position")
    behind = queue.get("behind")
    if isinstance(position, bool) or not isinstance(position, int) or not 1 <= position <= 10**9:
        return None
    before = (str(behind.get("name")), str(behind.get("id"))) if isinstance(behind, dict) else None
    return Waiting(position, before, queue.get("held") is True)


def read_event(frame: bytes) -> JobEvent:
    """Parse one frame (WHATWG HTML, §9.2 "Server-sent events"); never fails.

    What only the managed backend writes differently reads as in `contract.events`.
    """
    name, lines = "message", []
    for line in frame.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"event":
            name = value.decode(errors="replace")
        elif field == b"data":
            lines.append(value)
    text = b"\n".join(lines).decode(errors="replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        return JobEvent(name, text)
    if name == TRAINING_FAILED and data.get("error") == CANCELLED_ERROR:
        del data["error"]
        return JobEvent(TRAINING_CANCELLED, data)
    if name == TRAINING_COMPLETED and isinstance(sent := data.get("metrics"), dict):
        renamed = {MANAGED_METRICS[key]: sent[key] for key in MANAGED_METRICS if sent.get(key) is not None}
        data["metrics"] = renamed | {key: sent[key] for key in sent if key not in MANAGED_METRICS}
    return JobEvent(name, data)


async def job_of(backend: Backend, job_id: str) -> Job | None:
    """Return the current job; None if the backend's answer has none. Raises ArkorError."""
    body = (await backend.get_job(job_id)).body
    try:
        job = json.loads(body).get("job")
    except (ValueError, AttributeError, RecursionError):
        job = None
    return job if is_job(job) else None


def is_job(value: object) -> TypeGuard[Job]:
    """Return whether a value of a response describes a job, as far as all commands rely on it."""
    if not isinstance(value, dict) or not isinstance(value.get("config", {}), dict):
        return False
    return all(isinstance(value.get(name, ""), str) for name in ("id", "status"))


async def _is_over(backend: Backend, job_id: str) -> bool:
    try:
        job = await job_of(backend, job_id)
        return job is not None and job.get("status") in TERMINAL
    except TemporaryError:
        return False
