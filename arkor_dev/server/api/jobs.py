"""The list of jobs, one job and its events, its changes and its end."""

from __future__ import annotations

import contextlib
from urllib.parse import quote

from aiohttp import ClientConnectionResetError, hdrs, web
from aiohttp_sse import EventSourceResponse

from arkor_dev.contract.bodies import JOB_CHANGES, job_changes
from arkor_dev.contract.errors import NotFoundError
from arkor_dev.contract.shapes import (
    CURSOR_HEADER,
    FROM_HEADER,
    REQUESTS_HEADER,
    STALE_HEADER,
    STALE_STATUS_HEADER,
    STALE_WHY_HEADER,
)
from arkor_dev.server.app_keys import BACKEND, EVENTS, JOBS, START_REQUESTS
from arkor_dev.server.negotiation import has, takes

from .envelope import answered, read_object

_WHY_CHARACTERS = 600


async def list_jobs(request: web.Request) -> web.Response:
    """``GET /api/jobs``: the list, with an ETag.

    While the backend is unavailable, returns the last list: ``X-Arkor-Stale`` is its age in seconds,
    ``X-Arkor-Stale-Why`` (percent-encoded UTF-8) the reason, and ``X-Arkor-Stale-Status`` the backend's
    status, if it answered. ``X-Arkor-Start-Requests`` counts the runs that programs want to start: the page
    fetches those only if there are any.
    """
    cache = request.app[JOBS]
    jobs, stale = await cache.get()
    headers = {
        **jobs.headers,
        hdrs.ETAG: f'W/"{jobs.tag}"',  # weak: it identifies the list in any content coding
        hdrs.VARY: hdrs.ACCEPT_ENCODING,
    }
    if stale is not None:
        headers[STALE_HEADER] = str(stale)
        if (trouble := cache.last_error) is not None:
            headers[STALE_WHY_HEADER] = quote(trouble.text[:_WHY_CHARACTERS])
            if trouble.answered is not None:
                headers[STALE_STATUS_HEADER] = str(trouble.answered)
    if start_requests := await request.app[START_REQUESTS].get():
        headers[REQUESTS_HEADER] = str(start_requests)
    if has(request, jobs.tag):
        return web.Response(status=304, headers=headers)
    headers[hdrs.CONTENT_TYPE] = "application/json; charset=utf-8"
    if takes(request.headers.get(hdrs.ACCEPT_ENCODING, ""), "gzip"):
        headers[hdrs.CONTENT_ENCODING] = "gzip"
        return web.Response(body=await jobs.gzipped(), headers=headers)
    return web.Response(body=jobs.body, headers=headers)


async def history(request: web.Request) -> web.StreamResponse:
    """``GET /api/jobs/:id/history``: all events so far in one response.

    The body has the form of the event stream, with a Content-Length: reading 150,000 events one by one from a
    stream takes a page seconds, scanning one body does not. ``X-Arkor-Cursor`` is the position after the last
    event; ``GET /api/jobs/:id/events?after=<cursor>`` continues exactly there. The body ends with the job's
    ``end`` if nothing will follow.

    An unknown job is 204, not 404: an old link is not an error, and browsers log each 404.

    ``?again`` fetches an ended job again, since it may have been resumed.
    """
    if "again" in request.query:
        request.app[EVENTS].reopen(request.match_info["id"])
    async with contextlib.AsyncExitStack() as stack:
        try:
            reader = await stack.enter_async_context(request.app[EVENTS].follow(request.match_info["id"]))
        except NotFoundError:
            return web.Response(status=204)
        begin, end, last = reader.begin(), reader.end(), reader.last_frame
        headers = {**reader.headers, CURSOR_HEADER: str(end), FROM_HEADER: str(begin)}
        response = web.StreamResponse(headers=headers)
        response.content_type = "text/event-stream"
        response.content_length = end.offset - begin.offset + len(last)
        await response.prepare(request)
        if request.method == hdrs.METH_HEAD:
            return response
        try:
            while piece := reader.known(end.offset):
                await response.write(piece)
            if not reader.at(
                end
            ):  # released in the meantime: a response that is too short must not look complete
                response.force_close()
                last = b""
            await response.write_eof(last)
        except ClientConnectionResetError:
            pass  # the tab has closed
        return response


async def events(request: web.Request) -> web.StreamResponse:
    """``GET /api/jobs/:id/events[?after=<cursor>]``: server-sent events until the job's ``end``.

    ``X-Arkor-From`` is the stream's first position: if it differs from the requested cursor, the reader
    starts over. A cursor is a name, a point and an offset: adding the bytes of all frames since, without
    comments, gives the cursor after them, from which to resume. Comments inform the reader: ``:
    reconnecting`` and ``: connected`` report the state of the backend.
    """
    last_id = request.headers.get("Last-Event-ID")
    async with request.app[EVENTS].follow(request.match_info["id"], complete=last_id is not None) as reader:
        begin = reader.begin(request.query.get("after"), last_id)
        response = EventSourceResponse(headers={**reader.headers, FROM_HEADER: str(begin)}, sep="\n")
        await response.prepare(request)
        chunked = response.headers.get(hdrs.TRANSFER_ENCODING) == "chunked"

        def at_once(frames: bytes) -> bool:
            transport = request.transport
            if not chunked or transport is None or transport.get_write_buffer_size():
                return False
            transport.write(b"%x\r\n%b\r\n" % (len(frames), frames))
            return True

        async with response:
            try:
                while piece := await reader.next(at_once):
                    await response.write(piece)
            except ClientConnectionResetError:
                pass  # the tab has closed
        return response


async def get(request: web.Request) -> web.Response:
    """``GET /api/jobs/:id``: the backend's response; refreshes the list unless an evaluation is running.

    A page that polls until an evaluation ends then finds the result in the list.
    """
    answer = await request.app[BACKEND].get_job(request.match_info["id"])
    if b'"evaluating"' not in answer.body:
        request.app[JOBS].refresh()
    return answered(answer)


async def edit(request: web.Request) -> web.Response:
    """``PATCH /api/jobs/:id``: the backend's response; refreshes the job list."""
    body = await read_object(request, JOB_CHANGES)
    answer = await request.app[BACKEND].edit_job(request.match_info["id"], job_changes(body))
    request.app[JOBS].refresh()
    return answered(answer)


async def delete(request: web.Request) -> web.Response:
    """``DELETE /api/jobs/:id``: ``{}``; removes the job from the list and its history."""
    answer = await request.app[BACKEND].delete_job(request.match_info["id"])
    request.app[EVENTS].forget(request.match_info["id"])
    request.app[JOBS].refresh()
    return web.json_response({}, headers=answer.headers)


ROUTES = [
    web.get("/api/jobs", list_jobs),
    web.get("/api/jobs/{id}", get),
    web.patch("/api/jobs/{id}", edit),
    web.delete("/api/jobs/{id}", delete),
    web.get("/api/jobs/{id}/history", history),
    web.get("/api/jobs/{id}/events", events),
]
