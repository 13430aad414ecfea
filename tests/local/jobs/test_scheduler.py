"""A cancellation finds its job wherever that is, and a worker gets to say how far it came."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.jobs.async_store import AsyncStore
from arkor_dev.local.jobs.scheduler import Scheduler
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.workers.process import Child
from tests.local.jobs.test_async_store import CONFIG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Worker:
    """Stands for the training process: it trains until it is told to stop, and then says at which step."""

    def __init__(self) -> None:
        self._told = asyncio.Event()

    def send(self, **message: Any) -> None:
        if message.get("do") == "cancel":
            self._told.set()

    async def batches(self) -> AsyncIterator[list[dict[str, Any]]]:
        await self._told.wait()
        await asyncio.sleep(0.02)
        yield [{"end": "cancelled", "fields": {"step": 7}}]

    async def stop(self) -> None:
        pass


class Here:
    """A model that is at hand."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def ensure(self, name: str, _: object) -> Model:
        return Model(name, self._folder)


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncStore]:
    async def start(*_: object) -> Worker:
        return Worker()

    monkeypatch.setattr(Child, "start", start)
    store = AsyncStore(Store(tmp_path / "backend.sqlite", "local"))
    yield store
    store.close()


def scheduler_of(store: AsyncStore, folder: Path) -> Scheduler:
    return Scheduler(store, Here(folder), folder, folder)  # type: ignore[arg-type]


async def last_event(store: AsyncStore, job: str) -> tuple[str, str]:
    _, name, data = (await store.read(Store.events, job, 0, 100))[-1]
    return name, data


async def test_a_worker_that_is_cancelled_says_how_far_it_came(store: AsyncStore, tmp_path: Path) -> None:
    job = (await store.write(Store.create, "a", CONFIG))["id"]
    scheduler = scheduler_of(store, tmp_path)
    async with asyncio.timeout(10), scheduler.running():
        while not scheduler.busy:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await scheduler.cancel(job)
    name, data = await last_event(store, job)
    assert name == "training.cancelled"
    assert '"step":7' in data.replace(" ", "")


async def test_a_job_is_cancelled_in_the_moment_of_its_start(
    store: AsyncStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data base says that it runs, and the scheduler does not know yet which one it is."""
    job = (await store.write(Store.create, "a", CONFIG))["id"]
    scheduler = scheduler_of(store, tmp_path)
    cancelling: list[asyncio.Task[None]] = []
    write = store.write

    async def cancelled_meanwhile(call: Any, *arguments: Any) -> Any:
        answer = await write(call, *arguments)
        if call is Store.start_next and answer is not None:
            cancelling.append(asyncio.create_task(scheduler.cancel(job)))
            while job not in scheduler._unwanted:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        return answer

    monkeypatch.setattr(store, "write", cancelled_meanwhile)
    async with asyncio.timeout(5), scheduler.running():
        while not cancelling:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        await cancelling[0]
    record = await store.read(Store.get, job)
    assert record is not None
    assert record["status"] == "cancelled"
