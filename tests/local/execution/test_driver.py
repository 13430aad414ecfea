"""A driver that does not leave the cluster in time is ended, whoever waits for it and however long."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from arkor_dev.local.execution import cluster


class Stuck:
    """A driver's process that hears nothing but a kill."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.killed = asyncio.Event()

    def send(self, **fields: Any) -> None:
        self.told.append(fields)

    def kill(self) -> None:
        self.killed.set()

    async def ended(self) -> int:
        await self.killed.wait()
        return -9


async def test_it_is_killed_when_leaving_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "LEAVE_SECONDS", 0.01)
    stuck = Stuck()
    async with asyncio.timeout(60):
        await cluster.Driver(stuck).stop()  # type: ignore[arg-type]
    assert stuck.told == [{"do": "end"}]


async def test_it_is_killed_when_nobody_waits_any_more() -> None:
    stuck = Stuck()
    stopping = asyncio.create_task(cluster.Driver(stuck).stop())  # type: ignore[arg-type]
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert stuck.killed.is_set()
