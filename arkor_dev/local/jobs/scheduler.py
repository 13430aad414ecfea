"""One training at a time, the rest in a queue; a job's whole life from queued to its last event.

The job's process is the only place where it can go wrong, so whatever ends that process ends the job with a
reason. Stopping is polite for a moment and then a kill: what counts is on the disk already.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import sqlite3
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from arkor_dev.contract.events import MODEL_PROGRESS
from arkor_dev.local.workers import daemon_messages as notices
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.process import Child

from .artifacts import drop_verdict, keep_verdict, kept_verdict, sweep
from .disk import remove_files
from .store import Store, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from arkor_dev.local.models.catalog import Models

    from .async_store import AsyncStore
    from .store import Event

log = logging.getLogger(__name__)

GRACE_SECONDS: Final = 0.3
PROGRESS_SECONDS: Final = 0.5
RECOVER_SECONDS: Final = 2.0
"""How long the start waits for the jobs of a process that was killed to be settled."""
CANCEL_SECONDS: Final = 15.0
"""How long a cancelling request waits for its job's end; the job ends in any case."""
FAULT_SECONDS: Final = 1.0


class Preparing:
    """Turns a preparation's progress into events and notices, two a second at most for each label."""

    def __init__(self, store: AsyncStore, job_id: str) -> None:
        self._store = store
        self._job = job_id
        self._label = ""
        self._told = 0.0
        self._last: dict[str, Any] | None = None

    def __call__(self, progress: dict[str, Any]) -> None:
        label, moment = progress["label"], time.monotonic()
        over = progress["total"] is not None and progress["done"] >= progress["total"]
        if progress == self._last:
            return
        if label == self._label and moment - self._told < PROGRESS_SECONDS and not over:
            return
        self._label, self._told, self._last = label, moment, progress
        self._store.post(Store.append, self._job, [(MODEL_PROGRESS, progress)])
        notices.progress(progress)


class Observer(Protocol):
    """Who follows trainings from outside: forecasts, which are not to be in their way."""

    def training_begins(self) -> None:
        """A job is about to start."""

    def training_ended(self, config: Mapping[str, Any], verdict: Verdict, seconds: float) -> None:
        """A job that took so long is over."""

    async def what_fits(self, config: dict[str, Any], progress: Callable[[dict[str, Any]], None]) -> str:
        """Sentences to help with a job that ran out of memory, or nothing."""


