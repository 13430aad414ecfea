"""Runs a job from its start to its verdict: the checks before the start, its observers, and its outcome."""

from __future__ import annotations

import asyncio
import functools
import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from arkor_dev.contract.events import (
    STATUSES,
    TRAINING_CANCELLED,
    TRAINING_COMPLETED,
    TRAINING_FAILED,
    TRAINING_PAUSED,
    TRAINING_RESUMED,
    TRAINING_STARTED,
    TrainingCancelled,
)
from arkor_dev.local.execution.messages import PausedAtResumePoint, Waits
from arkor_dev.local.jobs.store import Again, Crash, Store
from arkor_dev.local.jobs.verdict_file import drop_verdict, keep_verdict
from arkor_dev.local.workers import daemon_messages as notices

from .auto_resume import watch_power
from .worker_session import Detached, Log, Outcome, PreparationProgress, WorkerSession

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from arkor_dev.contract.events import (
        Event,
        LastEvent,
        TrainingCompleted,
        TrainingFailed,
        TrainingPaused,
    )
    from arkor_dev.contract.shapes import JobConfig, Progress
    from arkor_dev.local.jobs.async_store import AsyncStore
    from arkor_dev.local.models.catalog import Models
    from arkor_dev.local.reporting.messages import NamedJob
    from arkor_dev.local.reporting.service import ReportingService

    from .placement_queue import PlacementQueue


class RunningJob(NamedTuple):
    """A running job: its config, and whether it uses a device that the next job would need."""

    config: JobConfig
    same_device: bool


class BackgroundWork(Protocol):
    """Work that never runs during training, and continues afterwards."""

    def training_begins(self) -> None: ...

    def training_ended(self) -> None: ...


class Observer(Protocol):
    """Interface for observers of all training runs, such as forecasts, which must not slow them down."""

    def training_begins(self) -> None:
        """Note that a job is about to start."""

    def training_ended(self, config: JobConfig, completed: TrainingCompleted | None, seconds: float) -> None:
        """Note that a job's worker ended, and the duration of a completed job.

        ``seconds`` is 0 if another job ran at the same time, which invalidates it.
        """

    async def refusal(self, config: JobConfig) -> TrainingFailed | None:
        """Return why a job cannot fit on this machine; None if it can."""

    async def streams(self, config: JobConfig) -> bool:
        """Return whether a job is known to fit only if the layers of its model are streamed."""

    async def free_bytes(self) -> int | None:
        """Return the bytes of memory available to a new process; None if unknown."""

    async def fits_beside(self, config: JobConfig, others: Sequence[RunningJob], free_bytes: int) -> bool:
        """Return whether a job fits into ``free_bytes`` beside the running ``others``; false if unknown."""

    async def gpus_needed(self, config: JobConfig) -> int:
        """Return over how many GPUs a job's model must be spread; 1 if one holds it, or if that is unknown
        or not allowed.
        """

    async def what_fits(self, config: JobConfig, progress: Callable[[Progress], None]) -> str:
        """Return advice, in sentences, for a job that ran out of memory; may be empty."""


