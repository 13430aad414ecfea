"""Accepts connections: checks the owner of each and limits their number.

asyncio's server accepts a hundred connections before it examines one, and each costs a descriptor. Here a
stranger's connection is examined and closed before the next is accepted, so that another account on the
machine cannot exhaust the descriptors that the owner's tabs, files and training commands need.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from .http_protocol import Protocol
    from .same_user import IsStranger

log = logging.getLogger(__name__)

AT_ONCE: Final = 32
"""Connections accepted before existing ones get a turn."""
STRANGERS: Final = 4
"""Maximum number of strangers that receive a response with the reason; further ones are disconnected."""
PAUSE: Final = 0.25
"""Seconds to wait when the process has run out of descriptors."""


class Listener:
    """Accept connections on ``sock``, at most ``limit`` of the owner, with protocols from ``connection``."""

    def __init__(
        self, sock: socket.socket, connection: Callable[[], Protocol], is_stranger: IsStranger, limit: int
    ) -> None:
        self._sock = sock
        self._connection = connection
        self._is_stranger = is_stranger
        self._free = {False: limit, True: STRANGERS}
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._resume: asyncio.TimerHandle | None = None
        self._reported: set[str] = set()
        sock.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Stop accepting; open connections stay."""
        self._loop.remove_reader(self._sock)
        if self._resume is not None:
            self._resume.cancel()
        for task in self._opening:
            task.cancel()

    def _listen(self) -> None:
        self._loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, peer = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._report_once(
                    f"No connection can be accepted ({error.strerror}). Close some programs or tabs."
                )
                self._loop.remove_reader(self._sock)
                self._resume = self._loop.call_later(PAUSE, self._listen)
                return
            self._admit(connection, peer)

    def _admit(self, connection: socket.socket, peer: tuple[str, int]) -> None:
        try:
            is_stranger = self._is_stranger(peer, connection.getsockname())
        except OSError:  # closed already
            is_stranger = True
        if not self._free[is_stranger]:
            connection.close()
            if not is_stranger:
                self._report_once("Too many connections are open, so a new one was refused. Close some tabs.")
            return
        self._free[is_stranger] -= 1
        protocol = self._connection()
        protocol.is_stranger = is_stranger
        protocol.on_lost = self._release
        task = self._loop.create_task(self._open(connection, protocol))
        self._opening.add(task)
        task.add_done_callback(lambda task: self._opened(task, connection))

    async def _open(self, connection: socket.socket, protocol: Protocol) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, connection)
        except OSError:
            connection.close()
            self._release(protocol)

    def _opened(self, task: asyncio.Task[None], connection: socket.socket) -> None:
        self._opening.discard(task)
        if task.cancelled():  # may be cancelled before it starts, when no one else would close the socket
            connection.close()

    def _release(self, protocol: Protocol) -> None:
        protocol.on_lost = None
        self._free[protocol.is_stranger] += 1

    def _report_once(self, text: str) -> None:
        if text not in self._reported:  # log once only: this happens during a flood
            self._reported.add(text)
            log.warning(text)
