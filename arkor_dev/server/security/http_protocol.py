"""The level below the middlewares: what aiohttp's parser refuses never becomes a request.

aiohttp answers such bytes with an echo of them, without our headers, and logs them with a traceback. An
echo may hold the token of an ``?studioToken=`` and a stranger's garbage is no fault of ours, so both are
replaced here. The ``Expect`` header is kept back here too: aiohttp answers it before any middleware, to
whomever sent it.
"""

from __future__ import annotations

from asyncio import get_running_loop
from typing import TYPE_CHECKING

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError

from .guards import EXPECT, SECURITY_HEADERS

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task
    from collections.abc import Callable

    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.http_parser import RawRequestMessage
    from aiohttp.streams import StreamReader

    Requests = Callable[
        [RawRequestMessage, StreamReader, web.RequestHandler, AbstractStreamWriter, Task[None]],
        web.BaseRequest,
    ]

IDLE_TIMEOUT = 60.0
"""Seconds that a connection may idle, or take to send the head of a request."""


class Protocol(web.RequestHandler):
    """One connection. Line, field and header count are bounded by aiohttp: 8 KiB, 8 KiB and 128.

    ``stranger`` unless it was shown to be the owner's; ``on_lost`` is called once when it has ended.
    """

    __slots__ = ("on_lost", "stranger")

    def __init__(self, server: web.Server, loop: AbstractEventLoop) -> None:
        # No access log: aiohttp's own prints query strings, and EventSource's token is in one.
        super().__init__(server, loop=loop, access_log=None, keepalive_timeout=IDLE_TIMEOUT)  # type: ignore[arg-type]
        self.stranger = True
        self.on_lost: Callable[[Protocol], None] | None = None

    def connection_lost(self, exc: BaseException | None) -> None:
        """Make room for another."""
        super().connection_lost(exc)
        if self.on_lost is not None:
            self.on_lost(self)

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


def protocol_factory(server: web.Server) -> Callable[[], Protocol]:
    """What makes a protocol for each connection that the listener has accepted."""
    server.request_factory = _without_expectation(server.request_factory)
    loop = get_running_loop()
    return lambda: Protocol(server, loop)


def _without_expectation(make: Requests) -> Requests:
    """Requests whose ``Expect`` header is out of aiohttp's sight, under :data:`~arkor_dev.guard.EXPECT`."""

    def request_of(
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: Task[None],
    ) -> web.BaseRequest:
        expected = message.headers.get(hdrs.EXPECT)
        if expected is not None:
            headers = message.headers.copy()
            headers.popall(hdrs.EXPECT)
            message = message._replace(headers=type(message.headers)(headers))
        request = make(message, payload, protocol, writer, task)
        if expected is not None:
            request[EXPECT] = expected
        return request

    return request_of
