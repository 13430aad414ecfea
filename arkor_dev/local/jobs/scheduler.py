"""Runs one job at a time, or as many as may run concurrently, and queues the rest.

A job whose process crashed resumes automatically before all others, and so does one that was running when an
earlier backend process ended. On shutdown the backend pauses running jobs; those that take too long are
killed, and resume from their newest checkpoint. Concurrent jobs must fit into memory together, according to
their estimates; a job without an estimate waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import sqlite3
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import ConflictError, InsufficientStorageError, NotFoundError
from arkor_dev.contract.events import TRAINING_CANCELLED, TRAINING_FAILED, TrainingCancelled, TrainingFailed
from arkor_dev.contract.rules import counted
from arkor_dev.local.execution import choice
from arkor_dev.local.execution.choice import execution_of, is_elsewhere
from arkor_dev.local.jobs.running.job_runner import RunningJob
from arkor_dev.local.modeling.gpu_count import is_unspecified
from arkor_dev.local.reporting.service import ReportingService
from arkor_dev.local.workers import daemon_messages as notices

from .database import is_damage
from .disk import keep_reserve, release_reserve, remove_files
from .job_folder import report_file, sweep, sweep_data
from .running import auto_resume
from .running.auto_resume import resume_due
from .running.job_runner import JobRunner, end
from .running.placement_queue import PlacementQueue
from .running.remote_cleanup import RemoteCleanup
from .store import ENDED, Store
from .verdict_file import drop_verdict, kept_verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from arkor_dev.contract.shapes import Job, JobConfig
    from arkor_dev.local.jobs.running.job_runner import BackgroundWork, Observer
    from arkor_dev.local.models.catalog import Models

    from .async_store import AsyncStore

log = logging.getLogger(__name__)

RECOVER_SECONDS: Final = 2.0
"""Seconds that the start waits until jobs of a killed process are settled."""
CANCEL_SECONDS: Final = 15.0
"""Seconds that a cancel request waits for the job's end, which follows in any case."""
PAUSE_SECONDS: Final = 60.0
"""Seconds that a pause request waits for the job to pause, which happens after its step in any case."""
REST_SECONDS: Final = 2.0
"""Seconds that shutdown waits for running jobs to pause."""
SETTLE_SECONDS: Final = 0.5
"""Seconds that shutdown first waits for a job that is being started."""
FAULT_SECONDS: Final = 1.0


def _paused(job: Job, saved: int) -> str:
    """Describe what a job keeps when the backend ends (``saved``: its step or 0), and how it continues."""
    if saved:
        return f"is paused after step {saved}. It resumes by itself"
    if steps := job["metrics"].get("step"):
        return f"had no time to save its {counted(steps, 'step')}. It starts again by itself"
    return "has not finished its first step. It starts again by itself"


