"""The ways in which the fake backend can go wrong, down to the single byte."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass
class Fault:
    """What happens to a call instead of, or on the way to, the right answer.

    ``times`` calls are hit (None: all). ``delay`` waits before anything is sent, ``until`` for that event,
    ``hang`` for ever.
    ``garbage`` is sent raw in place of HTTP. ``status`` (with ``body`` and ``headers``) answers in the
    handler's place; ``flood`` sends that many bytes as the body. For right answers ``cut_after`` breaks the
    connection and ``stall_after`` goes silent after so many bytes of the body; ``drip`` waits between bytes.
    ``first_byte`` waits between the head and the body.
    """

    times: int | None = None
    delay: float = 0
    until: asyncio.Event | None = None
    hang: bool = False
    garbage: bytes | None = None
    status: int | None = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    flood: int | None = None
    cut_after: int | None = None
    stall_after: int | None = None
    drip: float = 0
    first_byte: float = 0


async def answer_wrongly(fault: Fault, request: web.Request) -> web.StreamResponse | None:
    """The wrong answer, or None when the handler is to answer after all."""
    await asyncio.sleep(fault.delay)
    if fault.until:
        await fault.until.wait()
    if fault.hang:
        await asyncio.Event().wait()
    if fault.garbage is not None:
        assert request.transport is not None
        request.transport.write(fault.garbage)
        await asyncio.sleep(0.01)
        request.transport.close()
        return web.Response()
    if fault.flood is not None:
        sender = await Sender.open(request, "application/json", fault.headers, fault)
        await sender.write(b"[")
        piece = b" " * 65536
        for start in range(1, fault.flood, len(piece)):
            await sender.write(piece[: fault.flood - start])
        return await sender.end()
    if fault.status is None:
        return None
    body = b'{"error": "Told to fail."}' if fault.body is None else fault.body
    headers = {"Content-Type": "application/json", **fault.headers}
    return web.Response(status=fault.status, body=body, headers=headers)


class Sender:
    """A streamed answer that obeys a fault to the byte."""

    def __init__(self, request: web.Request, response: web.StreamResponse, fault: Fault | None) -> None:
        self._request = request
        self._response = response
        self._fault = fault or Fault()
        self._sent = 0

    @classmethod
    async def open(
        cls, request: web.Request, content_type: str, headers: Mapping[str, str], fault: Fault | None
    ) -> Sender:
        """Send the head."""
        response = web.StreamResponse(headers={"Content-Type": content_type, **headers})
        await response.prepare(request)
        if fault is not None:
            await asyncio.sleep(fault.first_byte)
        return cls(request, response, fault)

    @classmethod
    async def resend(cls, request: web.Request, whole: web.Response, fault: Fault) -> web.StreamResponse:
        """Send a whole answer as the fault wants it."""
        body = bytes(whole.body or b"") if isinstance(whole.body, (bytes, bytearray)) else b""
        response = web.StreamResponse(status=whole.status, headers=whole.headers)
        response.content_length = len(body)
        await response.prepare(request)
        sender = cls(request, response, fault)
        await sender.write(body)
        return await sender.end()

    async def write(self, data: bytes) -> None:
        """Send what the fault allows."""
        fault = self._fault
        if fault.drip:
            for index in range(len(data)):
                await self._allowed(data[index : index + 1])
                await asyncio.sleep(fault.drip)
        else:
            await self._allowed(data)

    async def _allowed(self, data: bytes) -> None:
        fault = self._fault
        limit = fault.cut_after if fault.cut_after is not None else fault.stall_after
        room = len(data) if limit is None else limit - self._sent
        if data[:room]:
            await self._response.write(data[:room])
            self._sent += len(data[:room])
        if room > len(data) or limit is None:
            return
        if fault.stall_after is not None:
            await asyncio.Event().wait()
        # Let the bytes out before the connection breaks, or there would be nothing to be cut after.
        await asyncio.sleep(0.02)
        if self._request.transport is not None:
            self._request.transport.abort()
        raise ConnectionResetError("cut as told")

    async def end(self) -> web.StreamResponse:
        """Finish properly."""
        await self._response.write_eof()
        return self._response
