"""The backend's side of checking a format: one limited process, asked one after another.

Compiling a schema of a caller's is work that the caller chooses, in a library that is not ours. It is done
away from the store and from other people's answers, and each schema once.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import OrderedDict
from typing import Final

from arkor_dev.contract.errors import BadRequestError, RateLimitedError, UnavailableError
from arkor_dev.local.workers.process import Child, passed

KNOWN: Final = 256
"""Schemas of which the outcome is remembered, by their hashes: a text may be megabytes."""
WAITING: Final = 32
"""Questions that wait for a check; one more is told to come again."""
AGAIN_SECONDS: Final = 2
SECONDS: Final = 20.0
"""How long a check may take in all, on a busy machine; the process bounds its own processor time."""
IDLE_SECONDS: Final = 60.0
TOO_MUCH: Final = "it needs more time or memory than a schema is given"
LATE: Final = "The format could not be checked in time: try again"


class _Died(Exception):  # noqa: N818 - it ends a process, and no request
    """The process was ended by a signal: by its limits, or by somebody else."""


class FormatChecks:
    """Compiles schemas where that does no harm, and remembers which can be used."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._known: OrderedDict[str, str | None] = OrderedDict()
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._child: Child | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None
        self._closed = False

    async def check(self, schema: str, field: str) -> None:
        """Whether ``schema``, the JSON of one that was read, makes a grammar.

        Raises BadRequestError, which begins with the ``field`` that asks for it and says why it does not;
        RateLimitedError where too many wait for theirs; UnavailableError where this machine cannot check it.
        """
        known = hashlib.sha256(schema.encode()).hexdigest()
        if known not in self._known:
            if self._waiting >= WAITING:
                text = f"Too many formats are being checked: try again in {AGAIN_SECONDS} s"
                raise RateLimitedError(text, code="rate_limit_exceeded", retryAfter=AGAIN_SECONDS)
            self._waiting += 1
            try:
                async with self._turn:
                    if known not in self._known:
                        self._known[known] = await self._wrong(schema)
            finally:
                self._waiting -= 1
        self._known.move_to_end(known)
        if len(self._known) > KNOWN:
            self._known.popitem(last=False)
        if wrong := self._known[known]:
            raise BadRequestError(f"{field} cannot be obeyed: {wrong}", code="invalid_value", param=field)

    async def close(self) -> None:
        """End the process, for good."""
        self._closed = True
        if self._idle:
            self._idle.cancel()
        await self._end()
        if self._ending:
            await self._ending

    async def _wrong(self, schema: str) -> str | None:
        """What is wrong with it; a schema with which two processes have died is too much for one."""
        if self._idle:
            self._idle.cancel()
        try:
            for _ in range(2):
                with contextlib.suppress(_Died):
                    return await self._told(schema)
            return TOO_MUCH
        finally:
            self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._rest)

    async def _told(self, schema: str) -> str | None:
        child, answered = await self._process(), False
        try:
            async with asyncio.timeout(SECONDS):
                child.send(schema=schema)
                if batch := await anext(child.batches(), None):
                    answered = True
                    wrong: str | None = batch[0]["wrong"]
                    return wrong
                if await child.ended() < 0:
                    raise _Died
                raise UnavailableError(child.cause("The process that checks formats"))
        except TimeoutError:
            raise UnavailableError(LATE, code="not_checked") from None
        finally:
            # Whoever leaves in the middle leaves an answer behind that nobody waits for.
            if not answered:
                await asyncio.shield(self._end())

    async def _process(self) -> Child:
        if self._closed:
            raise UnavailableError("The format cannot be checked: the local backend is ending")
        if self._child is None or not self._child.alive:
            await self._end()
            # A module of the project must not stand in for one of ours.
            env = {**passed(), "PYTHONSAFEPATH": "1"}
            try:
                self._child = await Child.start(f"{__package__}.check_worker", env, alone=True)
            except OSError as error:
                raise UnavailableError(f"The format cannot be checked: {error}") from None
        return self._child

    def _rest(self) -> None:
        if self._child and not self._turn.locked():
            self._ending = asyncio.create_task(self._end())

    async def _end(self) -> None:
        child, self._child = self._child, None
        if child:
            await child.stop()
