"""Whose turn it is: so many answers at once, a line of those who wait, and a rate for each caller.

A place goes to the callers in turn, so that one that sends a hundred requests at once delays itself and not
the others. Answers of endpoints wait in one, and so do the checks of what is asked (``limited_checks``).
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import RateLimitedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

WAITING: Final = 64
"""Requests that wait, of all callers."""
WAITING_OF_ONE: Final = 32
"""Requests that wait, of one caller."""
BURST: Final = 120
"""Requests that a caller may send at once, after it has been quiet."""
A_SECOND: Final = 10.0
"""Requests a second that a caller may send for long."""
CALLERS: Final = 1000
"""Callers that are remembered; one that is forgotten begins with a whole burst."""
FULL_SECONDS: Final = 2
"""When to try again where the line is full."""


def too_many_requests(text: str, seconds: int) -> RateLimitedError:
    """A refusal that says when to try again, in whole seconds."""
    return RateLimitedError(
        f"{text}: try again in {seconds} s", code="rate_limit_exceeded", retryAfter=seconds
    )


class RateLimit:
    """A bucket of requests for each caller, which fills as time goes by."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def count(self, caller: str) -> None:
        """Count one request; raises RateLimitedError where it is one too many."""
        now = self._clock()
        left, at = self._left.pop(caller, (float(BURST), now))
        left = min(BURST, left + (now - at) * A_SECOND)
        if left >= 1:
            self._left[caller] = left - 1, now
        else:
            self._left[caller] = left, now
            raise too_many_requests("Too many requests with this key", math.ceil((1 - left) / A_SECOND))
        if len(self._left) > CALLERS:
            self._left.popitem(last=False)


class AdmissionQueue:
    """``places`` requests at once; the others wait, each caller's in order, the callers in turn.

    ``of_one`` is how many requests of one caller may wait.
    """

    def __init__(self, places: int, of_one: int | None = None) -> None:
        self._free = places
        self._of_one = WAITING_OF_ONE if of_one is None else of_one
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return sum(len(each) for each in self._waiting.values())

    @contextlib.asynccontextmanager
    async def place(self, caller: str) -> AsyncIterator[None]:
        """Wait for a place and hold it; raises RateLimitedError where too many wait already."""
        await self._take(caller)
        try:
            yield
        finally:
            self._give()

    async def _take(self, caller: str) -> None:
        if self._free and not self._waiting:
            self._free -= 1
            return
        mine = self._waiting.get(caller, ())
        if len(mine) >= self._of_one or self.waiting >= WAITING:
            raise too_many_requests("Too many requests are waiting", FULL_SECONDS)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._leave(caller, turn)
            else:
                self._give()  # its turn had come in the same moment
            raise

    def _leave(self, caller: str, turn: asyncio.Future[None]) -> None:
        line = self._waiting.get(caller, deque())
        if turn in line:
            line.remove(turn)
            if not line:
                del self._waiting[caller]

    def _give(self) -> None:
        """Hand a place to the caller whose turn it is."""
        if not self._waiting:
            self._free += 1
            return
        caller, line = next(iter(self._waiting.items()))
        turn = line.popleft()
        if line:
            self._waiting.move_to_end(caller)
        else:
            del self._waiting[caller]
        if turn.cancelled():
            self._give()
        else:
            turn.set_result(None)