class JobRunner:
    """Runs one job. It can be cancelled or paused even before its worker has started.

    ``ran_alone`` stays true while no other job runs at the same time. ``devices`` are the job's GPUs if this
    machine has several.
    """

    def __init__(
        self,
        store: AsyncStore,
        models: Models,
        reporting: ReportingService,
        placement_queue: PlacementQueue,
        observer: Observer | None,
        job_id: str,
        config: JobConfig,
        devices: Sequence[str] = (),
    ) -> None:
        self._store, self._models, self._reporting = store, models, reporting
        self._placement_queue, self._observer = placement_queue, observer
        self.job, self.config, self.devices = job_id, config, devices
        self.ran_alone = True
        self.training: WorkerSession | None = None
        self._cancelled = False
        self._pause: str | None = None

    def cancel(self) -> None:
        self._cancelled = True
        if self.training:
            self.training.cancel()

    @property
    def pausing(self) -> bool:
        return self._cancelled or self._pause is not None

    def pause(self, reason: str) -> None:
        """Pause it after the current step; ``reason`` is one of ``training.paused``."""
        self._pause = reason
        if self.training:
            self.training.pause(reason)

    async def run(self, data: Path, project: Path) -> None:
        """Train, and store the verdict."""
        job_id, config, started = self.job, self.config, time.monotonic()
        resume_options = await self._store.read(Store.resume_options, job_id)
        name = (await self._store.read(Store.names)).get(job_id, job_id)
        job: NamedJob = {"id": job_id, "name": name}
        resumes = "why" in resume_options
        if self._observer and not resumes and (refused := await self._observer.refusal(config)):
            await end(self._store, data, job_id, refused)
            return
        streams = bool(self._observer and await self._observer.streams(config))
        log_of = Log(self._store, job_id, name)
        reports = self._reporting.begin(job, config.get("reportTo"), log_of.say, resumes=resumes)

        start_events = await self._store.read(Store.newest, job_id, TRAINING_STARTED) if resumes else []

        def observe(events: Sequence[Event]) -> None:
            if training.attached:  # reporters need the start, which this process has not seen
                reports.take(start_events)
            start_events.clear()
            reports.take(events)
            for event in events:
                if event["type"] == TRAINING_RESUMED and resume_options.get("auto"):
                    resumed = f"{name} resumed at step {event['step']}: {event.get('message')}"
                    notices.message("info", resumed)

        training = self.training = WorkerSession(
            self._store,
            self._models,
            job_id,
            config,
            resume_options,
            observe,
            devices=self.devices,
            streams=streams,
        )
        if self._cancelled:
            training.cancel()
        if self._pause:
            training.pause(self._pause)
        despite_battery = resumes and not (resume_options.get("auto") or resume_options.get("unasked"))
        watching = config.get("pauseOnBattery") and asyncio.create_task(
            watch_power(training.pause, despite_battery=despite_battery), name="where the power comes from"
        )
        outcome: Outcome | Again = Crash("")
        try:
            outcome = await training.run(data, project)
        finally:
            if watching:
                watching.cancel()
            self._reporting.end(job, reports, _status_of(outcome))
            log_of.closed = True
        seconds = time.monotonic() - started
        if isinstance(outcome, Crash):
            outcome = await self._crashed(outcome)
        if (
            self._observer
            and isinstance(outcome, dict)
            and outcome["type"] == TRAINING_FAILED
            and outcome.get("outOfMemory")
        ):
            await self._advise(self._observer, training, outcome)
            count = 1 if self._cancelled else await self._observer.gpus_needed(config)
            if count > max(1, len(self.devices)):
                why = f"One GPU has too little memory for this job, so its model is spread over {count}."
                crash = Crash(outcome["error"], reason=why, out_of_memory=True)
                outcome = await self._store.write(Store.crashed, job_id, crash, self._pause)
        completed: TrainingCompleted | None = None
        match outcome:
            case PausedAtResumePoint(reason, message):
                await self._store.write(Store.pause_at_resume_point, job_id, reason, message)
            case Waits(reason) if not self._cancelled:
                await self._placement_queue.requeue(job_id, config, reason)
            case Waits():
                await end(self._store, data, job_id, TrainingCancelled(type=TRAINING_CANCELLED))
            case Again() | Detached() | Crash():
                pass
            case event:
                if event["type"] == TRAINING_PAUSED:
                    await self._store.write(Store.pause, job_id, event)
                else:
                    completed = event if event["type"] == TRAINING_COMPLETED else None
                    await end(self._store, data, job_id, event)
        if self._observer:
            is_representative = self.ran_alone and not training.attached
            self._observer.training_ended(config, completed, seconds if is_representative else 0.0)

    async def _crashed(self, crash: Crash) -> Again | TrainingFailed | TrainingPaused:
        """Handle a worker that ended without a message: resume the job unless it repeats."""
        outcome = await self._store.write(Store.crashed, self.job, crash, self._pause)
        if isinstance(outcome, Again):
            notices.message("warning", f"{outcome.error} The job resumes from its last checkpoint")
        elif outcome["type"] == TRAINING_PAUSED:
            notices.message("warning", f"{outcome['message']}. The job is paused: resume it when you like")
        return outcome

    async def _advise(self, observer: Observer, training: WorkerSession, failed: TrainingFailed) -> None:
        """Add settings that would fit to the error of a job that ran out of memory; can be cancelled."""
        preparing = PreparationProgress(self._store, self.job)
        advising = asyncio.create_task(observer.what_fits(self.config, preparing))
        cancelling = asyncio.create_task(training.cancelled())
        await asyncio.wait({advising, cancelling}, return_when=asyncio.FIRST_COMPLETED)
        advice = advising.result() if advising.done() and not advising.exception() else ""
        for task in (advising, cancelling):
            task.cancel()
        await asyncio.gather(advising, cancelling, return_exceptions=True)
        preparing.close()
        failed["error"] = f"{failed['error']} {advice}".strip()


def _status_of(outcome: Outcome | Again) -> str:
    """Return the status for reporters: a job's, or ``crashed``, ``killed`` or ``waits``."""
    match outcome:
        case Crash():
            return "killed" if outcome.killed else "crashed"
        case PausedAtResumePoint():
            return "paused"
        case Waits() | Detached() | Again():
            return "waits"
        case _:
            return STATUSES[outcome["type"]]


async def end(store: AsyncStore, data: Path, job_id: str, event: LastEvent) -> None:
    """Store a job's last event, however long that takes; until then, keep it in a file."""
    keep = functools.partial(keep_verdict, data, job_id, event)
    writing = store.post_or(keep, Store.finish, job_id, event)
    await asyncio.shield(asyncio.wrap_future(writing))
    drop_verdict(data, job_id)
