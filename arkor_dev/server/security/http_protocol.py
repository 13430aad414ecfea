"""Replaces aiohttp's handling of malformed requests, which happens below the middlewares.

aiohttp echoes such bytes in its response, without our headers, and logs them with a traceback. The echo may
contain the token of an ``?studioToken=``, and garbage from a stranger is not our error, so both are replaced.
The ``Expect`` header is withheld here, too: aiohttp would answer it before any middleware, whoever sent it.
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
"""Seconds a connection may be idle or take to send a request's head."""


class Protocol(web.RequestHandler):
    """One connection. aiohttp limits line, field and header count: 8 KiB, 8 KiB and 128.

    ``is_stranger`` unless it was proven to be the owner's; ``on_lost`` is called once when it has closed.
    """

    __slots__ = ("is_stranger", "on_lost")

    def __init__(self, server: web.Server, loop: AbstractEventLoop) -> None:
        # No access log: aiohttp's prints query strings, which include EventSource's token.
        super().__init__(server, loop=loop, access_log=None, keepalive_timeout=IDLE_TIMEOUT)  # type: ignore[arg-type]
        self.is_stranger = True
        self.on_lost: Callable[[Protocol], None] | None = None

    def connection_lost(self, exc: BaseException | None) -> None:
        """Free the slot for another connection."""
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
        """Respond to a malformed request with a plain 400; aiohttp logs anything else as a bug."""
        if request.writer.output_size:
            raise ConnectionResetError  # the response is partly sent; the envelope has logged the reason
        if not isinstance(exc, HttpProcessingError):
            response = super().handle_error(request, status, exc, message)
        else:
            response = web.Response(status=400, text="Studio cannot read this as HTTP.\n")
            response.force_close()
        response.headers.update(SECURITY_HEADERS)
        response.headers[hdrs.CACHE_CONTROL] = "no-store"
        return response


def protocol_factory(server: web.Server) -> Callable[[], Protocol]:
    """Return the factory of protocols for accepted connections."""
    server.request_factory = _without_expectation(server.request_factory)
    loop = get_running_loop()
    return lambda: Protocol(server, loop)


def _without_expectation(make: Requests) -> Requests:
    """Move the ``Expect`` header from aiohttp's sight to :data:`~arkor_dev.server.security.guards.EXPECT`."""

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
