"""One training at a time, the rest in a queue; a job's whole life from queued to its last event.

The job's process is the only place where it can go wrong, so whatever ends that process ends the job with a
reason. Stopping is polite for a moment and then a kill: what counts is on the disk already.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from typing import TYPE_CHECKING, Any, Final

from . import notices
from .artifacts import sweep
from .child import Child
from .errors import JobFailure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from .models import Models
    from .store import Event, Store

log = logging.getLogger(__name__)

GRACE_SECONDS: Final = 0.3
PROGRESS_SECONDS: Final = 0.5


class Preparing:
    """Turns a preparation's progress into events and notices, two a second at most for each label."""

    def __init__(self, store: Store, job_id: str) -> None:
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
        self._store.append(self._job, [("model.progress", progress)])
        notices.progress(progress)


class Scheduler:
    """Runs queued jobs in the order they came."""

    def __init__(self, store: Store, models: Models, data: Path, project: Path) -> None:
        self._store = store
        self._models = models
        self._data = data
        self._project = project
        self._wake = asyncio.Event()
        self._current: str | None = None
        self._cancel = asyncio.Event()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work through the queue for as long as the body runs; the end kills the worker of the moment."""
        for job_id in self._store.recover():
            sweep(self._data, job_id)
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def wake(self) -> None:
        """Say that there is a new job."""
        self._wake.set()

    async def cancel(self, job_id: str) -> None:
        """Cancel a queued or running job and return when it is; does nothing to one that is over."""
        if job_id == self._current:
            self._cancel.set()
            while not self._store.is_over(job_id):
                news = self._store.pulse.next()
                if not self._store.is_over(job_id):
                    await news.wait()
        elif not self._store.is_over(job_id):
            self._store.finish(job_id, "cancelled", ("training.cancelled", {}))

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            job_id = self._store.next_queued()
            if job_id is None:
                await self._wake.wait()
                continue
            self._current = job_id
            self._cancel = asyncio.Event()
            try:
                await self._one(job_id)
            except Exception as error:
                log.exception("job %s", job_id)
                reason = f"the local backend failed: {type(error).__name__}: {error}"
                with contextlib.suppress(sqlite3.Error):  # a full disk: the next start ends the job
                    self._end(job_id, "failed", {"error": reason})
            finally:
                self._current = None
                sweep(self._data, job_id)

    def _end(self, job_id: str, status: str, fields: dict[str, Any]) -> None:
        self._store.finish(job_id, status, (f"training.{status}", fields), fields.get("error"))

    async def _one(self, job_id: str) -> None:
        self._store.start(job_id)
        config = self._store.config(job_id)
        child = await Child.start("worker_train")
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
            status, fields = self._verdict(following, providing, cancelling.done())
        finally:
            for task in (following, providing, cancelling):
                task.cancel()
            await child.stop()
            await asyncio.gather(following, providing, cancelling, return_exceptions=True)
        step = (self._store.get(job_id) or {}).get("metrics", {}).get("step")
        if step is not None and status != "completed":
            fields = {**fields, "step": step}
        self._end(job_id, status, fields)

    def _verdict(
        self,
        following: asyncio.Task[tuple[str, dict[str, Any]]],
        providing: asyncio.Task[None],
        cancelled: bool,
    ) -> tuple[str, dict[str, Any]]:
        if following.done():
            return following.result()
        if cancelled:
            return "cancelled", {}
        failure = providing.exception()
        if isinstance(failure, JobFailure):
            return "failed", {"error": str(failure)}
        raise failure or RuntimeError("a job's tasks ended without a verdict")

    async def _provide(self, child: Child, job_id: str, name: str) -> None:
        model = await self._models.ensure(name, Preparing(self._store, job_id))
        child.send(name=model.name, path=str(model.path))

    async def _follow(self, child: Child, job_id: str) -> tuple[str, dict[str, Any]]:
        """Write the worker's events as they come; how it ended."""
        preparing = Preparing(self._store, job_id)
        async for batch in child.batches():
            events: list[Event] = [(m["event"], m["fields"]) for m in batch if "event" in m]
            if events:
                self._store.append(job_id, events)
            for message in batch:
                if "progress" in message:
                    preparing(message["progress"])
                if "end" in message:
                    return message["end"], message.get("fields") or {"error": message.get("error")}
        await child.ended()
        return "failed", {"error": child.cause("The training process")}
