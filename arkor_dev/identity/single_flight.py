"""Sharing one run of an operation among all callers that need it at the same time.

The operation belongs to none of them: a cancelled caller (a closed tab) leaves it running for the others.
After an expected failure the same error is returned for a while, longer each time, so that a crowd of callers
cannot become a crowd of calls to a service that is down.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from arkor_dev.contract.errors import ArkorError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0


class SingleFlight(Generic[T]):
    """Shares runs of one operation. Times are the event loop's, in seconds."""

    def __init__(self, first_pause: float = FIRST_PAUSE) -> None:
        self._first_pause = first_pause
        self._pause = first_pause
        self._task: asyncio.Task[T] | None = None
        self._failure: ArkorError | None = None
        self._until = 0.0

    @property
    def wait(self) -> float:
        """Seconds until the next run may begin."""
        return max(0.0, self._until - asyncio.get_running_loop().time())

    async def run(self, work: Callable[[], Coroutine[object, object, T]]) -> T:
        """Return the result of the current run, or of a new one. Raises its ArkorError."""
        if self._task is None or self._task.done():
            if self._failure is not None and self.wait > 0:
                raise self._failure
            self._task = asyncio.create_task(self._remember(work))
            self._task.add_done_callback(_look_at)
        return await asyncio.shield(self._task)

    async def close(self) -> None:
        """Stop the current run."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _remember(self, work: Callable[[], Coroutine[object, object, T]]) -> T:
        try:
            result = await work()
        except ArkorError as failure:
            self._failure = failure
            # Jitter, so that clients waiting for the same outage do not retry at the same moment.
            jitter = random.uniform(0.75, 1.0)  # noqa: S311
            self._until = asyncio.get_running_loop().time() + self._pause * jitter
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            raise
        self._failure, self._pause = None, self._first_pause
        return result


def _look_at(task: asyncio.Task[T]) -> None:
    """Retrieve the result: if all callers have left, its error must not count as unhandled."""
    if not task.cancelled():
        task.exception()
