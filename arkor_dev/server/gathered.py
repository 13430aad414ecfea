"""A stream's pieces on their way to a reader: each at once, but for those that follow each other too closely.

A model's words come as one piece each. Faster than a person or a screen can follow, each costs two processes
a wake-up that shows nothing; so what comes within some milliseconds of the last piece goes out together.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

APART: Final = 0.004
"""Seconds between two pieces; a quarter of what a screen takes for a picture."""
FULL: Final = 16_384
"""Bytes that are not held back: whoever sends so much is not writing words."""


async def gathered(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield what comes, in order; raises what reading raises, after the piece that was read before it."""
    clock = asyncio.get_running_loop().time
    last = -APART
    while piece := await content.readany():
        early = last + APART - clock()
        if early > 0 and len(piece) < FULL:
            await asyncio.sleep(early)
            # A fault is raised again by the next read: what had come goes first.
            with contextlib.suppress(aiohttp.ClientError, OSError):
                piece += content.read_nowait()
        yield piece
        last = clock()
