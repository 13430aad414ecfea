"""A pool of driver processes for clusters: those with a job, and idle ones that wait for the next.

Starting a driver is expensive: Python, Ray and a connection. One whose job was completed, with nothing left
on the cluster, reports that it is free and can run another job. Any other driver ends with its job.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.workers.process import Child

if TYPE_CHECKING:
    Key = tuple[Any, ...]

MODULE: Final = "arkor_dev.local.cluster.driver"
IDLE_SECONDS: Final = 60.0
"""How long an idle one waits for a job."""
MAX_IDLE: Final = 4
"""Most idle ones: each takes some 94 MiB."""
LEAVE_SECONDS: Final = 4.0
"""How long a driver may take to free what it holds on the cluster; Ray does it for a killed one."""


class DriverProcess:
    """A driver process. Jobs with the same ``key`` may reuse it; None prevents that."""

    def __init__(self, child: Child, key: Key | None) -> None:
        self.child, self.key = child, key
        self.batches: Final = child.batches()
        self.is_reused = self.seeks = False
        """Whether it was idle before its current job; whether it waits for resources of the cluster."""

    async def _free(self) -> bool:
        """Return whether its next message is that it is free."""
        async for batch in self.batches:
            return batch == [{"free": True}]
        return False

    async def release(self, *, completed: bool = False, hold: bool = False) -> bool:
        """Have it remove its job from the cluster; return whether it is free then. It is killed otherwise.

        ``completed`` says that its last message was the completion of its job. ``hold`` lets it keep the
        actor of the job for a moment.
        """
        self.child.send(do="end", hold=hold)
        releasing: asyncio.Task[Any] = asyncio.create_task(
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
        """Return an idle process with this ``key``, or a new one. Raises OSError."""
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
        """Start a process, replacing ``before``, which has ended. Raises OSError."""
        if before:
            self._busy.discard(before)
            await before.child.ended()
        process = DriverProcess(await Child.start(MODULE), key)
        self._busy.add(process)
        return process

    async def release(self, process: DriverProcess, *, completed: bool) -> None:
        """Have a process finish with its job, and keep it if it is free; see `DriverProcess.release`.

        It holds its job's actor for the next job, unless another driver waits for resources.
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
