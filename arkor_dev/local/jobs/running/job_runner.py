"""Runs a job from its start to its verdict: the checks before the start, its observers, and its outcome."""

from __future__ import annotations

import asyncio
import functools
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from arkor_dev.contract.events import TRAINING_RESUMED, TRAINING_STARTED
from arkor_dev.local.jobs.store import AGAIN, KILLED, Store, Verdict
from arkor_dev.local.jobs.verdict_file import drop_verdict, keep_verdict
from arkor_dev.local.workers import daemon_messages as notices

from .auto_resume import watch_power
from .worker_session import CRASHED, DETACHED, PAUSED, WAITS, Log, PreparationProgress, WorkerSession

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from arkor_dev.contract.shapes import Progress
    from arkor_dev.local.jobs.async_store import AsyncStore
    from arkor_dev.local.jobs.event_log import Event
    from arkor_dev.local.models.catalog import Models
    from arkor_dev.local.reporting.service import Reporting

    from .placement_queue import PlacementQueue


class RunningJob(NamedTuple):
    """A running job: its config, and whether it uses a device that the next job would need."""

    config: dict[str, Any]
    same_device: bool


class BackgroundWork(Protocol):
    """Work that never runs during training, and continues afterwards."""

    def training_begins(self) -> None: ...

    def training_ended(self) -> None: ...


class Observer(Protocol):
    """Interface for observers of all training runs, such as forecasts, which must not slow them down."""

    def training_begins(self) -> None:
        """Note that a job is about to start."""

    def training_ended(self, config: Mapping[str, Any], verdict: Verdict, seconds: float) -> None:
        """Note the duration of an ended job; 0 if another job ran at the same time, which invalidates it."""

    async def refusal(self, config: dict[str, Any]) -> dict[str, Any]:
        """Return why a job cannot fit on this machine, as fields of ``training.failed``; empty if it can."""

    async def streams(self, config: dict[str, Any]) -> bool:
        """Return whether a job is known to fit only if the layers of its model are streamed."""

    async def free_bytes(self) -> int | None:
        """Return the bytes of memory available to a new process; None if unknown."""

    async def fits_beside(
        self, config: dict[str, Any], others: Sequence[RunningJob], free_bytes: int
    ) -> bool:
        """Return whether a job fits into ``free_bytes`` beside the running ``others``; false if unknown."""

    async def gpus_needed(self, config: dict[str, Any]) -> int:
        """Return over how many GPUs a job's model must be spread; 1 if one holds it, or if that is unknown
        or not allowed.
        """

    async def what_fits(self, config: dict[str, Any], progress: Callable[[Progress], None]) -> str:
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
        reporting: Reporting,
        placement_queue: PlacementQueue,
        observer: Observer | None,
        job_id: str,
        config: dict[str, Any],
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
        job, resumes = {"id": job_id, "name": name}, "why" in resume_options
        if self._observer and not resumes and (refusal_fields := await self._observer.refusal(config)):
            await end(self._store, data, job_id, Verdict("failed", refusal_fields))
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
            for event, fields in events:
                if event == TRAINING_RESUMED and resume_options.get("auto"):
                    resumed = f"{name} resumed at step {fields['step']}: {fields['message']}"
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
        verdict = Verdict(CRASHED, {})
        try:
            verdict = await training.run(data, project)
        finally:
            if watching:
                watching.cancel()
            self._reporting.end(job, reports, verdict.status)
            log_of.closed = True
        seconds = time.monotonic() - started
        if verdict.status in (CRASHED, KILLED):
            verdict = await self._crashed(verdict)
        if self._observer and verdict.fields.get("outOfMemory"):
            verdict = await self._advised(self._observer, training, verdict)
            count = 1 if self._cancelled else await self._observer.gpus_needed(config)
            if count > max(1, len(self.devices)):
                why = f"One GPU has too little memory for this job, so its model is spread over {count}."
                verdict = Verdict(CRASHED, {**verdict.fields, "why": why})
                verdict = await self._store.write(Store.crashed, job_id, verdict, self._pause)
        if verdict.status == PAUSED:
            await self._store.write(Store.pause, job_id, verdict.fields)
        elif verdict.status == WAITS and not self._cancelled:
            await self._placement_queue.requeue(job_id, config, verdict.fields["why"])
        elif verdict.status not in (AGAIN, DETACHED):
            final_verdict = Verdict("cancelled", {}) if verdict.status == WAITS else verdict
            await end(self._store, data, job_id, final_verdict)
        if self._observer:
            is_representative = self.ran_alone and not training.attached
            self._observer.training_ended(config, verdict, seconds if is_representative else 0.0)

    async def _crashed(self, verdict: Verdict) -> Verdict:
        """Handle a worker that ended without a message: resume the job unless it repeats."""
        verdict = await self._store.write(Store.crashed, self.job, verdict, self._pause)
        if verdict.status == AGAIN:
            notices.message("warning", f"{verdict.error} The job resumes from its last checkpoint")
        elif verdict.status == PAUSED:
            notices.message(
                "warning", f"{verdict.fields['message']}. The job is paused: resume it when you like"
            )
        return verdict

    async def _advised(self, observer: Observer, training: WorkerSession, verdict: Verdict) -> Verdict:
        """Add settings that would fit to the verdict of a job that ran out of memory; can be cancelled."""
        preparing = PreparationProgress(self._store, self.job)
        advising = asyncio.create_task(observer.what_fits(self.config, preparing))
        cancelling = asyncio.create_task(training.cancelled())
        await asyncio.wait({advising, cancelling}, return_when=asyncio.FIRST_COMPLETED)
        advice = advising.result() if advising.done() and not advising.exception() else ""
        for task in (advising, cancelling):
            task.cancel()
        await asyncio.gather(advising, cancelling, return_exceptions=True)
        preparing.close()
        return Verdict(verdict.status, {**verdict.fields, "error": f"{verdict.error} {advice}".strip()})


async def end(store: AsyncStore, data: Path, job_id: str, verdict: Verdict) -> None:
    """Store the verdict, however long that takes; until then, keep it in a file."""
    keep = functools.partial(keep_verdict, data, job_id, verdict)
    writing = store.post_or(keep, Store.finish, job_id, verdict)
    await asyncio.shield(asyncio.wrap_future(writing))
    drop_verdict(data, job_id)
