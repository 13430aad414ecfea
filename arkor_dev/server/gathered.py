"""Batches stream chunks that arrive faster than anyone can read; others pass at once.

A model's words arrive as one chunk each. If they arrive faster than a screen can show them, each one wakes
two processes for nothing. So chunks that arrive within a few milliseconds of the last one are sent together.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

APART: Final = 0.004
"""Seconds between two chunks: a quarter of a screen's frame."""
FULL: Final = 16_384
"""Bytes from which a batch is sent at once: so much is not a model's words."""


async def gathered(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield the content in order; raise a read error after yielding what was read before it."""
    clock = asyncio.get_running_loop().time
    last = -APART
    while piece := await content.readany():
        early = last + APART - clock()
        if early > 0 and len(piece) < FULL:
            await asyncio.sleep(early)
            # The next read raises the error again: yield what has arrived first.
            with contextlib.suppress(aiohttp.ClientError, OSError):
                piece += content.read_nowait()
        yield piece
        last = clock()
