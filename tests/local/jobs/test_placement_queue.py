"""A job that finds no place waits with the reason, lets others pass, and starts when there is one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.execution.messages import Ended, JobRequest, Waits
from arkor_dev.local.jobs.async_store import AsyncStore
from arkor_dev.local.jobs.running import placement_queue, worker_session
from arkor_dev.local.jobs.scheduler import Scheduler
from arkor_dev.local.jobs.store import Store
from tests.local.execution.test_interface import LOSS, Elsewhere, Here
from tests.local.jobs.test_async_store import CONFIG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from arkor_dev.contract.shapes import Job

WHY = "The job asks for 8 processors, and 2 are free"
END = Ended({"type": "training.completed", "metrics": {}})


class Full:
    """An execution that has no place for a job of a cluster until it is ``free``."""

    grace = 0.1

    def __init__(self) -> None:
        self.free = False
        self.asked = asyncio.Event()

    async def start(self, job: JobRequest) -> Elsewhere:
        waits = not self.free and job.config.get("cluster") is not None
        return await Elsewhere(*([Waits(WHY)] if waits else [LOSS, END])).start(job)

    def attaches(self, _: Path, __: str) -> bool:
        return False

    async def has_capacity(self, _: Mapping[str, Any]) -> bool:
        self.asked.set()
        return self.free


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Full:
    full = Full()
    for module in (worker_session, placement_queue):
        monkeypatch.setattr(module, "execution_of", lambda _: full)
    monkeypatch.setattr(placement_queue, "CHECK_SECONDS", 0.01)
    return full


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[AsyncStore]:
    store = AsyncStore(Store(tmp_path / "backend.sqlite", "local"))
    yield store
    store.close()


async def become(store: AsyncStore, job: str, status: str) -> Job:
    async with asyncio.timeout(60):
        while True:
            news = store.pulse.next()
            found = await store.read(Store.get, job)
            assert found
            if found["status"] == status and (status != "queued" or "reason" in found.get("queue", {})):
                return found
            await news.wait()


async def test_a_cluster_job_waits_for_room_without_blocking_others(
    store: AsyncStore, full: Full, tmp_path: Path
) -> None:
    far = (await store.write(Store.create, "far", {**CONFIG, "cluster": "head:6379"}))["id"]
    scheduler = Scheduler(store, Here(tmp_path), tmp_path, tmp_path)  # type: ignore[arg-type]
    async with scheduler.running():
        assert (await become(store, far, "queued"))["queue"]["reason"] == WHY
        near = (await store.write(Store.create, "near", CONFIG))["id"]
        scheduler.wake()
        await become(store, near, "completed")
        async with asyncio.timeout(60):
            await full.asked.wait()
        assert (await become(store, far, "queued"))["queue"]["position"] == 1
        full.free = True
        assert "queue" not in await become(store, far, "completed")


async def test_a_waiting_cluster_job_can_be_cancelled(store: AsyncStore, full: Full, tmp_path: Path) -> None:
    far = (await store.write(Store.create, "far", {**CONFIG, "cluster": "head:6379"}))["id"]
    scheduler = Scheduler(store, Here(tmp_path), tmp_path, tmp_path)  # type: ignore[arg-type]
    async with scheduler.running():
        await become(store, far, "queued")
        await scheduler.cancel(far)
        await become(store, far, "cancelled")
