"""What jobs that are over have left where they ran is removed, as soon as it can be reached."""

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
"""How long after the first attempt the next one is made, where something has stayed; then twice as long."""
AGAIN_SECONDS: Final = 600.0
"""The longest that this becomes: a cluster may be away for days."""


class RemoteCleanup:
    """Looks for what is left; ``wake`` when a job is over, or gone."""

    def __init__(self, store: AsyncStore, data: Path) -> None:
        self._store, self._data = store, data
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Say that a job needs its place no more."""
        self._news.set()

    async def clear(self) -> bool:
        """Look now; whether nothing is left."""
        try:
            return await clear(self._data, await self._store.read(Store.standing))
        except Exception:
            log.exception("what jobs have left elsewhere")
            return False

    async def look(self) -> None:
        """Look now, and whenever there is a reason, for ever."""
        pause = SOON_SECONDS
        while True:
            self._news.clear()
            gone = await self.clear()
            try:
                await asyncio.wait_for(self._news.wait(), None if gone else pause)
                pause = SOON_SECONDS
            except TimeoutError:
                pause = min(2 * pause, AGAIN_SECONDS)
