"""The backend's side of chat: one inference worker, started when somebody asks, gone when nobody does.

Each answer is a queue that the worker's messages are sorted into. Leaving an answer early, for whatever
reason, stops it in the worker; a worker that dies ends its answers with the reason and is started anew by
the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from typing import TYPE_CHECKING, Any, Final

from .child import Child
from .errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 600.0


class Inference:
    """Answers, whatever they run on."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._child: Child | None = None
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Queue[dict[str, Any]]] = {}
        self._idle: asyncio.TimerHandle | None = None

    @contextlib.asynccontextmanager
    async def answer(self, **ask: Any) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Ask the worker; the body reads messages up to the one with ``done``. Leaving stops the answer."""
        number = next(self._numbers)
        self._answers[number] = asyncio.Queue()
        if self._idle:
            self._idle.cancel()
            self._idle = None
        try:
            child = await self._worker()
            child.send(id=number, do="chat", **ask)
            yield self._messages(number)
        finally:
            del self._answers[number]
            if self._child:
                self._child.send(do="stop", id=number)
            if not self._answers:
                self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._unload)

    async def close(self) -> None:
        """End the worker."""
        if self._idle:
            self._idle.cancel()
        if self._child:
            self._child.kill()
        if self._reader:
            await self._reader

    @property
    def loaded(self) -> bool:
        """Whether a worker is running, and so a model in memory."""
        return self._child is not None and self._child.alive

    async def _messages(self, number: int) -> AsyncIterator[dict[str, Any]]:
        queue = self._answers[number]
        while True:
            message = await queue.get()
            if "error" in message:
                raise JobFailure(message["error"])
            yield message
            if "done" in message:
                return

    async def _worker(self) -> Child:
        async with self._starting:
            if self._child is None or not self._child.alive:
                if self._reader:
                    await self._reader
                self._child = await Child.start("worker_infer")
                self._reader = asyncio.create_task(self._read(self._child))
            return self._child

    async def _read(self, child: Child) -> None:
        async for batch in child.batches():
            for message in batch:
                queue = self._answers.get(message["id"])
                if queue:
                    queue.put_nowait(message)
        await child.ended()
        if self._child is child:
            self._child = None
        for queue in self._answers.values():
            queue.put_nowait({"error": child.cause("The inference process")})

    def _unload(self) -> None:
        if self._child and not self._answers:
            log.info("no chat for %.0f s: the model is unloaded", self._idle_seconds)
            self._child.kill()
