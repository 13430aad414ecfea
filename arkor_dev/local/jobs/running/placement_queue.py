"""Jobs that found no room at their target: they wait and let others pass until there is some."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.execution.choice import execution_of
from arkor_dev.local.jobs.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from arkor_dev.local.jobs.async_store import AsyncStore

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 15.0
"""How often to check for room."""


class PlacementQueue:
    """Jobs that wait for free resources; ``wake`` is called when one of them may start."""

    def __init__(self, store: AsyncStore, data: Path, wake: Callable[[], None]) -> None:
        self._store, self._data, self._wake = store, data, wake
        self._configs: dict[str, Mapping[str, Any]] = {}
        self._news = asyncio.Event()

    @property
    def waiting(self) -> list[str]:
        """Return the ids of those that cannot start now."""
        return list(self._configs)

    async def put_back(self, job_id: str, config: Mapping[str, Any], why: str) -> None:
        """Return a running job to its position in the queue; ``why`` is a sentence for a person."""
        self._configs[job_id] = config
        await self._store.write(Store.put_back, job_id, why)
        self._news.set()

    async def look(self) -> None:
        """Check periodically, forever."""
        while True:
            if not self._configs:
                self._news.clear()
                await self._news.wait()
            await asyncio.sleep(LOOK_SECONDS)
            for job_id, config in list(self._configs.items()):
                try:
                    job = await self._store.read(Store.get, job_id)
                    waits = job is not None and job["status"] == "queued"
                    where = execution_of(config)
                    has_place = not waits or where.attaches(self._data, job_id)
                    if not has_place and not await where.room(config):
                        continue
                except Exception:
                    log.exception("a place for the job %s", job_id)
                del self._configs[job_id]
                self._wake()
