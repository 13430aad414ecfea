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
    still = 0.0

    async def tick() -> None:
        nonlocal still
        while True:
            due = loop.time() + TICK
            await asyncio.sleep(TICK)
            late = loop.time() - due
            still += late if late > NOTICED else 0

    ticking = asyncio.create_task(tick(), name="ticks beside what is measured")
    try:
        yield lambda: still
    finally:
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)
