"""On Linux, serves only the user who runs the daemon.

The page contains the launch's token, so on a shared machine any account that can load the page could control
Studio. The kernel knows the owner of a loopback socket (``socket_owner.py``). A connection whose owner is not
proven to be the same user is a stranger's, even if the owner cannot be determined.
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
    """Yield a function that recognises strangers by a connection's ends ``(peer, own)``.

    Raises ArkorError if the check is required and unavailable.
    """
    if allow_other_users or sys.platform != "linux":
        yield lambda _peer, _own: False
        return
    try:
        owners = open_owners()
    except OSError as error:
        raise InternalError(
            f"Studio cannot determine which user of this machine connects to it: {error}. "
            "If you are its only user, start Studio with --allow-other-users.",
        ) from None
    uid = os.getuid()
    try:
        yield lambda peer, own: owners.owner_of(peer, own) != uid
    finally:
        owners.close()


@web.middleware
async def same_user_guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Respond 403 on a connection that was a stranger's when it was accepted."""
    if getattr(request.protocol, "is_stranger", True):
        response = refusal(
            request,
            403,
            "This Studio belongs to another user of this machine. "
            "Its owner can start it with --allow-other-users.",
        )
        response.force_close()
        return response
    return await handler(request)
