"""The backend's side of chat: one inference worker, started on demand and unloaded when idle.

Each answer has a queue that receives the worker's messages for it. Leaving an answer early, for whatever
reason, stops it in the worker. Third-party code runs there (a chat template, a library that reads a model's
files), so a worker that does not acknowledge a stop in time is killed, and answers that had not begun are
sent to its successor. So they are if the system ends it because of one answer's chat template. If a worker
dies on its own, its answers end with the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from arkor_dev.local.workers.errors import SLOW_TEMPLATE, SMALLER_MODEL, JobFailure
from arkor_dev.local.workers.process import Child

from .messages import (
    ANSWERS,
    AnswerFailed,
    Ask,
    Begun,
    ClassifiedTexts,
    Done,
    EmbeddedTexts,
    Loading,
    Reading,
    Reranked,
    StopAnswer,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .messages import AnswerRequest, Part, StreamPart

log = logging.getLogger(__name__)

WORKER: Final = "arkor_dev.local.inference.worker"
IDLE_SECONDS: Final = 600.0
SPIN: Final = {"GOMP_SPINCOUNT": "20000"}
"""Threads spin for microseconds before they sleep: an answer consists of thousands of short products."""
STOP_SECONDS: Final = 5.0
"""Seconds in which a worker must acknowledge a stop."""
EVICTION_SECONDS: Final = 10.0
"""Seconds that answers may continue when a job needs the memory; it loads its libraries meanwhile."""
EVICTED: Final = "A job has started and needs the memory of the model that answered: send the message again"


@dataclass(eq=False)
class _PendingAnswer:
    """An answer: the request, its worker, the parts so far, and whether any of them had text."""

    request: AnswerRequest
    child: Child | None = None
    parts: asyncio.Queue[Part] = field(default_factory=asyncio.Queue)
    started: bool = False


class Inference:
    """The answers of one engine, whose worker is ``module``."""

    def __init__(
        self, idle_seconds: float = IDLE_SECONDS, stop_seconds: float = STOP_SECONDS, module: str = WORKER
    ) -> None:
        self._module = module
        self._idle_seconds = idle_seconds
        self._stop_seconds = stop_seconds
        self._child: Child | None = None
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._answers: dict[int, _PendingAnswer] = {}
        self._stopping: dict[int, asyncio.TimerHandle] = {}
        self._idle: asyncio.TimerHandle | None = None
        self._retry: asyncio.Task[None] | None = None
        self._freeing_memory: asyncio.TimerHandle | None = None
        self._evicted: Child | None = None
        self._begun_last: int | None = None
        self._closed = False

    @contextlib.asynccontextmanager
    async def answer(self, request: AnswerRequest) -> AsyncIterator[AsyncIterator[StreamPart]]:
        """Send a request; the body reads parts up to `Done`. Leaving the body stops the answer."""
        number = next(self._numbers)
        answer = self._answers[number] = _PendingAnswer(request)
        if self._idle:
            self._idle.cancel()
            self._idle = None
        try:
            child = await self._worker()
            self._send(number, answer, child)
            yield self._parts(answer)
        finally:
            # It is still present if no final message has arrived.
            if self._answers.pop(number, None) and answer.child is not None and answer.child is self._child:
                self._stop(number, answer.child)
            self._start_idle_timer()

    async def close(self) -> None:
        """End the worker."""
        self._closed = True
        for timer in (self._idle, self._freeing_memory):
            if timer:
                timer.cancel()
        if self._child:
            self._child.kill()
        if self._retry:
            self._retry.cancel()
        if self._reader:
            await self._reader

    @property
    def loaded(self) -> bool:
        """Whether a worker is running, and so a model is in memory."""
        return self._child is not None and self._child.alive

    def unload_after(self, seconds: float) -> None:
        """Unload a worker that has been idle for ``seconds``."""
        now = asyncio.get_running_loop().time()
        if self._idle and self._child and self._idle.when() > now + seconds:
            self._idle.cancel()
            self._idle = asyncio.get_running_loop().call_later(seconds, self._unload)

    def free_memory(self, seconds: float = EVICTION_SECONDS) -> None:
        """Unload the model, but not in the middle of an answer that ends within ``seconds``."""
        child = self._child
        if child is None or not child.alive or self._freeing_memory:
            return

        def unload() -> None:
            self._freeing_memory = None
            if self._child is child:
                self._evicted = child
                child.kill()

        self._freeing_memory = asyncio.get_running_loop().call_later(seconds if self._answers else 0, unload)

    async def _parts(self, answer: _PendingAnswer) -> AsyncIterator[StreamPart]:
        while True:
            match await answer.parts.get():
                case AnswerFailed(error):
                    raise JobFailure(error)
                case Done() as done:
                    yield done
                    return
                case Loading() | Text() | ClassifiedTexts() | EmbeddedTexts() | Reranked() as part:
                    yield part

    async def _worker(self) -> Child:
        async with self._starting:
            if self._child is None or not self._child.alive:
                if self._reader:
                    await self._reader
                try:
                    self._child = await Child.start(self._module, SPIN)
                except OSError as error:
                    raise JobFailure(f"The inference process cannot be started: {error}") from None
                self._reader = asyncio.create_task(self._read(self._child))
            return self._child

    def _stop(self, number: int, child: Child) -> None:
        """Stop an abandoned answer; kill a worker that does not acknowledge that."""

        def kill() -> None:
            if self._child is child:
                log.warning("the inference process did not stop an answer in time: restarting it")
                child.kill()

        child.send(StopAnswer(number))
        self._stopping[number] = asyncio.get_running_loop().call_later(self._stop_seconds, kill)

    async def _read(self, child: Child) -> None:
        async for batch in child.batches(ANSWERS):
            for answered in batch:
                self._dispatch(answered.id, answered.part)
        await child.ended()
        if self._child is child:
            self._child = None
        stuck = (bool(self._stopping) or child.overran) and not self._closed
        for timer in self._stopping.values():
            timer.cancel()
        self._stopping.clear()
        # A later request is sent to the next worker in any case.
        answers_of_child = {
            number: answer for number, answer in self._answers.items() if answer.child is child
        }
        if child.overran and (guilty := answers_of_child.pop(self._begun_last or 0, None)):
            self._answers.pop(self._begun_last or 0)
            guilty.parts.put_nowait(AnswerFailed(SLOW_TEMPLATE))
        waiting = {
            number: answer for number, answer in answers_of_child.items() if stuck and not answer.started
        }
        for number, answer in answers_of_child.items():
            if number not in waiting:
                self._answers.pop(number)
                reason = (
                    "The inference process was restarted, since another answer could not be stopped: "
                    "send the message again"
                    if stuck
                    else EVICTED
                    if child is self._evicted
                    else child.cause("The chat process", SMALLER_MODEL)
                )
                answer.parts.put_nowait(AnswerFailed(reason))
        if waiting:
            self._retry = asyncio.create_task(self._send_again(waiting))

    def _dispatch(self, number: int, part: Part) -> None:
        if isinstance(part, Begun):
            self._begun_last = number
            return
        last = isinstance(part, Done | AnswerFailed)
        answer = self._answers.pop(number, None) if last else self._answers.get(number)
        if answer:
            answer.started = answer.started or isinstance(part, Text | Reading)
            answer.parts.put_nowait(part)
        elif last and (timer := self._stopping.pop(number, None)):
            timer.cancel()
            self._start_idle_timer()

    async def _send_again(self, waiting: dict[int, _PendingAnswer]) -> None:
        try:
            child = await self._worker()
        except JobFailure as failure:
            for number, answer in waiting.items():
                self._answers.pop(number, None)
                answer.parts.put_nowait(AnswerFailed(str(failure)))
            return
        for number, answer in waiting.items():
            if number in self._answers:
                self._send(number, answer, child)

    def _send(self, number: int, answer: _PendingAnswer, child: Child) -> None:
        answer.child = child
        child.send(Ask(number, answer.request))

    def _start_idle_timer(self) -> None:
        """Start the idle timer for unloading the worker if no answer is left."""
        if not self._answers and not self._stopping:
            if self._idle:
                self._idle.cancel()
            seconds = 0.0 if self._freeing_memory else self._idle_seconds
            self._idle = asyncio.get_running_loop().call_later(seconds, self._unload)

    def _unload(self) -> None:
        if self._child and not self._answers:
            log.info("idle for a while: unloading the model")
            self._child.kill()
