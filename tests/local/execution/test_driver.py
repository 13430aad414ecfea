"""A driver that does not leave the cluster in time is ended, whoever waits for it and however long."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.execution import cluster, drivers
from arkor_dev.local.execution.messages import Leave

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from arkor_dev.local.workers.codec import Message


class Stuck:
    """A driver's process that hears nothing but a kill."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.killed = asyncio.Event()

    def send(self, message: Message) -> None:
        self.told.append(message)

    def kill(self) -> None:
        self.killed.set()

    async def batches(self, _: object) -> AsyncIterator[list[Message]]:
        await self.killed.wait()
        yield []

    async def ended(self) -> int:
        await self.killed.wait()
        return -9


def driver(stuck: Stuck) -> cluster.ClusterWorker:
    return cluster.ClusterWorker(drivers.DriverPool(), drivers.DriverProcess(stuck, ()))  # type: ignore[arg-type]


async def test_a_driver_that_ends_too_slowly_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "LEAVE_SECONDS", 0.01)
    stuck = Stuck()
    async with asyncio.timeout(60):
        await driver(stuck).stop()
    assert stuck.told == [Leave(hold=False)]


async def test_a_cancelled_stop_kills_the_driver() -> None:
    stuck = Stuck()
    stopping = asyncio.create_task(driver(stuck).stop())
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert stuck.killed.is_set()
