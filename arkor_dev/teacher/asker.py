"""Asks a teacher within a budget: waits where that helps, and keeps the answers."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from .client import AttemptError, TeacherError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.contract.errors import ArkorError

    from .answer import Reply
    from .client import Teacher
    from .ledger import Budget, Ledger
    from .request import TeacherRequest

ATTEMPTS: Final = 6
"""Failed attempts of one request after which the teacher counts as out of reach."""
PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Seconds before each further attempt, unless the teacher says how long to wait."""
LONGEST_WAIT: Final = 600.0
"""If the teacher asks to wait longer, it counts as out of reach."""
DAY: Final = 86_400.0


class Asker:
    """Asks ``teacher`` on behalf of ``run``, by which the ledger counts. Several tasks may ask at once.

    ``again`` begins the advice in errors, such as "Run this again". ``overcount`` are the tokens that the
    teacher reported beyond those that its requests can have; ``over_budget`` is set once the budget leaves no
    room for a request.
    """

    def __init__(self, run: str, teacher: Teacher, ledger: Ledger, budget: Budget, again: str) -> None:
        self._run, self._teacher, self._ledger, self._budget = run, teacher, ledger, budget
        self._again = again
        self.overcount = 0
        self.over_budget = False
        self._waiting = ""
        self._not_before = 0.0
        self._under_way = 0
        self._settled = asyncio.Event()
        self._stop = asyncio.Event()

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    def stop(self) -> None:
        """Send no further request."""
        self._stop.set()
        self._settled.set()

    def waiting(self) -> str | None:
        """Return why no request is sent at the moment, and for how long; None while they are."""
        remaining = self._not_before - time.monotonic()
        return f"{self._waiting}, for {remaining:.0f} s" if remaining > 0 else None

    async def kept(self, request: TeacherRequest) -> str | None:
        """Return the answer to a request that was asked before."""
        return await asyncio.to_thread(self._ledger.answer, request.hash(self._teacher.address))

    async def forget(self, request: TeacherRequest) -> None:
        """Delete a kept answer, so that it is asked for again."""
        await asyncio.to_thread(self._ledger.forget, request.hash(self._teacher.address))

    async def ask(self, request: TeacherRequest) -> str | None:
        """Ask until there is an answer; None if stopped, or beyond the budget, first. Raises TeacherError.

        If it is cancelled, a request under way counts in full.
        """
        hash_, failed = request.hash(self._teacher.address), 0
        while await self._may_send():
            most = request.most_input()
            reservation = await self._reserve(most, request.max_tokens)
            if reservation is None:
                return None
            spent = (most, request.max_tokens)  # what counts if this is cancelled
            entry = None
            self._under_way += 1
            try:
                reply = await self._teacher.ask(request)
                spent, over = _cost(reply, most, request.max_tokens)
                self.overcount += over
                entry = (hash_, reply.text)
            except AttemptError as fault:
                if not fault.cost:
                    spent = (0, 0)
                if not fault.at_once:
                    failed += 1
                    self._wait(fault, failed)
            except TeacherError:
                spent = (0, 0)
                raise
            finally:
                self._under_way -= 1
                self._ledger.settle(reservation, *spent, entry)
                self._settled.set()
            if entry is not None:
                return entry[1]
        return None

    async def _reserve(self, most_input: int, most_output: int) -> int | None:
        """Reserve what a request can cost, once those under way leave room; None if they never will."""
        while not self._stop.is_set():
            self._settled.clear()
            reservation = await asyncio.to_thread(
                self._ledger.reserve, self._run, most_input, most_output, self._budget
            )
            if reservation is not None:
                return reservation
            if not self._under_way:
                self.over_budget = True
                self.stop()
                return None
            await self._settled.wait()
        return None

    def _wait(self, fault: AttemptError, failed: int) -> None:
        """Hold back all requests for a while. Raises TeacherError if waiting cannot help."""
        wait = PAUSES[min(failed, len(PAUSES)) - 1] if fault.wait is None else fault.wait
        if wait > LONGEST_WAIT:
            span = "more than a day" if wait > DAY else f"{round(wait / 60)} minutes"
            raise TeacherError(f"{fault.why}: for {span}. {self._again} then; nothing is lost.")
        if failed >= ATTEMPTS:
            raise TeacherError(f"{fault.why}, {failed} times. {self._again} later; nothing is lost.")
        self._waiting = fault.why
        self._not_before = max(self._not_before, time.monotonic() + wait)

    async def _may_send(self) -> bool:
        """Wait until requests may be sent; return False if stopped first."""
        while not self._stop.is_set():
            remaining = self._not_before - time.monotonic()
            if remaining <= 0:
                return True
            try:
                async with asyncio.timeout(remaining):
                    await self._stop.wait()
            except TimeoutError:
                continue
        return False


def _cost(reply: Reply, most_input: int, max_tokens: int) -> tuple[tuple[int, int], int]:
    """Return the tokens of an answer by the teacher's count, else their maximum, and those counted beyond.

    No request has more tokens than were reserved for it, so what is beyond is not spent.
    """
    written = min(max_tokens, len(reply.text.encode())) if reply.output is None else reply.output
    read = most_input if reply.input is None else reply.input
    spent = min(read, most_input), min(written, max_tokens)
    return spent, read + written - sum(spent)


def texts_of(faults: BaseExceptionGroup[ArkorError]) -> Iterator[str]:
    """Yield the sentences of all errors in a group, which its tasks raised at once."""
    for fault in faults.exceptions:
        if isinstance(fault, BaseExceptionGroup):
            yield from texts_of(fault)
        else:
            yield fault.text
