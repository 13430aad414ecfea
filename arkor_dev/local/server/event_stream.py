"""A job's event log as a server-sent event stream: history, new events, then ``end``.

The stream reads from the store, never from the trainer. So it can begin anywhere (``Last-Event-ID``), and a
slow reader delays only itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from aiohttp import web

from arkor_dev.contract.events import END, PING
from arkor_dev.local.jobs.records import compact, now
from arkor_dev.local.jobs.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from arkor_dev.local.jobs.async_store import AsyncStore

PING_SECONDS: Final = 15.0
CHUNK: Final = 2000
HEADERS: Final = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@contextlib.asynccontextmanager
async def pinged(response: web.StreamResponse, ping: bytes, seconds: float) -> AsyncIterator[None]:
    """Send ``ping`` every few seconds, so that a silent connection is known to be dead."""

    async def repeat() -> None:
        while True:
            await asyncio.sleep(seconds)
            await response.write(ping)

    task = asyncio.create_task(repeat())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def frame(name: str | None, data: str, event_id: int | None = None) -> bytes:
    """Return one frame; ``data`` is JSON, so it has no line breaks."""
    lines = [f"id: {event_id}"] if event_id is not None else []
    if name:
        lines.append(f"event: {name}")
    return ("\n".join([*lines, f"data: {data}"]) + "\n\n").encode()


async def open_stream(request: web.Request, headers: Mapping[str, str] | None = None) -> web.StreamResponse:
    """Send the headers of a stream without a content length, with further ``headers``."""
    response = web.StreamResponse(headers={**HEADERS, **(headers or {})})
    await response.prepare(request)
    return response


async def resume_point(store: AsyncStore, job_id: str, last_event_id: str | None) -> int:
    """Return the id of the event to resume after; 0, for the whole history, if this log has no such id."""
    if last_event_id and last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19:
        point = int(last_event_id)
        if point <= await store.read(Store.last_event, job_id):
            return point
    return 0


def _mark(name: str, job_id: str, **more: str) -> bytes:
    """Return a frame without an id: it belongs to the stream, not to the log."""
    return frame(name, compact({"type": name, "jobId": job_id, "timestamp": now(), **more}))


async def stream_events(request: web.Request, store: AsyncStore, job_id: str) -> web.StreamResponse:
    """Serve ``GET /v1/jobs/:id/events/stream``."""
    after = await resume_point(store, job_id, request.headers.get("Last-Event-ID"))
    response = await open_stream(request)
    loop = asyncio.get_running_loop()
    sent = loop.time()
    while True:
        news = store.pulse.next()
        over, rows = await store.read(Store.read_events, job_id, after, CHUNK)
        if rows:
            await response.write(b"".join(frame(name, data, event_id) for event_id, name, data in rows))
            after, sent = rows[-1][0], loop.time()
        if len(rows) == CHUNK:
            continue
        if over:
            break
        try:  # Other jobs' news wakes this one too, and must not delay the ping.
            async with asyncio.timeout_at(sent + PING_SECONDS):
                await news.wait()
        except TimeoutError:
            trouble = {} if store.trouble is None else {"trouble": store.trouble}
            await response.write(_mark(PING, job_id, **trouble))
            sent = loop.time()
    await response.write(_mark(END, job_id))
    await response.write_eof()
    return response
