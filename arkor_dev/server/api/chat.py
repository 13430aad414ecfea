"""Chat: the backend's stream, passed on chunk by chunk as it comes."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import ClientConnectionResetError, hdrs, web

from arkor_dev.backend.http_errors import passed_on
from arkor_dev.contract.errors import ArkorError, BackendError, TimedOutError
from arkor_dev.contract.events import CHAT_ERROR, PING
from arkor_dev.contract.rules import Rule
from arkor_dev.contract.schema import Field, Schema
from arkor_dev.server.app_keys import BACKEND
from arkor_dev.server.gathered import gathered

from .envelope import parse_object, read_body

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

CHAT = Schema((Field("messages", Rule("list"), needed=True),))
"""The backend checks the rest: it knows its models. What it gets is the body as it came, byte by byte."""
EVENT_STREAM = "text/event-stream"
# The cut may have come in the middle of a frame: what there is of it becomes a ping, which is no answer.
CUT = f"\nevent: {PING}\n\nevent: {CHAT_ERROR}\ndata: %s\n\n"


async def chat(request: web.Request) -> web.StreamResponse:
    """``POST /api/inference/chat``. The tab leaving cancels this handler, and with it the upstream call."""
    body = await read_body(request)
    parse_object(body, CHAT)
    async with request.app[BACKEND].chat(body) as upstream:
        response = web.StreamResponse(status=upstream.status, headers=_headers(upstream))
        await response.prepare(request)
        try:
            async with contextlib.aclosing(_pieces(upstream)) as pieces:
                async for piece in pieces:
                    await response.write(piece)
            await response.write_eof()
        except ClientConnectionResetError:
            pass  # the tab has gone
        except ArkorError as fault:
            await _cut(request, response, fault.text)
        return response


def _headers(upstream: aiohttp.ClientResponse) -> dict[str, str]:
    return {
        hdrs.CONTENT_TYPE: upstream.headers.get(hdrs.CONTENT_TYPE, EVENT_STREAM),
        "X-Accel-Buffering": "no",
        **passed_on(upstream),
    }


async def _pieces(upstream: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """What comes; a cut is an ArkorError, so that it is not taken for the tab's."""
    try:
        async for piece in gathered(upstream.content):
            yield piece
    except TimeoutError:
        raise TimedOutError("The backend has stopped in the middle of its answer. Try again.") from None
    except (aiohttp.ClientError, OSError):
        raise BackendError("The backend has cut its answer off. Try again.") from None


async def _cut(request: web.Request, response: web.StreamResponse, text: str) -> None:
    """Say in the stream that it was cut: the status line has long been sent."""
    if response.content_type == EVENT_STREAM:
        await response.write((CUT % json.dumps({"error": text})).encode())
        await response.write_eof()
    elif request.transport is not None:
        request.transport.abort()  # half a JSON answer must not look like a whole one


ROUTES = [web.post("/api/inference/chat", chat)]
