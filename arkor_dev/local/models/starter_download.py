"""The starter model's download before a run needs it: as long as a page asks for a run's estimate.

Only the starter is fetched unasked, since it is this package's own choice; any other model is named by a
project, which may be someone else's.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from arkor_dev.local.workers.errors import JobFailure

from .catalog import STARTER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from arkor_dev.contract.shapes import Progress

    from .catalog import Models

POLL_SECONDS: Final = 30.0
"""The download ends if it is not polled for this many seconds, unless a job waits for it."""
FAILED_SECONDS: Final = 60.0
"""Seconds for which a failure is remembered before the next attempt."""


class StarterDownload:
    """Downloads the starter model while it is polled."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._task: asyncio.Task[None] | None = None
        self._limit: asyncio.Timeout | None = None
        self._until = 0.0
        self._progress: Progress | None = None
        self._failure: tuple[float, JobFailure] | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """End the download at the end of the block."""
        try:
            yield
        finally:
            if self._task:
                self._task.cancel()
                await asyncio.wait([self._task])

    def poll(self) -> Progress | None:
        """Start the download or let it continue; return its progress, if known.

        Raises the :class:`JobFailure` of an attempt that failed less than a minute ago.
        """
        now = asyncio.get_running_loop().time()
        self._until = now + POLL_SECONDS
        if self._task is None or self._task.done():
            if self._failure and now - self._failure[0] < FAILED_SECONDS:
                raise self._failure[1]
            self._progress = self._failure = self._limit = None
            self._task = asyncio.create_task(self._download())
        elif self._limit and not self._limit.expired():
            self._limit.reschedule(self._until)
        return self._progress

    async def _download(self) -> None:
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._until) as self._limit:
                    await self._models.ensure(STARTER, self._report)
        except JobFailure as failure:
            self._failure = asyncio.get_running_loop().time(), failure

    def _report(self, progress: Progress) -> None:
        self._progress = progress
