"""One training at a time, the rest in a queue; a job's whole life from queued to its last event.

A job whose process crashed goes on by itself, before all others, and so does one that ran when an earlier
backend ended. At its own end the backend lets the job that runs come to stand; one that takes too long for
that is killed, and goes on from its newest checkpoint.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import sqlite3
import time
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.errors import ConflictError, NotFoundError
from arkor_dev.contract.events import TRAINING_RESUMED
from arkor_dev.local.reporting.service import Reporting
from arkor_dev.local.workers import daemon_messages as notices

from .artifacts import drop_verdict, keep_verdict, kept_verdict, sweep, sweep_data
from .disk import remove_files
from .running import standing
from .running.log import Log
from .running.placing import Placing
from .running.preparing import Preparing
from .running.standing import let_go_on, watch_power
from .running.training import CRASHED, PAUSED, WAITS, Training
from .store import AGAIN, ENDED, Store, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from arkor_dev.local.models.catalog import Models

    from .async_store import AsyncStore
    from .event_log import Event
    from .running.observer import Observer

log = logging.getLogger(__name__)

RECOVER_SECONDS: Final = 2.0
"""How long the start waits for the jobs of a process that was killed to be settled."""
CANCEL_SECONDS: Final = 15.0
"""How long a cancelling request waits for its job's end; the job ends in any case."""
PAUSE_SECONDS: Final = 60.0
"""How long a pausing request waits for its job to stand; the job stands after its step in any case."""
REST_SECONDS: Final = 2.0
"""How long the end of this process waits for the job that runs to stand."""
FAULT_SECONDS: Final = 1.0


def _tell(name: str, fields: Mapping[str, Any]) -> None:
    """Say in the terminal that a job goes on by itself."""
    notices.message("info", f"{name} goes on after step {fields['step']}: {fields['message']}")


