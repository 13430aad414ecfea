"""Background tasks: one for the duration of a block, and a queue that pauses while a job trains."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Generic, TypeVar

from .errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine

log = logging.getLogger(__name__)

Task = TypeVar("Task")


@contextlib.asynccontextmanager
async def background_task(coroutine: Coroutine[object, object, None]) -> AsyncIterator[None]:
    """Run ``coroutine`` as a task while the body runs, then cancel it."""
    task = asyncio.create_task(coroutine)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class BackgroundQueue(Generic[Task]):
    """Runs the tasks that ``next_task`` returns, one after another, while ``is_busy`` is false.

    ``run_task`` runs one; ``on_failure`` receives a task that has failed, and the reason. A starting job
    preempts the current task: its owner ends it, and the resulting failure is ignored, since ``next_task``
    returns the task again.
    """

    def __init__(
        self,
        is_busy: Callable[[], bool],
        next_task: Callable[[], Task | None],
        run_task: Callable[[Task], Awaitable[None]],
        on_failure: Callable[[Task, str], None],
    ) -> None:
        self._is_busy, self._next_task = is_busy, next_task
        self._run_task, self._on_failure = run_task, on_failure
        self._changed = asyncio.Event()
        self._preempted = False

    @property
    def pending(self) -> bool:
        """Whether a task is waiting or running."""
        return self._next_task() is not None

    def wake(self) -> None:
        """Check for tasks: there may be a new one, or training may have ended."""
        self._changed.set()

    def preempt(self) -> None:
        """Record that the current task is being ended for a job, even if that job ends first."""
        self._preempted = True

    async def run(self) -> None:
        """Run tasks forever."""
        while True:
            self._changed.clear()
            task = None if self._is_busy() else self._next_task()
            if task is None:
                await self._changed.wait()
                continue
            self._preempted = False
            try:
                await self._run_task(task)
            except JobFailure as failure:
                if not (self._preempted or self._is_busy()):
                    self._on_failure(task, str(failure))
            except Exception as error:
                log.exception("%s", type(task).__name__)
                self._on_failure(task, f"the local backend failed: {type(error).__name__}: {error}")
