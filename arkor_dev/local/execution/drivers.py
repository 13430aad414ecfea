"""A pool of driver processes for clusters: busy ones, and idle ones that wait for a job.

Starting a driver is expensive: Python, Ray and a connection. After completing a job and removing it from the
cluster, a driver reports that it is free to run another one. All other drivers end with their jobs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from arkor_dev.local.workers.process import Child

from .messages import FROM_DRIVER, Free, Leave

if TYPE_CHECKING:
    Key = tuple[object, ...]

MODULE: Final = "arkor_dev.local.cluster.driver"
IDLE_SECONDS: Final = 60.0
"""Seconds that an idle driver waits for a job."""
MAX_IDLE: Final = 4
"""Maximum number of idle drivers: each takes some 94 MiB of memory."""
LEAVE_SECONDS: Final = 4.0
"""Seconds that a driver may take to free its resources on the cluster; Ray frees those of a killed one."""


class DriverProcess:
    """A driver process. Jobs with the same ``key`` may reuse it; with None, none may."""

    def __init__(self, child: Child, key: Key | None) -> None:
        self.child, self.key = child, key
        self.batches: Final = child.batches(FROM_DRIVER)
        self.is_reused = self.seeks = False
        """``is_reused``: it was idle before its current job. ``seeks``: it waits for free resources."""

    async def _free(self) -> bool:
        """Return whether its next message reports that it is free."""
        async for batch in self.batches:
            return batch == [Free()]
        return False

    async def release(self, *, completed: bool = False, hold: bool = False) -> bool:
        """Make it remove its job from the cluster; return whether it is then free. Otherwise it is killed.

        ``completed`` is true if its last message was the completion of its job. ``hold`` lets it hold the
        job's actor briefly.
        """
        self.child.send(Leave(hold))
        releasing: asyncio.Task[object] = asyncio.create_task(
            self._free() if completed and self.key else self.child.ended()
        )
        free = False
        try:
            await asyncio.wait({releasing}, timeout=LEAVE_SECONDS)
            free = releasing.done() and releasing.result() is True and self.child.alive
        finally:
            if not free:
                self.child.kill()
        await releasing
        if not free:
            await self.child.ended()
        return free


class DriverPool:
    """All driver processes of this backend."""

    def __init__(self) -> None:
        self._idle: dict[DriverProcess, asyncio.TimerHandle] = {}
        self._busy: set[DriverProcess] = set()
        self._ending: set[asyncio.Task[bool]] = set()

    async def acquire(self, key: Key | None) -> DriverProcess:
        """Return an idle process with this ``key``, or start one. Raises OSError."""
        for process in list(self._idle):
            if process.key == key:
                self._idle.pop(process).cancel()
                if process.child.alive:
                    process.is_reused = True
                    self._busy.add(process)
                    return process
                self._end(process)
        return await self.start(key)

    async def start(self, key: Key | None, before: DriverProcess | None = None) -> DriverProcess:
        """Start a process that replaces ``before``, which has ended. Raises OSError."""
        if before:
            self._busy.discard(before)
            await before.child.ended()
        process = DriverProcess(await Child.start(MODULE), key)
        self._busy.add(process)
        return process

    async def release(self, process: DriverProcess, *, completed: bool) -> None:
        """Make a process finish its job, and keep it if it is free; see `DriverProcess.release`.

        It holds its job's actor for the next job unless another driver is waiting for resources.
        """
        self._busy.discard(process)
        hold = completed and not any(other.seeks for other in self._busy)
        if await process.release(completed=completed, hold=hold):
            self._keep(process)

    def _keep(self, process: DriverProcess) -> None:
        """Keep a free process; if there are too many, end the one idle the longest."""
        loop = asyncio.get_running_loop()
        self._idle[process] = loop.call_later(IDLE_SECONDS, self._drop, process)
        while len(self._idle) > MAX_IDLE:
            self._drop(next(iter(self._idle)))

    def _drop(self, process: DriverProcess) -> None:
        self._idle.pop(process).cancel()
        self._end(process)

    def _end(self, process: DriverProcess) -> None:
        task = asyncio.create_task(process.release(), name="end of a driver")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """End all idle processes."""
        for process in list(self._idle):
            self._drop(process)
        await asyncio.gather(*self._ending, return_exceptions=True)
