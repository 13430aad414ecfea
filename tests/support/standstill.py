"""For how long this machine has stood still beside something that is measured by the clock."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

TICK = 0.01
NOTICED = 0.1
"""Seconds that a tick may be late before it counts: a process of a busy machine is always a little late."""


@asynccontextmanager
async def standstill() -> AsyncIterator[Callable[[], float]]:
    """A function that says for how many seconds nothing has run here since the block began.

    A task of this loop ticks and notes each longer pause. For what is measured in another process: whatever
    blocks this loop counts as well.
    """
    loop = asyncio.get_running_loop()
    still, due = 0.0, loop.time() + TICK

    def late() -> float:
        """Of the tick that is due."""
        seconds = loop.time() - due
        return seconds if seconds > NOTICED else 0.0

    async def tick() -> None:
        nonlocal still, due
        while True:
            await asyncio.sleep(due - loop.time())
            still += late()
            due = loop.time() + TICK

    ticking = asyncio.create_task(tick(), name="ticks beside what is measured")
    try:
        # What is asked right after a pause comes before the tick that is late by it.
        yield lambda: still + late()
    finally:
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
