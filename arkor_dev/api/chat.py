"""Chat: the backend's stream, passed on chunk by chunk as it comes."""

from __future__ import annotations

import json

import aiohttp
from aiohttp import ClientConnectionResetError, hdrs, web

from ..errors import StudioError
from ..keys import BACKEND
from .envelope import parse_object, read_body


async def chat(request: web.Request) -> web.StreamResponse:
    """``POST /api/inference/chat``. The tab leaving cancels this handler, and with it the upstream call."""
    body = await read_body(request)
    if not isinstance(parse_object(body).get("messages"), list):
        raise StudioError(400, "`messages` has to be a list.")
    async with request.app[BACKEND].chat(body) as upstream:
        response = web.StreamResponse(status=upstream.status)
        response.headers[hdrs.CONTENT_TYPE] = upstream.headers.get(hdrs.CONTENT_TYPE, "text/event-stream")
        response.headers["X-Accel-Buffering"] = "no"
        await response.prepare(request)
        try:
            async for chunk in upstream.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
        except ClientConnectionResetError:
            pass  # the tab has gone
        except (StudioError, aiohttp.ClientError, TimeoutError) as error:
            await _cut(response, error)
        return response


async def _cut(response: web.StreamResponse, error: Exception) -> None:
    """Say in the stream that it was cut: the status line has long been sent."""
    text = error.text if isinstance(error, StudioError) else "The backend cut the answer off. Try again."
    frame = f"\n\nevent: error\ndata: {json.dumps({'error': text})}\n\n"
    await response.write(frame.encode())
    await response.write_eof()


ROUTES = [web.post("/api/inference/chat", chat)]
