"""Removes files and processes that ended jobs left on their targets, once those are reachable."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from arkor_dev.local.execution.choice import clear
from arkor_dev.local.jobs.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from arkor_dev.local.jobs.async_store import AsyncStore

log = logging.getLogger(__name__)

SOON_SECONDS: Final = 10.0
"""Pause before the first retry, in seconds; it doubles each time."""
AGAIN_SECONDS: Final = 600.0
"""Longest pause, in seconds: a cluster may be unreachable for days."""


class RemoteCleanup:
    """Removes leftovers of jobs on clusters; call ``wake`` when a job has ended or was deleted."""

    def __init__(self, store: AsyncStore, data: Path) -> None:
        self._store, self._data = store, data
        self._changed = asyncio.Event()

    def wake(self) -> None:
        """Signal that a job no longer needs its target."""
        self._changed.set()

    async def clear(self) -> bool:
        """Clean up now; return whether nothing remains."""
        try:
            return await clear(self._data, await self._store.read(Store.unfinished))
        except Exception:
            log.exception("what jobs have left elsewhere")
            return False

    async def watch(self) -> None:
        """Clean up now and whenever signalled, forever."""
        pause = SOON_SECONDS
        while True:
            self._changed.clear()
            all_removed = await self.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), None if all_removed else pause)
                pause = SOON_SECONDS
            except TimeoutError:
                pause = min(2 * pause, AGAIN_SECONDS)
