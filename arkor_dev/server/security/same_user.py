"""On Linux, serve only the user who runs the daemon.

The page holds the launch's token, so on a shared machine any account that can fetch the page could drive
Studio. The kernel knows whose a loopback socket is (``socket_owner.py``), and who is not shown to be the
same user is a stranger: one that cannot be seen is refused like one that is somebody else.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from arkor_dev.contract.errors import InternalError

from .guards import refusal
from .socket_owner import open_owners

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .guards import Handler
    from .socket_owner import Address

    IsStranger = Callable[[Address, Address], bool]


@contextmanager
def strangers(*, allow_other_users: bool) -> Iterator[IsStranger]:
    """What tells a stranger by a connection's two ends, ``(peer, own)``, for the length of a launch.

    Raises ArkorError where it should and cannot be told.
    """
    if allow_other_users or sys.platform != "linux":
        yield lambda _peer, _own: False
        return
    try:
        owners = open_owners()
    except OSError as error:
        raise InternalError(
            f"Studio cannot tell which user of this machine connects to it: {error}. "
            "If you are its only user, start Studio with --allow-other-users.",
        ) from None
    uid = os.getuid()
    try:
        yield lambda peer, own: owners.owner_of(peer, own) != uid
    finally:
        owners.close()


@web.middleware
async def same_user_guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 403 on a connection that was not found to be the same user's when it was accepted."""
    if getattr(request.protocol, "stranger", True):
        response = refusal(
            request,
            403,
            "This Studio belongs to another user of this machine. "
            "Its owner can start it with --allow-other-users.",
        )
        response.force_close()
        return response
    return await handler(request)