class Scheduler:
    """Runs queued jobs in the queue's order, and takes jobs away."""

    observer: Observer | None = None

    def __init__(self, store: AsyncStore, models: Models, data: Path, project: Path) -> None:
        self._store = store
        self._models = models
        self._data = data
        self._project = project
        self._wake = asyncio.Event()
        self._current: str | None = None
        self._cancel = asyncio.Event()
        self._unwanted: set[str] = set()

    @contextlib.asynccontextmanager
    async def running(self, *, idle: bool = False) -> AsyncIterator[None]:
        """Work through the queue for as long as the body runs; the end kills the worker of the moment.

        With ``idle`` what an earlier process left is settled, and nothing is started.
        """
        task = asyncio.create_task(self._run(recovered := asyncio.Event(), idle))
        with contextlib.suppress(TimeoutError):  # a data base that is locked does not keep the start waiting
            await asyncio.wait_for(recovered.wait(), RECOVER_SECONDS)
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    @property
    def busy(self) -> bool:
        """Whether a job is training now."""
        return self._current is not None

    def wake(self) -> None:
        """Say that there is a new job, or that the queue goes on."""
        self._wake.set()

    async def cancel(self, job_id: str) -> None:
        """Cancel a queued or running job and return when it is; does nothing to one that is over."""
        if await self._store.request(Store.cancel_queued, job_id):
            return
        self._unwanted.add(job_id)
        if job_id == self._current:
            self._cancel.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                while True:
                    news = self._store.pulse.next()
                    if await self._store.read(Store.is_over, job_id):
                        break
                    await news.wait()
        self._unwanted.discard(job_id)

    async def _run(self, recovered: asyncio.Event, idle: bool) -> None:
        try:
            await self._recover()
        except sqlite3.Error:
            log.exception("the jobs of the process before this one")
        recovered.set()
        while not idle:
            self._wake.clear()
            try:
                started = await self._store.write(Store.start_next)
            except sqlite3.Error:
                log.exception("the next job")
                await asyncio.sleep(FAULT_SECONDS)
                continue
            if started is None:
                await self._wake.wait()
                continue
            job_id, config = started
            self._current = job_id
            if self.observer:
                self.observer.training_begins()
            self._cancel = asyncio.Event()
            if job_id in self._unwanted:
                self._cancel.set()
            try:
                await self._one(job_id, config)
            except Exception as error:
                log.exception("job %s", job_id)
                reason = f"the local backend failed: {type(error).__name__}: {error}"
                with contextlib.suppress(sqlite3.Error):  # a broken data base: the next start ends the job
                    await self._end(job_id, Verdict("failed", {"error": reason}))
            finally:
                self._current = None
                sweep(self._data, job_id)

    async def _recover(self) -> None:
        """Settle the jobs that claim to run; nothing runs yet."""
        verdict_of = functools.partial(kept_verdict, self._data)
        for job_id in await self._store.write(Store.recover, verdict_of):
            sweep(self._data, job_id)
            drop_verdict(self._data, job_id)
        for job_id in await self._store.write(Store.removed):
            await self._remove_files(job_id)

    async def delete(self, job_id: str) -> None:
        """Take a job that is over, its events and its files away.

        The record goes first. Whatever ends this process after that, the next one removes the files, so that
        no job is ever there in part.
        """
        await self._store.request(Store.remove, job_id)
        await self._remove_files(job_id)

    async def _remove_files(self, job_id: str) -> None:
        try:
            await asyncio.to_thread(remove_files, self._data, job_id)
        except OSError as error:
            text = f"Files of the deleted job {job_id} cannot be removed: {error}. The next start tries again"
            notices.message("warning", text)
            return
        await self._store.write(Store.forget_removed, job_id)

    async def _end(self, job_id: str, verdict: Verdict) -> None:
        """Write the verdict, however long that takes; one that has to wait is kept beside the data base."""
        keep = functools.partial(keep_verdict, self._data, job_id, verdict)
        writing = self._store.post_or(keep, Store.finish, job_id, verdict)
        await asyncio.shield(asyncio.wrap_future(writing))
        drop_verdict(self._data, job_id)

    async def _one(self, job_id: str, config: dict[str, Any]) -> None:
        began = time.monotonic()
        verdict = await self._trained(job_id, config)
        seconds = time.monotonic() - began
        if self.observer and verdict.fields.get("outOfMemory"):
            verdict = await self._advised(self.observer, job_id, config, verdict)
        await self._end(job_id, verdict)
        if self.observer:
            self.observer.training_ended(config, verdict, seconds)

    async def _advised(
        self, observer: Observer, job_id: str, config: dict[str, Any], verdict: Verdict
    ) -> Verdict:
        """A job ran out of memory: its verdict with what would fit. A cancellation need not wait for it."""
        advising = asyncio.create_task(observer.what_fits(config, Preparing(self._store, job_id)))
        cancelling = asyncio.create_task(self._cancel.wait())
        await asyncio.wait({advising, cancelling}, return_when=asyncio.FIRST_COMPLETED)
        said = advising.result() if advising.done() and not advising.exception() else ""
        for task in (advising, cancelling):
            task.cancel()
        await asyncio.gather(advising, cancelling, return_exceptions=True)
        return Verdict(verdict.status, {**verdict.fields, "error": f"{verdict.error} {said}".strip()})

    async def _trained(self, job_id: str, config: dict[str, Any]) -> Verdict:
        """Let a worker train, and end it; how the job ended."""
        child = await Child.start("arkor_dev.local.training.worker")
        child.send(id=job_id, config=config, data=str(self._data), project=str(self._project))
        following = asyncio.create_task(self._follow(child, job_id))
        providing = asyncio.create_task(self._provide(child, job_id, config["model"]))
        cancelling = asyncio.create_task(self._cancel.wait())
        try:
            await asyncio.wait({following, providing, cancelling}, return_when=asyncio.FIRST_COMPLETED)
            if providing.done() and not providing.exception():
                await asyncio.wait({following, cancelling}, return_when=asyncio.FIRST_COMPLETED)
            if cancelling.done() and not following.done():
                child.send(do="cancel")
                await asyncio.wait({following}, timeout=GRACE_SECONDS)
            return self._verdict(following, providing, cancelling.done())
        finally:
            for task in (following, providing, cancelling):
                task.cancel()
            await child.stop()
            await asyncio.gather(following, providing, cancelling, return_exceptions=True)

    def _verdict(
        self,
        following: asyncio.Task[Verdict],
        providing: asyncio.Task[None],
        cancelled: bool,
    ) -> Verdict:
        if following.done():
            return following.result()
        if cancelled:
            return Verdict("cancelled", {})
        failure = providing.exception()
        if isinstance(failure, JobFailure):
            return Verdict("failed", {"error": str(failure)})
        raise failure or RuntimeError("a job's tasks ended without a verdict")

    async def _provide(self, child: Child, job_id: str, name: str) -> None:
        model = await self._models.ensure(name, Preparing(self._store, job_id))
        child.send(name=model.name, path=str(model.path), note=model.note)

    async def _follow(self, child: Child, job_id: str) -> Verdict:
        """Write the worker's events as they come; how it ended."""
        preparing = Preparing(self._store, job_id)
        async for batch in child.batches():
            events: list[Event] = [(m["event"], m["fields"]) for m in batch if "event" in m]
            if events:
                await self._store.write(Store.append, job_id, events)
            for message in batch:
                if "progress" in message:
                    preparing(message["progress"])
                if "end" in message:
                    return Verdict(message["end"], message["fields"])
        await child.ended()
        fields: dict[str, Any] = {"error": child.cause("The training process")}
        return Verdict("failed", {**fields, "outOfMemory": True} if child.killed else fields)