class Scheduler:
    """Runs queued jobs in order, and deletes jobs."""

    observer: Observer | None = None
    waiting: Sequence[BackgroundWork] = ()

    def __init__(
        self,
        store: AsyncStore,
        models: Models,
        data: Path,
        project: Path,
        at_once: int | None = None,
        devices: Sequence[str] = (),
    ) -> None:
        """Run up to ``at_once`` jobs concurrently, by default one on each of ``devices`` (GPU numbers)."""
        self._store = store
        self.models = models
        self._data = data
        self._project = project
        self._reporting = ReportingService(functools.partial(report_file, data), project)
        self._wake, self._woken = asyncio.Event(), asyncio.Event()
        self._placement_queue, self._cleanup = (
            PlacementQueue(store, data, self._wake.set),
            RemoteCleanup(store, data),
        )
        self._devices = list(devices) if len(devices) > 1 else []
        self._at_once = at_once or max(1, len(self._devices))
        self._running: dict[str, tuple[JobRunner, asyncio.Task[None]]] = {}
        self._free_bytes: int | None = None
        self._cancelled: set[str] = set()
        self._to_pause: dict[str, str] = {}
        """Reasons, by job."""
        self._ending = self._idle = self._damaged = False

    @contextlib.asynccontextmanager
    async def running(
        self, *, idle: bool = False, on_demand: bool = False, resume: bool = True
    ) -> AsyncIterator[None]:
        """Process the queue while the body runs; pause running jobs on exit.

        ``idle`` settles the jobs of an earlier process and starts none. ``on_demand`` does the same until
        :meth:`wake` is called. Without ``resume``, jobs that were running stay paused.
        """
        self._idle = idle or on_demand
        recovered, working = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(self._run(recovered, working, never=idle, resume=resume))
        watchers = [
            asyncio.create_task(self._placement_queue.watch(), name="places of waiting jobs"),
            asyncio.create_task(self._clear(working), name="remains of jobs"),
        ]
        with contextlib.suppress(TimeoutError):  # don't delay the start for a locked database
            await asyncio.wait_for(recovered.wait(), RECOVER_SECONDS)
        try:
            yield
        finally:
            self._ending = True
            self.wake()
            await asyncio.wait({task}, timeout=SETTLE_SECONDS)
            await self._pause_running()
            for task_to_end in (task, *watchers):
                task_to_end.cancel()
            await asyncio.gather(task, *watchers, return_exceptions=True)
            await choice.close()
            await self._reporting.close()

    @property
    def busy(self) -> bool:
        return bool(self._running)

    @property
    def at_once(self) -> int:
        """The maximum number of jobs that run at the same time."""
        return self._at_once

    @property
    def idle(self) -> bool:
        """Return whether no job may start in this process (yet)."""
        return self._idle or self._ending

    def wake(self) -> None:
        """Signal a new job or a change of the queue; an on-demand backend starts working."""
        self._woken.set()
        self._wake.set()

    async def cancel(self, job_id: str) -> None:
        """Cancel a waiting, running or paused job, and wait for its end; ignore an ended one."""
        if await self._store.request(Store.cancel_queued, job_id):
            self._cleanup.wake()
            return
        if self._idle:  # it keeps training elsewhere, and only this process can stop it
            await end(self._store, self._data, job_id, TrainingCancelled(type=TRAINING_CANCELLED))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._cleanup.clear(), CANCEL_SECONDS)
            return
        self._cancelled.add(job_id)
        if job_id in self._running:
            self._running[job_id][0].cancel()
        await self._until(job_id, ("completed", "failed", "cancelled"), CANCEL_SECONDS)
        self._cancelled.discard(job_id)

    async def pause(self, job_id: str, reason: str = "asked") -> None:
        """Pause a running job after its current step; wait for that. Raises ConflictError for others."""
        job = await self._store.read(Store.get, job_id)
        if job is None:
            raise NotFoundError(f"There is no job {job_id}")
        if job["status"] != "running":
            raise ConflictError(f"The job {job['name']} is {job['status']}: only one that runs can be paused")
        if self._idle:
            raise ConflictError(
                f"The job {job['name']} keeps training elsewhere: open Studio to pause it, or cancel it"
            )
        self._to_pause[job_id] = reason
        if job_id in self._running:
            self._running[job_id][0].pause(reason)
        await self._until(job_id, ("paused", "completed", "failed", "cancelled"), PAUSE_SECONDS)
        self._to_pause.pop(job_id, None)

    async def _until(self, job_id: str, statuses: tuple[str, ...], seconds: float) -> None:
        """Wait until a job has one of these statuses or is deleted, up to a time limit."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    update = self._store.pulse.next()
                    job = await self._store.read(Store.get, job_id)
                    if job is None or job["status"] in statuses:
                        break
                    await update.wait()

    async def _pause_running(self) -> None:
        """Pause running jobs; kill those that take too long."""
        running = dict(self._running)
        training_tasks = {task for runner, task in running.values() if runner.training}
        for runner, _ in running.values():
            runner.pause("ended")
        if training_tasks:
            await asyncio.wait(training_tasks, timeout=REST_SECONDS)
        # Also pause one without a worker yet: otherwise the next process would consider it crashed.
        unfinished = [job_id for job_id, (_, task) in running.items() if not task.done()]
        for job_id in unfinished:
            running[job_id][1].cancel()
        if unfinished:
            await asyncio.wait({running[job_id][1] for job_id in unfinished}, timeout=REST_SECONDS)
        for job_id in unfinished:
            if execution_of(running[job_id][0].config).attaches(self._data, job_id):
                continue  # it keeps training elsewhere
            await self._store.write(Store.pause_at_resume_point, job_id, "ended", ENDED)
        for job_id in running:
            job = await self._store.read(Store.get, job_id)
            if job and job["status"] == "running":
                text = f"The job {job['name']} keeps training. Studio finds it when it is next opened here"
                notices.message("info", text)
            if job and (pause := job.get("pause")):
                text = f"The job {job['name']} {_paused(job, pause['step'])} when Studio is opened here again"
                notices.message("info", text)

    async def _run(
        self, recovered: asyncio.Event, working: asyncio.Event, *, never: bool, resume: bool
    ) -> None:
        await self._settle(resume and not self._idle)
        recovered.set()
        if never:
            return
        if self._idle:
            await self._woken.wait()
            if self._ending:
                return
            self._idle = False
            await self._settle(resume)
        working.set()
        while not self._ending:
            self._wake.clear()
            try:
                waits = await resume_due(self._store, self._data)
                started, for_room = await self._next()
            except sqlite3.Error as error:
                log.exception("the next job")
                self._look_for_damage(error)
                await asyncio.sleep(FAULT_SECONDS)
                continue
            if started:
                await self._start(*started)
                continue
            await self._yield()
            timeout = auto_resume.CHECK_SECONDS if waits or for_room else None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), timeout)

    async def _next(self) -> tuple[tuple[str, JobConfig] | None, bool]:
        """Return the job to start now, if any, and whether a job waits only for memory."""
        if self._damaged:
            return None, False
        if not self._running:
            if self._at_once > 1 and self.observer:
                self._free_bytes = await self.observer.free_bytes()
            return await self._store.write(Store.start_next, self._placement_queue.waiting), False
        if len(self._running) >= self._at_once or self.observer is None or self._free_bytes is None:
            return None, False
        passed = self._placement_queue.waiting
        next_job = await self._store.read(Store.peek_next, passed)
        if next_job is None:
            return None, False
        if is_elsewhere(next_job[1]):  # it takes no memory on this machine
            return await self._store.write(Store.start_next, passed, next_job[0]), False
        devices = await self._devices_for(next_job[1])
        local_runners = [runner for runner, _ in self._running.values() if not is_elsewhere(runner.config)]
        others = [
            RunningJob(runner.config, not devices or not set(devices).isdisjoint(runner.devices))
            for runner in local_runners
        ]
        is_spread = len(devices) > 1 and is_unspecified(next_job[1])
        if is_spread and any(other.same_device for other in others):
            return None, True
        if not await self.observer.fits_beside(next_job[1], others, self._free_bytes):
            return None, True
        return await self._store.write(Store.start_next, passed, next_job[0]), False

    async def _yield(self) -> None:
        """Pause a running job of a sweep if any other job is waiting for a slot."""
        running = [runner for runner, _ in self._running.values() if not runner.pausing]
        if self._damaged or len(running) < len(self._running):
            return  # a slot will be free in a moment
        up = await self._store.read(Store.peek_next, self._placement_queue.waiting)
        if up is None or await self._store.read(Store.is_of_sweep, up[0]):
            return
        for runner in reversed(running):
            if await self._store.read(Store.is_of_sweep, runner.job):
                runner.pause(auto_resume.YIELDED)
                return

    async def _devices_for(self, config: JobConfig) -> list[str]:
        """Return the least busy devices, one per worker or GPU of the job; empty with one device."""
        used = [device for runner, _ in self._running.values() for device in runner.devices]
        count = max(config.get("workers") or 1, config.get("gpus") or 1)
        if self._devices and self.observer and is_unspecified(config):
            count = await self.observer.gpus_needed(config)
        return sorted(self._devices, key=used.count)[:count]

    async def _start(self, job_id: str, config: JobConfig) -> None:
        devices = [] if is_elsewhere(config) else await self._devices_for(config)
        collaborators = self._reporting, self._placement_queue, self.observer
        runner = JobRunner(self._store, self.models, *collaborators, job_id, config, devices)
        if job_id in self._cancelled:
            runner.cancel()
        if job_id in self._to_pause or self._ending:
            runner.pause("ended" if self._ending else self._to_pause[job_id])
        for other_runner, _ in self._running.values():
            other_runner.ran_alone = runner.ran_alone = False
        self._running[job_id] = runner, asyncio.create_task(self._live(runner), name=f"job {job_id}")
        for notified in (*([self.observer] if self.observer else ()), *self.waiting):
            notified.training_begins()

    async def _live(self, runner: JobRunner) -> None:
        try:
            await runner.run(self._data, self._project)
        except Exception as error:
            log.exception("job %s", runner.job)
            self._look_for_damage(error)
            reason = f"the local backend failed: {type(error).__name__}: {error}"
            with contextlib.suppress(sqlite3.Error):  # a damaged database: the next start ends the job
                failed = TrainingFailed(type=TRAINING_FAILED, error=reason)
                await end(self._store, self._data, runner.job, failed)
        finally:
            del self._running[runner.job]
            for waiting in self.waiting:
                waiting.training_ended()
            sweep(self._data, runner.job)
            self._wake.set()
            self._cleanup.wake()

    def _look_for_damage(self, error: Exception) -> None:
        """Start no further jobs if ``error`` means that the database is damaged and would store nothing."""
        if is_damage(error) and not self._damaged:
            self._damaged = True
            notices.message(
                "error",
                f"The job database is damaged ({error}): no more jobs are started. Restart Studio: it "
                "then checks the file and says what to do",
            )

    async def _clear(self, working: asyncio.Event) -> None:
        await working.wait()
        await self._cleanup.watch()

    async def _settle(self, resume: bool) -> None:
        try:
            await self._recover(resume, self._idle)
        except sqlite3.Error:
            log.exception("the jobs of the process before this one")

    async def _recover(self, resume: bool, idle: bool) -> None:
        """Settle jobs marked as running; call it before any runs."""
        data = self._data

        def trains_elsewhere(job_id: str, config: Mapping[str, object]) -> bool:
            return execution_of(config).attaches(data, job_id)

        await asyncio.to_thread(sweep_data, self._data)
        last_event_of = functools.partial(kept_verdict, self._data)
        options = {"resume": resume, "read_only": idle}
        for job_id in await self._store.write(
            Store.recover, last_event_of, trains_elsewhere=trains_elsewhere, **options
        ):
            sweep(self._data, job_id)
            drop_verdict(self._data, job_id)
        for job_id in await self._store.write(Store.removed):
            await self._remove_files(job_id)

    async def delete(self, job_id: str, drop: Callable[[str], None]) -> None:
        """Delete an ended job with its events and files; ``drop`` stops anything that still writes files.

        The record goes first. If this process ends after that, the next one deletes the files, so that a job
        never exists in part.
        """
        try:
            await self._store.request(Store.remove, job_id)
        except InsufficientStorageError:  # this frees space, but first needs some
            if not await asyncio.to_thread(release_reserve, self._data):
                raise
            await self._store.request(Store.remove, job_id)
        drop(job_id)
        await self._remove_files(job_id)
        await asyncio.to_thread(keep_reserve, self._data)

    async def _remove_files(self, job_id: str) -> None:
        try:
            await asyncio.to_thread(remove_files, self._data, job_id)
        except OSError as error:
            text = f"Files of the deleted job {job_id} cannot be removed: {error}. The next start tries again"
            notices.message("warning", text)
            return
        await self._store.write(Store.forget_removed, job_id)
