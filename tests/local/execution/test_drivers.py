"""A driver whose job was completed takes the next one of its cluster; each other one ends with its job."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from arkor_dev.local.execution import drivers
from arkor_dev.local.execution.cluster import ClusterExecution
from arkor_dev.local.execution.messages import Ended, JobRequest, Seeking, TrainingEvent
from arkor_dev.local.models.catalog import Model
from tests.local.job_configs import config_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from arkor_dev.local.execution.messages import WorkerMessage

ADDRESS = "ray://head:10001"


@pytest.fixture
async def cluster(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ClusterExecution]:
    monkeypatch.setattr(drivers, "MODULE", "tests.local.execution.speaking")
    cluster = ClusterExecution()
    yield cluster
    await cluster.close()


def said_by(message: object) -> dict[str, Any]:
    """What ``speaking`` says of itself in an event."""
    assert isinstance(message, TrainingEvent)
    assert message.event["type"] == "training.message"
    fields: dict[str, Any] = json.loads(message.event["message"])
    return fields


async def carry(cluster: ClusterExecution, job: str = "job_1", address: str = ADDRESS, **more: Any) -> int:
    """Carry a job to its end; the pid of its driver."""
    pid: int = (await carried(cluster, job, address, **more))["pid"]
    return pid


async def carried(
    cluster: ClusterExecution, job: str = "job_1", address: str = ADDRESS, **more: Any
) -> dict[str, Any]:
    """What a job says that is carried to its end. All of it is its own."""
    config = {"cluster": address, **more.pop("config", {})}
    worker = await cluster.start(
        JobRequest(job, config_of(config), more.pop("data", "/data"), "/project", **more)
    )
    worker.send(Model(f"model of {job}", Path("/model")))
    said: list[WorkerMessage] = []
    async with asyncio.timeout(60):
        async for batch in worker.batches():
            said += batch
            if isinstance(said[-1], Ended):
                break
        await worker.stop()
    told, end = said
    assert isinstance(end, Ended)
    assert end.status == config.get("ends", "completed")
    fields = said_by(told)
    assert (fields["job"], fields["model"]) == (job, f"model of {job}")
    return fields


def lives(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


async def ended(pid: int) -> None:
    async with asyncio.timeout(60):
        while lives(pid):  # noqa: ASYNC110 - a process that is gone tells nobody
            await asyncio.sleep(0.01)


async def test_consecutive_jobs_share_a_driver(cluster: ClusterExecution) -> None:
    first = await carry(cluster)
    assert [await carry(cluster, f"job_{number}") for number in (2, 3)] == [first, first]


async def test_concurrent_jobs_have_their_own_driver(cluster: ClusterExecution) -> None:
    assert len(set(await asyncio.gather(carry(cluster, "job_1"), carry(cluster, "job_2")))) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"address": "ray://other:10001"},
        {"config": {"insecureCluster": True}},
        {"data": "/other"},
        {"attaches": True},
    ],
)
async def test_a_job_of_another_cluster_has_another_driver(
    cluster: ClusterExecution, other: dict[str, Any]
) -> None:
    first = await carry(cluster)
    assert await carry(cluster, "job_2", **other) != first
    assert await carry(cluster, "job_3") == first


async def test_a_driver_that_attached_ends_with_its_job(cluster: ClusterExecution) -> None:
    await ended(await carry(cluster, attaches=True))


@pytest.mark.parametrize("ends", ["failed", "cancelled", "paused"])
async def test_the_driver_of_an_incomplete_job_ends(cluster: ClusterExecution, ends: str) -> None:
    first = await carry(cluster, config={"ends": ends})
    await ended(first)
    assert await carry(cluster, "job_2") != first


async def test_a_driver_that_does_not_become_idle_is_killed(
    cluster: ClusterExecution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drivers, "LEAVE_SECONDS", 0.05)
    await ended(await carry(cluster, config={"deaf": True}))


async def test_a_killed_idle_driver_is_replaced(cluster: ClusterExecution) -> None:
    first = await carry(cluster)
    os.kill(first, signal.SIGKILL)
    assert await carry(cluster, "job_2") != first


async def test_a_model_sent_during_replacement_reaches_the_new_driver(
    cluster: ClusterExecution, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.kill(await carry(cluster), signal.SIGKILL)
    order = JobRequest(id="job_2", config=config_of({"cluster": ADDRESS}), data="/data", project="/project")
    worker = await cluster.start(order)
    start = drivers.DriverPool.start

    async def late(*arguments: Any) -> drivers.DriverProcess:
        worker.send(Model("model of job_2", Path("/model")))
        return await start(*arguments)

    monkeypatch.setattr(drivers.DriverPool, "start", late)
    async with asyncio.timeout(60):
        said = await anext(worker.batches())
    await worker.stop()
    assert said_by(said[0])["model"] == "model of job_2"


async def test_a_driver_with_a_lost_connection_is_replaced(cluster: ClusterExecution) -> None:
    first = await carry(cluster, config={"alone": True})
    second = await carry(cluster, "job_2")
    await ended(first)
    assert await carry(cluster, "job_3") == second


async def test_an_idle_driver_times_out(cluster: ClusterExecution, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers, "IDLE_SECONDS", 0.05)
    await ended(await carry(cluster))


async def test_the_longest_idle_driver_is_evicted(
    cluster: ClusterExecution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drivers, "MAX_IDLE", 2)
    first, second, third = [await carry(cluster, address=f"ray://{name}:1") for name in "abc"]
    await ended(first)
    assert await carry(cluster, address="ray://b:1") == second
    assert await carry(cluster, address="ray://c:1") == third


async def test_idle_drivers_end_with_the_backend(cluster: ClusterExecution) -> None:
    first = await carry(cluster)
    assert lives(first)
    await cluster.close()
    assert not lives(first)


async def test_a_placement_group_is_kept_for_the_next_job(
    cluster: ClusterExecution,
) -> None:
    assert not (await carried(cluster))["held"]
    assert (await carried(cluster, "job_2"))["held"]
    config = {"cluster": ADDRESS, "seeks": True}
    worker = await cluster.start(
        JobRequest(id="job_s", config=config_of(config), data="/other", project="/project")
    )
    worker.send(Model("model", Path("/model")))
    async for batch in worker.batches():
        assert batch == [Seeking(True)]
        break
    await carry(cluster, "job_3")
    assert not (await carried(cluster, "job_4"))["held"]
    await worker.stop()
    await carry(cluster, "job_5")
    assert (await carried(cluster, "job_6"))["held"]
