"""On Linux, serve only the user who runs the daemon.

The page holds the launch's token, so on a shared machine any account that can fetch the page could drive
Studio. The kernel knows whose a loopback socket is (``socket_owner.py``).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from aiohttp import web

from .guard import refusal
from .socket_owner import owner_of

if TYPE_CHECKING:
    import asyncio

    from aiohttp.typedefs import Middleware

    from .guard import Handler


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
