"""Ports for servers of the tests that nobody else gets meanwhile, however many tests run on this machine."""

from __future__ import annotations

import socket
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def held_ports() -> Iterator[Callable[[], int]]:
    """A function that gives another free port of 127.0.0.1 with each call, held while the block runs.

    Each is bound and never listened on. So a connection to it is refused, the system gives it to nobody who
    asks for any port, and a server that sets SO_REUSEADDR, as Studio does, can still listen on it.
    """
    with ExitStack() as held:

        def take() -> int:
            sock = held.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", 0))
            return int(sock.getsockname()[1])

        yield take
