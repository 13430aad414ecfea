"""Accepting connections: whose each one is, and how many there may be.

asyncio's own server accepts a hundred connections before it looks at one of them, and each costs a
descriptor. Here a stranger's is looked at and closed before the next is accepted, so that another account
of the machine cannot use up what the owner's tabs, files and training commands need.
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
"""Connections that are accepted before whoever is connected gets a turn."""
STRANGERS: Final = 4
"""Strangers at a time that get an answer, which says why they are refused; the others are hung up on."""
PAUSE: Final = 0.25
"""Seconds to wait for descriptors when the process has run out of them."""


class Listener:
    """Serve the connections of ``sock``, at most ``most`` of the owner's, with what ``connection`` makes."""

    def __init__(
        self, sock: socket.socket, connection: Callable[[], Protocol], is_stranger: IsStranger, most: int
    ) -> None:
        self._sock = sock
        self._connection = connection
        self._is_stranger = is_stranger
        self._room = {False: most, True: STRANGERS}
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._resume: asyncio.TimerHandle | None = None
        self._told: set[str] = set()
        sock.setblocking(False)
        self._listen()

    def close(self) -> None:
        """Accept no more; open connections stay."""
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
                self._tell(f"No connection can be accepted ({error.strerror}). Close some programs or tabs.")
                self._loop.remove_reader(self._sock)
                self._resume = self._loop.call_later(PAUSE, self._listen)
                return
            self._admit(connection, peer)

    def _admit(self, connection: socket.socket, peer: tuple[str, int]) -> None:
        try:
            stranger = self._is_stranger(peer, connection.getsockname())
        except OSError:  # gone already
            stranger = True
        if not self._room[stranger]:
            connection.close()
            if not stranger:
                self._tell("Too many connections are open, so a new one was refused. Close some tabs.")
            return
        self._room[stranger] -= 1
        protocol = self._connection()
        protocol.stranger = stranger
        protocol.on_lost = self._lost
        task = self._loop.create_task(self._open(connection, protocol))
        self._opening.add(task)
        task.add_done_callback(lambda task: self._opened(task, connection))

    async def _open(self, connection: socket.socket, protocol: Protocol) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, connection)
        except OSError:
            connection.close()
            self._lost(protocol)

    def _opened(self, task: asyncio.Task[None], connection: socket.socket) -> None:
        self._opening.discard(task)
        if task.cancelled():  # perhaps before it began, so that nobody else closes it
            connection.close()

    def _lost(self, protocol: Protocol) -> None:
        protocol.on_lost = None
        self._room[protocol.stranger] += 1

    def _tell(self, text: str) -> None:
        if text not in self._told:  # once is enough: this is said while somebody floods us
            self._told.add(text)
            log.warning(text)
