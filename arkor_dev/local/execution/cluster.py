"""A cluster: a driver process of the backend holds the connection, and a node trains."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.workers.process import Child

from . import leases

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from .seam import Worker

DRIVER: Final = "arkor_dev.local.cluster.driver"
LOOKER: Final = "arkor_dev.local.cluster.room"
REMOVER: Final = "arkor_dev.local.cluster.away.removing"
LOOK_SECONDS: Final = 150.0
LEAVE_SECONDS: Final = 4.0
"""How long a driver has to give back what it holds of the cluster; Ray does it for one that is killed."""


class Driver:
    """A job's driver, as its `Worker`. That it was killed says nothing of the training's memory."""

    killed = False

    def __init__(self, child: Child) -> None:
        self._child = child

    def send(self, **fields: Any) -> None:
        """As `Worker` has it."""
        self._child.send(**fields)

    def batches(self) -> AsyncIterator[list[dict[str, Any]]]:
        """As `Worker` has it."""
        return self._child.batches()

    async def ended(self) -> int:
        """As `Worker` has it."""
        return await self._child.ended()

    async def stop(self) -> None:
        """Let it leave the cluster as it was; kill it where that takes too long."""
        self._child.send(do="end")
        ending = asyncio.create_task(self._child.ended())
        try:
            await asyncio.wait({ending}, timeout=LEAVE_SECONDS)
        finally:
            self._child.kill()
        await ending

    def cause(self, what: str) -> str:
        """As `Worker` has it."""
        return f"The connection to the cluster has ended: {self._child.cause('its driver')}"


class Cluster:
    """Trains on a node; an order takes longer to come there, and its answer to come back."""

    grace = 3.0

    async def start(self, job: Mapping[str, Any]) -> Worker:
        """As `Execution` has it."""
        child = await Child.start(DRIVER)
        child.send(**job)
        return Driver(child)

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
            gone = await self._remove(address, insecure, [lease.name for lease in those])
            for lease in those:
                if lease.name in gone:
                    lease.drop()
                left = left or lease.name not in gone
        return not left

    async def _remove(self, address: str, insecure: bool, names: list[str]) -> list[str]:
        child = await Child.start(REMOVER)
        child.send(address=address, insecure=insecure, names=names)
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
