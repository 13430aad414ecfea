"""Chat: streams the backend's answer to the page chunk by chunk."""

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

from .envelope import parse_object, read_body

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

CHAT = Schema(Field("messages", Rule("list"), needed=True))
"""Minimal check: the backend knows its models and checks the rest. It receives the body unchanged."""
EVENT_STREAM = "text/event-stream"
# The cut may be in the middle of a frame: this turns the fragment into a ping, which readers ignore.
CUT = f"\nevent: {PING}\n\nevent: {CHAT_ERROR}\ndata: %s\n\n"


async def chat(request: web.Request) -> web.StreamResponse:
    """``POST /api/inference/chat``. Closing the tab cancels this handler, and with it the upstream call."""
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
            pass  # the tab has closed
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
    """Yield the chunks; raise ArkorError if the upstream breaks, to tell it from a closed tab."""
    try:
        async for piece in upstream.content.iter_any():
            yield piece
    except TimeoutError:
        raise TimedOutError("The backend stopped in the middle of its answer. Try again.") from None
    except (aiohttp.ClientError, OSError):
        raise BackendError("The backend broke off its answer. Try again.") from None


async def _cut(request: web.Request, response: web.StreamResponse, text: str) -> None:
    """Report the break within the stream, since the status line was sent long ago."""
    if response.content_type == EVENT_STREAM:
        await response.write((CUT % json.dumps({"error": text})).encode())
        await response.write_eof()
    elif request.transport is not None:
        request.transport.abort()  # a truncated JSON answer must not look complete


ROUTES = [web.post("/api/inference/chat", chat)]
