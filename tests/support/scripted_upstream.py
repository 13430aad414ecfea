"""An upstream of event streams that a test plays by hand: no socket, no time, every step in its order."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiohttp


class Connection:
    """One opened stream. ``last_event_id`` is what it was asked to resume after."""

    def __init__(self, job_id: str, last_event_id: str | None) -> None:
        self.job_id = job_id
        self.last_event_id = last_event_id
        self.closed = False
        self._pieces: asyncio.Queue[bytes | BaseException] = asyncio.Queue()

    def send(self, *frames: str) -> None:
        """Frames without their blank lines."""
        self.send_raw("".join(frame + "\n\n" for frame in frames).encode())

    def send_raw(self, data: bytes) -> None:
        """Any bytes; ``b""`` closes the stream as a server does that has finished."""
        self._pieces.put_nowait(data)

    def fail(self, fault: BaseException) -> None:
        """Break the stream off."""
        self._pieces.put_nowait(fault)

    @property
    def headers(self) -> dict[str, str]:
        """As of ``ClientResponse``."""
        return {}

    @property
    def request_info(self) -> Connection:
        """As of ``ClientResponse``."""
        return self

    @property
    def content(self) -> Connection:
        """As of ``ClientResponse``."""
        return self

    async def readany(self) -> bytes:
        """As of ``StreamReader``."""
        piece = await self._pieces.get()
        if isinstance(piece, BaseException):
            raise piece
        return piece


class Upstream:
    """``refuse`` is raised instead of opening, as often as it says."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.refuse: list[Exception] = []
        self._opened = asyncio.Event()

    @property
    def open_ones(self) -> list[Connection]:
        """The connections that nobody has left."""
        return [connection for connection in self.connections if not connection.closed]

    async def nth(self, number: int) -> Connection:
        """The connection of this number, from 1, once it is there."""
        async with asyncio.timeout(30):
            while len(self.connections) < number:
                self._opened.clear()
                await self._opened.wait()
        return self.connections[number - 1]

    @asynccontextmanager
    async def open(self, job_id: str, last_event_id: str | None) -> AsyncIterator[aiohttp.ClientResponse]:
        """As ``Backend.events``."""
        if self.refuse:
            raise self.refuse.pop(0)
        connection = Connection(job_id, last_event_id)
        self.connections.append(connection)
        self._opened.set()
        try:
            yield cast("Any", connection)
        finally:
            connection.closed = True


class Naps:
    """A clock of the test's own: it notes how long was to be slept, and sleeps no longer than a blink."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, delay: float) -> None:
        """Sleep."""
        self.taken.append(delay)
        await asyncio.sleep(0)
