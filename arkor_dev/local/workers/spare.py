"""A worker that is started before it is needed: importing torch and the training takes seconds.

While a page is open and nothing computes, one process has imported the libraries of training, forecasts,
evaluations, exports and attribution, and waits for the name of the module to run. It ends after
``IDLE_SECONDS`` without a sign of a page, or when memory becomes scarce. A worker that nobody has prepared is
started as usual.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Final

from .background import background_task
from .machine import memory
from .process import Child

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

log = logging.getLogger(__name__)

MODULE: Final = "arkor_dev.local.training.preloaded"
IDLE_SECONDS: Final = 600.0
LEAST_FREE: Final = 3 * 2**29
"""Bytes of memory (1.5 GiB) below which no process waits: it holds a third of a GiB."""
PERIOD: Final = 1.0
"""Seconds between two looks at whether a process should wait."""


class SpareWorker:
    """At most one process that waits."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        free: Callable[[], int | None] = lambda: memory().free,
    ) -> None:
        self._clock, self._free = clock, free
        self._child: Child | None = None
        self._wanted_until = -1.0

    def prepare(self) -> None:
        """Note that a page is open, which may need a worker soon."""
        self._wanted_until = self._clock() + IDLE_SECONDS

    async def start(self, module: str) -> Child:
        """Return a worker that runs ``module``: the waiting process, else a new one. Raises OSError."""
        child, self._child = self._child, None
        if child is None or not child.alive:
            return await Child.start(module)
        child.run(module)
        return child

    async def check(self, *, busy: bool) -> None:
        """Start or end the waiting process, as is due; none is started while the machine is ``busy``."""
        wanted = self._clock() < self._wanted_until
        free = self._free() if wanted else None
        wanted = wanted and (free is None or free >= LEAST_FREE)
        child = self._child
        if child is not None and not (wanted and child.alive):
            self._child = None
            await child.stop()
        elif child is None and wanted and not busy:
            self._child = await Child.start(MODULE)

    @contextlib.asynccontextmanager
    async def running(self, busy: Callable[[], bool]) -> AsyncIterator[None]:
        """Have a process wait whenever one is due while the body runs.

        ``busy`` returns whether anything computes that it would slow down.
        """
        async with background_task(self._watch(busy)):
            yield
        child, self._child = self._child, None
        if child is not None:
            await child.stop()

    async def _watch(self, busy: Callable[[], bool]) -> None:
        while True:
            try:
                await self.check(busy=busy())
            except OSError as error:
                log.warning("a worker could not be started before it was needed: %s", error)
                self._wanted_until = -1.0
            await asyncio.sleep(PERIOD)


SPARE: Final = SpareWorker()
"""The one of this process."""
