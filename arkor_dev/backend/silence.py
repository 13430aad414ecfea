"""Ends a stream that has been silent for too long.

aiohttp's own ``sock_read`` resets its timer at each read, which is a tenth of what an event costs on its way
through Studio. So the number of received bytes is compared from time to time instead.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from aiohttp import SocketTimeoutError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import StreamReader

LOOKS: Final = 8
"""Checks per limit: silence is detected late by at most an eighth of it."""


@contextmanager
def silence_at_most(seconds: float, content: StreamReader) -> Iterator[None]:
    """Make reads of ``content`` raise SocketTimeoutError after ``seconds`` without a byte."""
    loop, received, silent = asyncio.get_running_loop(), content.total_bytes, 0
    timer: asyncio.TimerHandle

    def check() -> None:
        nonlocal timer, received, silent
        silent = silent + 1 if content.total_bytes == received else 0
        received = content.total_bytes
        if silent >= LOOKS:
            content.set_exception(SocketTimeoutError("Timeout on reading data from socket"))
        else:
            timer = loop.call_later(seconds / LOOKS, check)

    timer = loop.call_later(seconds / LOOKS, check)
    try:
        yield
    finally:
        timer.cancel()
