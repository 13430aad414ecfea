"""Accepting connections: each one that came is closed, however early the end comes."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings

from arkor_dev.server.security.listener import Listener
from arkor_dev.server.serve import bind


class Silent(asyncio.Protocol):
    """Describe what a silent connection is asked for."""

    stranger = False
    on_lost: object = None


async def test_a_connection_during_shutdown_is_closed() -> None:
    with bind(0) as sock, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        listener = Listener(sock, Silent, lambda peer, own: False, 10)  # type: ignore[arg-type]
        with socket.create_connection(sock.getsockname(), 5) as client:
            listener._accept()  # as the loop does, which gets no turn before the end
            listener.close()
            assert await asyncio.to_thread(client.recv, 1) == b""
            gc.collect()
    assert [str(each.message) for each in said] == []
