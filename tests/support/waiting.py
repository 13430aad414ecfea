"""Waiting for what has no event of its own to wait for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Look again, less and less often, until ``condition`` holds; TimeoutError after ``seconds``."""
    pause = 0.002
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(pause)
            pause = min(1.1 * pause, 0.05)
