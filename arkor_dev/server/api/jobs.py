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
    STALE_HEADER,
    STALE_STATUS_HEADER,
    STALE_WHY_HEADER,
)
from arkor_dev.server.app_keys import BACKEND, EVENTS, JOBS
from arkor_dev.server.negotiation import has, takes

from .envelope import answered, read_object

_WHY_CHARACTERS = 600


async def list_jobs(request: web.Request) -> web.Response:
    """``GET /api/jobs``: the list, with an ETag.

    While the backend does not give it, ``X-Arkor-Stale`` is the last list's age in seconds,
    ``X-Arkor-Stale-Why`` (percent-encoded UTF-8) the reason, and ``X-Arkor-Stale-Status`` the status that it
    answered, if it did.
    """
    cache = request.app[JOBS]
    jobs, stale = await cache.get()
    headers = {
        **jobs.headers,
        hdrs.ETAG: f'W/"{jobs.tag}"',  # weak: it stands for the list in either coding
        hdrs.VARY: hdrs.ACCEPT_ENCODING,
    }
    if stale is not None:
        headers[STALE_HEADER] = str(stale)
        if (trouble := cache.trouble) is not None:
            headers[STALE_WHY_HEADER] = quote(trouble.text[:_WHY_CHARACTERS])
            if trouble.answered is not None:
                headers[STALE_STATUS_HEADER] = str(trouble.answered)
    if has(request, jobs.tag):
        return web.Response(status=304, headers=headers)
    headers[hdrs.CONTENT_TYPE] = "application/json; charset=utf-8"
    if takes(request.headers.get(hdrs.ACCEPT_ENCODING, ""), "gzip"):
        headers[hdrs.CONTENT_ENCODING] = "gzip"
        return web.Response(body=await jobs.gzipped(), headers=headers)
    return web.Response(body=jobs.body, headers=headers)


async def history(request: web.Request) -> web.StreamResponse:
    """``GET /api/jobs/:id/history``: the batch form of the events.

    Every frame known so far in one quick answer, in the form of the event stream, with a Content-Length: a
    page that takes 150,000 events one by one from a stream needs seconds, one that scans one body does not.
    ``X-Arkor-Cursor`` is the place after the last of them: ``GET /api/jobs/:id/events?after=<cursor>`` goes
    on from exactly there. The body ends with the job's ``end`` when nothing will follow.

    A job that the backend does not know is 204 and not 404: an old link is no fault, and a browser reports
    each 404 as one in its console.

    With ``?again`` a job that was over is asked for anew: somebody may have let it go on.
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
            if not reader.at(end):  # let go of meanwhile: an answer that is too short must not look whole
                response.force_close()
                last = b""
            await response.write_eof(last)
        except ClientConnectionResetError:
            pass  # the tab has gone
        return response


async def events(request: web.Request) -> web.StreamResponse:
    """``GET /api/jobs/:id/events[?after=<cursor>]``: server-sent events until the job's ``end``.

    ``X-Arkor-From`` says where the stream begins: when that is not the cursor asked for, the reader starts
    over. A cursor is a name, a point and an offset: whoever adds the bytes of the frames that have come
    since, comments left out, has the cursor of the place after them and resumes there. Comments are for the
    reader: ``: reconnecting`` and ``: connected`` tell whether the backend is there.
    """
    last_id = request.headers.get("Last-Event-ID")
    async with request.app[EVENTS].follow(request.match_info["id"], whole=last_id is not None) as reader:
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
                pass  # the tab has gone
        return response


async def get(request: web.Request) -> web.Response:
    """``GET /api/jobs/:id``: the backend's answer; the list is fetched anew where nothing is being evaluated.

    Whoever looks until an evaluation is done finds it in the list then.
    """
    answer = await request.app[BACKEND].get_job(request.match_info["id"])
    if b'"evaluating"' not in answer.body:
        request.app[JOBS].refresh()
    return answered(answer)


async def edit(request: web.Request) -> web.Response:
    """``PATCH /api/jobs/:id``: the backend's answer; the list is fetched anew at once."""
    body = await read_object(request, JOB_CHANGES)
    answer = await request.app[BACKEND].edit_job(request.match_info["id"], job_changes(body))
    request.app[JOBS].refresh()
    return answered(answer)


async def delete(request: web.Request) -> web.Response:
    """``DELETE /api/jobs/:id``: ``{}``; neither the list nor the history has the job any more."""
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
