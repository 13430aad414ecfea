"""Checks callers' input in a separate process with limits, one check at a time.

The caller's input decides how much work a check does in third-party libraries, so it must not run in the
process that has the store and serves other people. Callers take turns, with a few waiting checks each; those
whose check has reached a limit share a second process, so that nobody else waits for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import UnavailableError
from arkor_dev.local.workers.process import Child, passed

from .admission import AdmissionQueue
from .check_messages import CHECKED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from arkor_dev.local.workers.codec import Message

    from .check_messages import Checked

WAITING_OF_ONE: Final = 4
"""Maximum number of waiting checks per caller."""
SECONDS: Final = 20.0
"""Time limit of a check, for a busy machine. The process also limits its processor time."""
IDLE_SECONDS: Final = 60.0
EXPENSIVE_CALLERS: Final = 1000
"""Maximum number of callers remembered because a check of theirs reached a limit."""
OWN_SIGNALS: Final = frozenset({signal.SIGXCPU, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS})
"""Signals by which the system ends a process that exceeds its limits; other signals may have other causes."""


class LimitReachedError(Exception):
    """The process was killed by its limits, or twice by a signal: the check is too expensive."""


class LimitedChecks:
    """The backend's side of a limited process; its error messages begin with ``subject``."""

    def __init__(self, module: str, subject: str, idle_seconds: float = IDLE_SECONDS) -> None:
        self._module = module
        self._subject = subject
        self._idle_seconds = idle_seconds
        self._queue = AdmissionQueue(1, WAITING_OF_ONE)
        self._child: Child | None = None
        self._busy = False
        self._idle: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None
        self._closed = False
        self._expensive_callers: OrderedDict[str, None] = OrderedDict()
        self._for_expensive: LimitedChecks | None = None

    async def close(self) -> None:
        """Stop the process and accept no further checks."""
        self._closed = True
        if self._for_expensive:
            await self._for_expensive.close()
        if self._idle:
            self._idle.cancel()
        await self._end()
        if self._ending:
            await self._ending

    @contextlib.asynccontextmanager
    async def _turn(self, caller: str) -> AsyncIterator[Callable[[Message], Awaitable[Checked]]]:
        """Wait for ``caller``'s turn; yield the function that checks a request, see `_check`.

        Raises RateLimitedError if too many checks are waiting.
        """
        lane = self
        if caller in self._expensive_callers and not self._closed:
            if self._for_expensive is None:
                self._for_expensive = LimitedChecks(self._module, self._subject, self._idle_seconds)
            lane = self._for_expensive
        async with lane._queue.admit(caller):  # noqa: SLF001
            try:
                yield lane._check  # noqa: SLF001
            except LimitReachedError:
                self._expensive_callers[caller] = None
                if len(self._expensive_callers) > EXPENSIVE_CALLERS:
                    self._expensive_callers.popitem(last=False)
                raise

    async def _check(self, request: Message) -> Checked:
        """Return the process's answer; the caller must hold an admission.

        Raises LimitReachedError, and UnavailableError if this machine cannot check anything now.
        """
        if self._idle:
            self._idle.cancel()
        self._busy = True
        try:
            for _ in range(2):
                child = await self._process()
                answer = await self._answer(child, request)
                if answer is not None:
                    return answer
                status = await child.ended()
                if -status in OWN_SIGNALS:
                    break
                if status >= 0:
                    raise UnavailableError(child.cause(f"The process that checks {self._subject.lower()}"))
            raise LimitReachedError
        finally:
            self._busy = False
            self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._unload)

    async def _answer(self, child: Child, request: Message) -> Checked | None:
        """Return the process's message; None if it ends without one."""
        received = False
        try:
            async with asyncio.timeout(SECONDS):
                child.send(request)
                batch = await anext(child.batches(CHECKED), None)
                received = True
                return batch[0] if batch else None
        except TimeoutError:
            raise UnavailableError(
                f"{self._subject} could not be checked in time: try again", code="not_checked"
            ) from None
        finally:
            # A cancelled caller leaves its answer unread.
            if not received:
                await asyncio.shield(self._end())

    async def _process(self) -> Child:
        if self._closed:
            raise UnavailableError(f"{self._subject} cannot be checked: the local backend is ending")
        if self._child is None or not self._child.alive:
            await self._end()
            # A module in the project must not shadow one of ours.
            env = {**passed(), "PYTHONSAFEPATH": "1"}
            try:
                self._child = await Child.start(self._module, env, alone=True)
            except OSError as error:
                raise UnavailableError(f"{self._subject} cannot be checked: {error}") from None
        return self._child

    def _unload(self) -> None:
        if self._child and not self._busy:
            self._ending = asyncio.create_task(self._end())

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child:
            await child.stop()
