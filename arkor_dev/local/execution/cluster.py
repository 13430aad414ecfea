"""Training on a cluster: a driver process of the backend holds the connection, and a node trains."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.placement import CLUSTER as CLUSTER_FIELD
from arkor_dev.contract.placement import INSECURE
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.process import Child

from . import leases
from .drivers import DriverPool
from .messages import CapacityFound, Ended, FindCapacity, Free, JobsRemoved, RemoveJobs, Seeking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from arkor_dev.contract.shapes import JobConfig
    from arkor_dev.local.workers.codec import M, Message

    from .drivers import DriverProcess
    from .interface import Worker
    from .messages import JobRequest, WorkerMessage

TASKS: Final = "arkor_dev.local.cluster.tasks"
TASK_SECONDS: Final = 150.0


class ClusterWorker:
    """A job's driver as its `Worker`. ``killed`` is False: a killed driver implies nothing about training
    memory.

    If a reused driver ends before its first message, it had lost its connection while idle. Then a new one
    replaces it and receives the same messages.
    """

    killed = ran_out_of_memory = False

    def __init__(self, drivers: DriverPool, process: DriverProcess) -> None:
        self._drivers, self._process = drivers, process
        self._unanswered: list[Message] | None = [] if process.is_reused else None
        self._completed = False

    def send(self, message: Message) -> None:
        if self._unanswered is not None:
            self._unanswered.append(message)
        self._process.child.send(message)

    async def batches(self) -> AsyncIterator[list[WorkerMessage]]:
        while True:
            async for batch in self._process.batches:
                self._unanswered = None
                self._completed = any(
                    isinstance(message, Ended) and message.status == "completed" for message in batch
                )
                for message in batch:
                    if isinstance(message, Seeking):
                        self._process.seeks = message.seeks
                yield [message for message in batch if not isinstance(message, Free)]
            if self._unanswered is None:
                return
            self._process = await self._drivers.start(self._process.key, self._process)
            messages, self._unanswered = self._unanswered, None
            for unanswered in messages:
                self.send(unanswered)

    async def ended(self) -> int:
        return await self._process.child.ended()

    async def stop(self) -> None:
        """See `Worker`; a driver that is then free is kept for another job."""
        await self._drivers.release(self._process, completed=self._completed)

    def cause(self, subject: str, relief: str = "") -> str:
        return f"The connection to the cluster has ended: {self._process.child.cause('its driver')}"


class ClusterExecution:
    """Trains on a node. ``grace`` includes the round trip of a message to the node."""

    grace = 3.0

    def __init__(self) -> None:
        self._drivers = DriverPool()

    async def start(self, job: JobRequest) -> Worker:
        config = job.config
        # A job that keeps training is on its lease's cluster, which may differ from the config's.
        key = None if job.attaches else (config[CLUSTER_FIELD], config.get(INSECURE), job.data)
        driver = ClusterWorker(self._drivers, await self._drivers.acquire(key))
        driver.send(job)
        return driver

    async def close(self) -> None:
        """End the idle drivers."""
        await self._drivers.close()

    def attaches(self, data: Path, job_id: str) -> bool:
        return leases.of_job(data, job_id) is not None

    async def clear(self, data: Path, unfinished: Mapping[str, str]) -> bool:
        """Remove leftovers of ended jobs on clusters; return whether everything is gone.

        ``unfinished`` is the status of all other jobs by id.
        """
        abandoned: dict[tuple[str, bool], list[leases.Lease]] = {}
        for lease in await asyncio.to_thread(leases.leases, data):
            status = unfinished.get(lease.job)
            if not lease.left and (status == "running" or (status and lease.begun)):
                continue
            if lease.give_up().expired:
                lease.delete()
            else:
                abandoned.setdefault((lease.address, lease.insecure), []).append(lease)
        is_clean = True
        for (address, insecure), cluster_leases in abandoned.items():
            removed = await self._remove(
                address, insecure, {lease.name: lease.actor for lease in cluster_leases}
            )
            for lease in cluster_leases:
                if lease.name in removed:
                    lease.delete()
                else:
                    is_clean = False
        return is_clean

    async def _remove(self, address: str, insecure: bool, actors: dict[str, str]) -> list[str]:
        removed = await _run_task(RemoveJobs(address, insecure, actors), JobsRemoved)
        return removed.gone if removed else []

    async def has_capacity(self, config: JobConfig) -> bool:
        """See `Execution`; a cluster that does not respond in time has no capacity."""
        found = await _run_task(FindCapacity({**config}), CapacityFound)
        return found is not None and found.room


async def _run_task(task: FindCapacity | RemoveJobs, answer: type[M]) -> M | None:
    """Return the result of a one-shot task (`cluster.tasks`); None if it fails or takes too long."""
    async with Child.running(TASKS) as child:
        child.send(task)
        with contextlib.suppress(TimeoutError, JobFailure):
            async with asyncio.timeout(TASK_SECONDS):
                return await child.result(answer, "The process that asked the cluster")
    return None


CLUSTER: Final = ClusterExecution()
