"""On Linux, serve only the user who runs the daemon.

The page holds the launch's token, so on a shared machine any account that can fetch the page could drive
Studio. The kernel knows whose a loopback socket is: ``/proc/net/tcp`` lists it with its owner's uid.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from aiohttp import web

from .guard import refusal

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from aiohttp.typedefs import Middleware

    from .guard import Handler

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def _word(raw: bytes) -> str:
    # The kernel prints each 32-bit word of an address in the machine's own byte order.
    return f"{struct.unpack('=I', raw)[0]:08X}"


_MAPPED = "0" * 16 + _word(b"\0\0\xff\xff")  # ::ffff:0:0/96


def _as_kernel_prints(address: str, port: int) -> tuple[str, str]:
    """An IPv4 end point as ``tcp`` lists it and, mapped into IPv6, as ``tcp6`` does."""
    word = _word(socket.inet_aton(address))
    return f"{word}:{port:04X}", f"{_MAPPED}{word}:{port:04X}"


def owner_of(local: tuple[str, int], remote: tuple[str, int], tables: Iterable[Path] = TABLES) -> int | None:
    """The uid that owns the socket bound to ``local`` and connected to ``remote``; None when unlisted."""
    ends = set(zip(_as_kernel_prints(*local), _as_kernel_prints(*remote), strict=True))
    for table in tables:
        try:
            lines = table.read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            # An orphaned socket (its process is gone) is listed with inode 0 and uid 0, which is nobody's.
            if (fields[1], fields[2]) in ends and fields[9] != "0":
                return int(fields[7])
    return None


def _is_same_user(transport: asyncio.Transport) -> bool:
    peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    uid = owner_of(peer[:2], own[:2])
    if uid is None:
        # A kernel that does not list even our own end tells nothing about anybody; one that lists ours and
        # not the peer's has seen the peer go.
        return owner_of(own[:2], peer[:2]) is None
    return uid == os.getuid()


def same_user_guard() -> Middleware:
    """A middleware that answers 403 to a connection which another account of this machine has opened."""
    verdicts: WeakKeyDictionary[asyncio.Transport, bool] = WeakKeyDictionary()

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        transport = request.transport
        if transport is not None:
            verdict = verdicts.get(transport)
            if verdict is None:
                verdict = verdicts[transport] = _is_same_user(transport)
            if not verdict:
                return refusal(
                    request,
                    403,
                    "This Studio belongs to another user of this machine. "
                    "Its owner can start it with --allow-other-users.",
                )
        return await handler(request)

    return guard