class Scheduler:
    """Runs queued jobs in the queue's order, and takes jobs away."""

    observer: Observer | None = None

    def __init__(self, store: AsyncStore, models: Models, data: Path, project: Path) -> None:
        self._store = store
        self.models = models
        self._data = data
        self._project = project
        self._reporting = Reporting(data, project)
        self._wake = asyncio.Event()
        self._placing = Placing(store, self.wake)
        self._current: str | None = None
        self._training: Training | None = None
        self._unwanted: set[str] = set()
        self._to_pause: set[str] = set()
        self._ending = False

    @contextlib.asynccontextmanager
    async def running(self, *, idle: bool = False, resume: bool = True) -> AsyncIterator[None]:
        """Work through the queue for as long as the body runs; the end pauses the job of the moment.

        With ``idle`` what an earlier process left is settled, and nothing is started. Without ``resume`` what
        ran then stays paused.
        """
        task = asyncio.create_task(self._run(recovered := asyncio.Event(), idle, resume and not idle))
        placing = asyncio.create_task(self._placing.look(), name="places of waiting jobs")
        with contextlib.suppress(TimeoutError):  # a data base that is locked does not keep the start waiting
            await asyncio.wait_for(recovered.wait(), RECOVER_SECONDS)
        try:
            yield
        finally:
            await self._rest(task)
            for each in (task, placing):
                each.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await each
            await self._reporting.close()

    @property
    def busy(self) -> bool:
        """Whether a job is training now."""
        return self._current is not None

    def wake(self) -> None:
        """Say that there is a new job, or that the queue goes on."""
        self._wake.set()

    async def cancel(self, job_id: str) -> None:
        """Cancel a job that waits, runs or is paused, and return when it is; one that is over stays."""
        if await self._store.request(Store.cancel_queued, job_id):
            return
        self._unwanted.add(job_id)
        if job_id == self._current and self._training:
            self._training.cancel()
        await self._until(job_id, ("completed", "failed", "cancelled"), CANCEL_SECONDS)
        self._unwanted.discard(job_id)

    async def pause(self, job_id: str) -> None:
        """Let a running job stand after its step, and return when it does; ConflictError for any other."""
        job = await self._store.read(Store.get, job_id)
        if job is None:
            raise NotFoundError(f"There is no job {job_id}")
        if job["status"] != "running":
            raise ConflictError(f"The job {job['name']} is {job['status']}: only one that runs can be paused")
        self._to_pause.add(job_id)
        if job_id == self._current and self._training:
            self._training.pause("asked")
        await self._until(job_id, ("paused", "completed", "failed", "cancelled"), PAUSE_SECONDS)
        self._to_pause.discard(job_id)

    async def _until(self, job_id: str, statuses: tuple[str, ...], seconds: float) -> None:
        """Wait until a job has one of these statuses, or is deleted, or so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    news = self._store.pulse.next()
                    job = await self._store.read(Store.get, job_id)
                    if job is None or job["status"] in statuses:
                        break
                    await news.wait()

    async def _rest(self, running: asyncio.Task[None]) -> None:
        """Start nothing more, and let the job that runs come to stand; kill it where that takes too long."""
        self._ending = True
        job_id = self._current
        if job_id is None or self._training is None:
            return
        self._training.pause("ended")
        await asyncio.wait({running}, timeout=REST_SECONDS)
        if not running.done():
            running.cancel()
            await asyncio.wait({running}, timeout=REST_SECONDS)
            await self._store.write(Store.pause, job_id, {"reason": "ended", "message": ENDED})
        job = await self._store.read(Store.get, job_id)
        if job and (pause := job.get("pause")):
            step = f"stands after step {pause['step']}" if pause["step"] else "has not made its first step"
            text = f"The job {job['name']} {step}. It goes on by itself when Studio is opened here again"
            notices.message("info", text)

    async def _run(self, recovered: asyncio.Event, idle: bool, resume: bool) -> None:
        try:
            await self._recover(resume)
        except sqlite3.Error:
            log.exception("the jobs of the process before this one")
        recovered.set()
        while not (idle or self._ending):
            self._wake.clear()
            try:
                stands = await let_go_on(self._store, self._data)
                started = await self._store.write(Store.start_next, self._placing.waiting)
            except sqlite3.Error:
                log.exception("the next job")
                await asyncio.sleep(FAULT_SECONDS)
                continue
            if started is None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), standing.LOOK_SECONDS if stands else None)
                continue
            job_id, config = started
            self._current = job_id
            if self.observer:
                self.observer.training_begins()
            try:
                await self._one(job_id, config)
            except Exception as error:
                log.exception("job %s", job_id)
                reason = f"the local backend failed: {type(error).__name__}: {error}"
                with contextlib.suppress(sqlite3.Error):  # a broken data base: the next start ends the job
                    await self._end(job_id, Verdict("failed", {"error": reason}))
            finally:
                self._current = self._training = None
                sweep(self._data, job_id)

    async def _recover(self, resume: bool) -> None:
        """Settle the jobs that claim to run; nothing runs yet."""
        await asyncio.to_thread(sweep_data, self._data)
        verdict_of = functools.partial(kept_verdict, self._data)
        for job_id in await self._store.write(Store.recover, verdict_of, go_on=resume):
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
        orders = await self._store.read(Store.orders, job_id)
        name = (await self._store.read(Store.names)).get(job_id, job_id)
        job, going_on = {"id": job_id, "name": name}, "why" in orders
        if self.observer and not going_on and (why := await self.observer.refusal(config)):
            await self._end(job_id, Verdict("failed", why))
            return
        log_of = Log(self._store, job_id, name)
        reports = self._reporting.begin(job, config.get("reportTo"), log_of.say, going_on=going_on)

        def heard(events: Sequence[Event]) -> None:
            reports.take(events)
            for event, fields in events:
                if event == TRAINING_RESUMED and orders.get("auto"):
                    _tell(name, fields)

        training = self._training = Training(self._store, self.models, job_id, config, orders, heard)
        if job_id in self._unwanted:
            training.cancel()
        if job_id in self._to_pause or self._ending:
            training.pause("ended" if self._ending else "asked")
        asked = going_on and not orders.get("auto")
        watching = config.get("pauseOnBattery") and asyncio.create_task(
            watch_power(training.pause, asked=asked), name="where the power comes from"
        )
        verdict = Verdict(CRASHED, {})
        try:
            verdict = await training.run(self._data, self._project)
        finally:
            if watching:
                watching.cancel()
            self._reporting.end(job, reports, verdict.status)
            log_of.over = True
        seconds = time.monotonic() - began
        if verdict.status == CRASHED:
            verdict = await self._crashed(job_id, verdict)
        if self.observer and verdict.fields.get("outOfMemory"):
            verdict = await self._advised(self.observer, training, job_id, config, verdict)
        if verdict.status == PAUSED:
            await self._store.write(Store.pause, job_id, verdict.fields)
        elif verdict.status == WAITS and job_id not in self._unwanted:
            await self._placing.put_back(job_id, config, verdict.fields["why"])
        elif verdict.status != AGAIN:
            await self._end(job_id, Verdict("cancelled", {}) if verdict.status == WAITS else verdict)
        if self.observer:
            self.observer.training_ended(config, verdict, seconds)

    async def _crashed(self, job_id: str, verdict: Verdict) -> Verdict:
        """A job's process ended without a word: it goes on by itself, unless that has not helped."""
        pause = "ended" if self._ending else "asked" if job_id in self._to_pause else None
        verdict = await self._store.write(Store.crashed, job_id, verdict, pause)
        if verdict.status == AGAIN:
            notices.message("warning", f"{verdict.error} The job goes on from what was kept last")
        return verdict

    async def _advised(
        self, observer: Observer, training: Training, job_id: str, config: dict[str, Any], verdict: Verdict
    ) -> Verdict:
        """A job ran out of memory: its verdict with what would fit. A cancellation need not wait for it."""
        advising = asyncio.create_task(observer.what_fits(config, Preparing(self._store, job_id)))
        cancelling = asyncio.create_task(training.cancelled())
        await asyncio.wait({advising, cancelling}, return_when=asyncio.FIRST_COMPLETED)
        said = advising.result() if advising.done() and not advising.exception() else ""
        for task in (advising, cancelling):
            task.cancel()
        await asyncio.gather(advising, cancelling, return_exceptions=True)
        return Verdict(verdict.status, {**verdict.fields, "error": f"{verdict.error} {said}".strip()})
