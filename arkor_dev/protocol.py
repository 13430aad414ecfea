"""The level below the middlewares: what aiohttp's parser refuses never becomes a request.

aiohttp answers such bytes with an echo of them, without our headers, and logs them with a traceback. An
echo may hold the token of an ``?studioToken=`` and a stranger's garbage is no fault of ours, so both are
replaced here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from .guard import SECURITY_HEADERS

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

IDLE_TIMEOUT = 60.0
"""Seconds that a connection may idle, or take to send the head of a request."""


class Protocol(web.RequestHandler):
    """One connection. Line, field and header count are bounded by aiohttp: 8 KiB, 8 KiB and 128."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What the parser refused is a quiet 400; anything else is a bug, which aiohttp logs."""
        if request.writer.output_size:
            raise ConnectionResetError  # part of an answer is out; the envelope has logged why it broke off
        if not isinstance(exc, HttpProcessingError):
            response = super().handle_error(request, status, exc, message)
        else:
            response = web.Response(status=400, text="Studio cannot read this as HTTP.\n")
            response.force_close()
        response.headers.update(SECURITY_HEADERS)
        response.headers[hdrs.CACHE_CONTROL] = "no-store"
        return response


def protocol_factory(server: web.Server, loop: AbstractEventLoop) -> Callable[[], Protocol]:
    """What ``loop.create_server`` calls for each connection."""

    def connection() -> Protocol:
        # No access log: aiohttp's own prints query strings, and EventSource's token is in one.
        return Protocol(server, loop=loop, access_log=None, keepalive_timeout=IDLE_TIMEOUT)  # type: ignore[arg-type]

    return connection
