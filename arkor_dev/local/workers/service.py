"""Requested tasks, each in its own worker, one at a time and never during training.

A starting job ends the current worker; its task starts again when no job is training.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from .background import BackgroundQueue, background_task
from .errors import JobFailure
from .spare import SPARE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Hashable
    from contextlib import AbstractAsyncContextManager

    from arkor_dev.contract.shapes import Progress

    from .process import Child


@dataclass(kw_only=True, eq=False)
class WorkerTask:
    """A requested task: waiting, running in ``child``, or failed with an ``error``."""

    progress: Progress | None = None
    error: str | None = None
    child: Child | None = field(default=None, repr=False)

    @property
    def state(self) -> Literal["waiting", "running", "failed"]:
        """The contract's name for its state."""
        return "failed" if self.error else "running" if self.child else "waiting"

    def tell(self, progress: Progress) -> None:
        """Store the latest progress."""
        self.progress = progress


Task = TypeVar("Task", bound=WorkerTask)


class WorkerService(ABC, Generic[Task]):
    """Runs ``tasks`` in order. ``busy`` returns whether a job is training.

    A subclass implements `_work`, which must remove each task that it completes.
    """

    def __init__(self, busy: Callable[[], bool]) -> None:
        self._busy = busy
        self._tasks: dict[Hashable, Task] = {}
        self._background = BackgroundQueue(busy, self._next, self._work, self._failed)

    @property
    def pending(self) -> bool:
        """Whether a request is waiting or being processed."""
        return self._background.pending

    def running(self) -> AbstractAsyncContextManager[None]:
        """Process requests while the body runs."""
        return background_task(self._background.run())

    def training_begins(self) -> None:
        """End the current worker to free resources for a job; its task starts again later."""
        self._background.preempt()
        for task in self._tasks.values():
            if task.child:
                task.child.kill()

    def training_ended(self) -> None:
        """Continue with waiting requests."""
        self._background.wake()

    def _start(self, key: Hashable, task: Task) -> None:
        """Queue a task after the others, replacing one with the same key."""
        self._drop(key)
        self._tasks[key] = task
        self._background.wake()

    def _drop(self, key: Hashable) -> None:
        """Cancel and forget a task, if there is one."""
        task = self._tasks.pop(key, None)
        if task and task.child:
            task.child.kill()

    @contextlib.asynccontextmanager
    async def _worker(self, task: Task, module: str) -> AsyncIterator[Child]:
        """Run a worker for ``task`` while the body runs. Raises JobFailure if a job has just started."""
        child = task.child = await SPARE.start(module)
        try:
            if self._busy():
                raise JobFailure("A job has started")
            yield child
        finally:
            task.child = task.progress = None
            await child.stop()

    @abstractmethod
    async def _work(self, task: Task) -> None:
        """Run ``task`` to its end. Raises JobFailure."""

    def _next(self) -> Task | None:
        return next((task for task in self._tasks.values() if not task.error), None)

    def _failed(self, task: Task, reason: str) -> None:
        task.error = reason
