"""The main function of a worker process that does one thing: receive a message, answer it, end.

`Child.result` is the backend's side of it.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

from .errors import JobFailure
from .link import Link

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def serve_one(
    work: Callable[[dict[str, Any], Link], Mapping[str, Any]],
    reason: Callable[[Exception], str],
    *,
    nice: int = 0,
) -> NoReturn:
    """Send the result of ``work`` on the one message, or ``error``, and end this process.

    The error is the text of a `JobFailure`, and for any other exception what ``reason`` returns. ``nice``
    lowers its priority below that of chats and the page.
    """
    if hasattr(os, "nice"):
        os.nice(nice)
    link = Link()
    order = link.receive()
    try:
        link.send(**work(order, link))
    except JobFailure as failure:
        link.send(error=str(failure))
    except Exception as error:  # noqa: BLE001 - the last line of defence of a process about to end
        traceback.print_exc()
        link.send(error=reason(error))
    sys.stderr.flush()
    os._exit(0)
