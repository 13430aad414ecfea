"""A cluster: a driver process of the backend holds the connection, and a node trains."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.placement.address import CLUSTER as CLUSTER_FIELD
from arkor_dev.contract.placement.address import INSECURE
from arkor_dev.local.workers.process import Child

from . import leases
from .drivers import Drivers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from .drivers import Process
    from .seam import Worker

LOOKER: Final = "arkor_dev.local.cluster.looking.room"
REMOVER: Final = "arkor_dev.local.cluster.away.removing"
LOOK_SECONDS: Final = 150.0


class Driver:
    """A job's driver, as its `Worker`. That it was killed says nothing of the training's memory.

    One that has waited for the job, and ends before a word about it, had lost its connection meanwhile:
    another one is started in its place, and told the same.
    """

    killed = False

    def __init__(self, drivers: Drivers, process: Process) -> None:
        self._drivers, self._process = drivers, process
        self._told: list[dict[str, Any]] | None = [] if process.waited else None
        self._completed = False

    def send(self, **fields: Any) -> None:
        """As `Worker` has it."""
        if self._told is not None:
            self._told.append(fields)
        self._process.child.send(**fields)

    async def batches(self) -> AsyncIterator[list[dict[str, Any]]]:
        """As `Worker` has it."""
        while True:
            async for batch in self._process.batches:
                self._told = None
                self._completed = any(message.get("end") == "completed" for message in batch)
                for message in batch:
                    self._process.seeks = message.get("seeks", self._process.seeks)
                yield batch
            if self._told is None:
                return
            self._process = await self._drivers.start(self._process.key, self._process)
            told, self._told = self._told, None  # with what was told meanwhile, which nobody has heard
            for fields in told:
                self.send(**fields)

    async def ended(self) -> int:
        """As `Worker` has it."""
        return await self._process.child.ended()

    async def stop(self) -> None:
        """As `Worker` has it; a driver that is free then is kept for another job."""
        await self._drivers.leave(self._process, completed=self._completed)

    def cause(self, what: str, remedy: str) -> str:
        """As `Worker` has it."""
        return f"The connection to the cluster has ended: {self._process.child.cause('its driver')}"


class Cluster:
    """Trains on a node; an order takes longer to come there, and its answer to come back."""

    grace = 3.0

    def __init__(self) -> None:
        self._drivers = Drivers()

    async def start(self, job: Mapping[str, Any]) -> Worker:
        """As `Execution` has it."""
        config = job["config"]
        # One that trains on is found at its own address, which need not be the config's.
        key = None if job.get("attaches") else (config[CLUSTER_FIELD], config.get(INSECURE), job["data"])
        driver = Driver(self._drivers, await self._drivers.take(key))
        driver.send(**job)
        return driver

    async def close(self) -> None:
        """End the drivers that wait for a job."""
        await self._drivers.close()

    def attaches(self, data: Path, job_id: str) -> bool:
        """As `Execution` has it."""
        return leases.of_job(data, job_id) is not None

    async def clear(self, data: Path, standing: Mapping[str, str]) -> bool:
        """Remove what jobs have left on clusters and nobody needs; whether nothing of it is left.

        ``standing`` are the jobs that are not over, by id, with their status.
        """
        idle: dict[tuple[str, bool], list[leases.Lease]] = {}
        for lease in await asyncio.to_thread(leases.leases, data):
            status = standing.get(lease.job)
            if not lease.left and (status == "running" or (status and lease.begun)):
                continue
            if lease.given_up().over:  # by itself, meanwhile
                lease.drop()
            else:
                idle.setdefault((lease.address, lease.insecure), []).append(lease)
        left = False
        for (address, insecure), those in idle.items():
            gone = await self._remove(address, insecure, {lease.name: lease.actor for lease in those})
            for lease in those:
                if lease.name in gone:
                    lease.drop()
                left = left or lease.name not in gone
        return not left

    async def _remove(self, address: str, insecure: bool, actors: dict[str, str]) -> list[str]:
        child = await Child.start(REMOVER)
        child.send(address=address, insecure=insecure, actors=actors)
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                async for batch in child.batches():
                    gone: list[str] = batch[0].get("gone", [])
                    return gone
        except TimeoutError:
            pass
        finally:
            await child.stop()
        return []

    async def room(self, config: Mapping[str, Any]) -> bool:
        """As `Execution` has it; a process looks, and one that takes too long has seen none."""
        child = await Child.start(LOOKER)
        child.send(config=config)
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                async for batch in child.batches():
                    return bool(batch[0].get("room"))
        except TimeoutError:
            pass
        finally:
            await child.stop()
        return False


CLUSTER: Final = Cluster()
