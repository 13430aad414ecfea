"""A pause of this process is told, and waiting for another one is none."""

from __future__ import annotations

import asyncio
import time

from .standstill import standstill


async def test_standstills_are_measured() -> None:
    async with standstill() as still:
        await asyncio.sleep(0.05)
        time.sleep(0.3)  # noqa: ASYNC251 (that is the pause)
        assert still() > 0.25  # at once
        await asyncio.sleep(0.05)
        assert still() > 0.25


async def test_waiting_is_not_a_standstill() -> None:
    told = []
    for _ in range(3):  # the machine may stand still in one of them
        async with standstill() as still:
            await asyncio.sleep(0.3)
            told.append(still())
    assert min(told) == 0
