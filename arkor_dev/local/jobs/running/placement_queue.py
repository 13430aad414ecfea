"""Jobs whose target has no free resources: they wait, while later jobs may start before them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from arkor_dev.local.execution.choice import execution_of
from arkor_dev.local.jobs.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.contract.shapes import JobConfig
    from arkor_dev.local.jobs.async_store import AsyncStore

log = logging.getLogger(__name__)

CHECK_SECONDS: Final = 15.0
"""Seconds between checks for free resources."""


class PlacementQueue:
    """Jobs that wait for free resources; ``wake`` is called when a job may be able to start."""

    def __init__(self, store: AsyncStore, data: Path, wake: Callable[[], None]) -> None:
        self._store, self._data, self._wake = store, data, wake
        self._configs: dict[str, JobConfig] = {}
        self._changed = asyncio.Event()

    @property
    def waiting(self) -> list[str]:
        """Return the ids of the jobs that cannot start now."""
        return list(self._configs)

    async def requeue(self, job_id: str, config: JobConfig, reason: str) -> None:
        """Return a running job to its position in the queue; ``reason`` is a sentence for the user."""
        self._configs[job_id] = config
        await self._store.write(Store.requeue, job_id, reason)
        self._changed.set()

    async def watch(self) -> None:
        """Check periodically, forever."""
        while True:
            if not self._configs:
                self._changed.clear()
                await self._changed.wait()
            await asyncio.sleep(CHECK_SECONDS)
            for job_id, config in list(self._configs.items()):
                try:
                    job = await self._store.read(Store.get, job_id)
                    waits = job is not None and job["status"] == "queued"
                    target = execution_of(config)
                    may_start = not waits or target.attaches(self._data, job_id)
                    if not may_start and not await target.has_capacity(config):
                        continue
                except Exception:
                    log.exception("a place for the job %s", job_id)
                del self._configs[job_id]
                self._wake()
