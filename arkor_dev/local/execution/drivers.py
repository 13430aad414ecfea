"""The driver processes of clusters: a job's own, and those that wait a while for the next one.

What a driver costs is its start: Python, Ray and a connection. One whose job was completed, and of which
nothing is left anywhere, says that it is free and may carry another job; each other one ends with its job.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.local.workers.process import Child

if TYPE_CHECKING:
    Key = tuple[Any, ...]

MODULE: Final = "arkor_dev.local.cluster.driver"
IDLE_SECONDS: Final = 60.0
"""How long a free one waits for a job."""
MOST_IDLE: Final = 4
"""How many wait at the most: each takes some 94 MiB."""
LEAVE_SECONDS: Final = 4.0
"""How long a driver has to give back what it holds of the cluster; Ray does it for one that is killed."""


class Process:
    """One driver's process. ``key`` says for which jobs it may be used again, None for none."""

    def __init__(self, child: Child, key: Key | None) -> None:
        self.child, self.key = child, key
        self.batches: Final = child.batches()
        self.waited = self.seeks = False
        """Whether it has waited for the job that it has now; whether it waits for a place of the cluster."""

    async def _free(self) -> bool:
        """Whether the next that it says is that it is free."""
        async for batch in self.batches:
            return batch == [{"free": True}]
        return False

    async def leave(self, *, completed: bool = False, hold: bool = False) -> bool:
        """Let it leave the cluster as it was; whether it is free then. It is ended where it is not.

        ``completed`` says that it has told of its job's completion, and nothing after that. It may ``hold``
        the job's place for a moment.
        """
        self.child.send(do="end", hold=hold)
        leaving: asyncio.Task[Any] = asyncio.create_task(
            self._free() if completed and self.key else self.child.ended()
        )
        free = False
        try:
            await asyncio.wait({leaving}, timeout=LEAVE_SECONDS)
            free = leaving.done() and leaving.result() is True and self.child.alive
        finally:
            if not free:
                self.child.kill()
        await leaving
        if not free:
            await self.child.ended()
        return free


class Drivers:
    """All that wait for a job."""

    def __init__(self) -> None:
        self._idle: dict[Process, asyncio.TimerHandle] = {}
        self._carrying: set[Process] = set()
        self._ending: set[asyncio.Task[bool]] = set()

    async def take(self, key: Key | None) -> Process:
        """One that waits for a job of this ``key``, else a new one. Raises OSError."""
        for process in list(self._idle):
            if process.key == key:
                self._idle.pop(process).cancel()
                if process.child.alive:
                    process.waited = True
                    self._carrying.add(process)
                    return process
                self._end(process)
        return await self.start(key)

    async def start(self, key: Key | None, before: Process | None = None) -> Process:
        """A new one, in the place of one ``before`` it that has ended; raises OSError."""
        if before:
            self._carrying.discard(before)
            await before.child.ended()
        process = Process(await Child.start(MODULE), key)
        self._carrying.add(process)
        return process

    async def leave(self, process: Process, *, completed: bool) -> None:
        """Let one leave its job, and wait for another if it is free; `Process.leave` has ``completed``.

        It holds its place for the next job, unless another job waits for one.
        """
        self._carrying.discard(process)
        hold = completed and not any(each.seeks for each in self._carrying)
        if await process.leave(completed=completed, hold=hold):
            self._keep(process)

    def _keep(self, process: Process) -> None:
        """Let a free one wait; of too many the one that has waited longest ends."""
        loop = asyncio.get_running_loop()
        self._idle[process] = loop.call_later(IDLE_SECONDS, self._drop, process)
        while len(self._idle) > MOST_IDLE:
            self._drop(next(iter(self._idle)))

    def _drop(self, process: Process) -> None:
        self._idle.pop(process).cancel()
        self._end(process)

    def _end(self, process: Process) -> None:
        task = asyncio.create_task(process.leave(), name="the end of a driver")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """End all that wait."""
        for process in list(self._idle):
            self._drop(process)
        await asyncio.gather(*self._ending, return_exceptions=True)
