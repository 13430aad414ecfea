"""Admission of requests: a limit on concurrent ones, a fair queue, and a rate limit for each caller.

Callers are served in turn, so that one that sends a hundred requests at once delays only itself. Endpoints'
answers and ``limited_checks`` use it.
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
"""Maximum number of waiting requests of all callers."""
WAITING_OF_ONE: Final = 32
"""Maximum number of waiting requests per caller."""
BURST: Final = 120
"""Number of requests that an idle caller may send at once."""
A_SECOND: Final = 10.0
"""Sustained requests per second per caller."""
CALLERS: Final = 1000
"""Maximum number of callers remembered; a forgotten one starts with a full burst."""
FULL_SECONDS: Final = 2
"""Seconds after which to retry when the queue is full."""


def too_many_requests(text: str, seconds: int) -> RateLimitedError:
    """Return a refusal that says when to retry, in whole seconds."""
    return RateLimitedError(
        f"{text}: try again in {seconds} s", code="rate_limit_exceeded", retryAfter=seconds
    )


class RateLimit:
    """A token bucket for each caller."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._budgets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def count(self, caller: str) -> None:
        """Count one request. Raises RateLimitedError if it exceeds the rate."""
        now = self._clock()
        budget, counted_at = self._budgets.pop(caller, (float(BURST), now))
        budget = min(BURST, budget + (now - counted_at) * A_SECOND)
        if budget >= 1:
            self._budgets[caller] = budget - 1, now
        else:
            self._budgets[caller] = budget, now
            raise too_many_requests("Too many requests with this key", math.ceil((1 - budget) / A_SECOND))
        if len(self._budgets) > CALLERS:
            self._budgets.popitem(last=False)


class AdmissionQueue:
    """Admits up to ``slots`` concurrent requests. Each caller's requests wait in order; callers take turns.

    At most ``of_one`` requests of one caller may wait.
    """

    def __init__(self, slots: int, of_one: int | None = None) -> None:
        self._free = slots
        self._of_one = WAITING_OF_ONE if of_one is None else of_one
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many requests are waiting."""
        return sum(len(queue) for queue in self._waiting.values())

    @contextlib.asynccontextmanager
    async def admit(self, caller: str) -> AsyncIterator[None]:
        """Wait for admission and hold it during the body. Raises RateLimitedError if too many are waiting."""
        await self._acquire(caller)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, caller: str) -> None:
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
                self._withdraw(caller, turn)
            else:
                self._release()  # it was admitted at the same moment
            raise

    def _withdraw(self, caller: str, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(caller, deque())
        if turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[caller]

    def _release(self) -> None:
        """Admit a request of the next caller."""
        if not self._waiting:
            self._free += 1
            return
        caller, queue = next(iter(self._waiting.items()))
        turn = queue.popleft()
        if queue:
            self._waiting.move_to_end(caller)
        else:
            del self._waiting[caller]
        if turn.cancelled():
            self._release()
        else:
            turn.set_result(None)
