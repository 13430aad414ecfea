"""One job's worker: starts it, stops or pauses it, and stores its messages as they arrive.

Anything that ends the worker ends the job with a reason. Stopping is first a request and then a kill: all
that matters is on disk.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.events import (
    MODEL_PROGRESS,
    TRAINING_CANCELLED,
    TRAINING_FAILED,
    TRAINING_MESSAGE,
    TRAINING_PAUSED,
    TRAINING_PHASE,
    TRAINING_STARTED,
    LastEvent,
    ModelProgress,
    TrainingCancelled,
    TrainingFailed,
    TrainingMessage,
    TrainingPaused,
    TrainingPhase,
)
from arkor_dev.local.execution.choice import execution_of
from arkor_dev.local.execution.messages import (
    Cancel,
    Detach,
    Ended,
    JobRequest,
    Lost,
    Marked,
    ModelWanted,
    Pause,
    PausedAtResumePoint,
    ResumePoint,
    Stored,
    TrainingEvent,
    Waits,
)
from arkor_dev.local.jobs.second_model import ensure_second
from arkor_dev.local.jobs.store import Crash, Store
from arkor_dev.local.jobs.verdict_file import keep_verdict
from arkor_dev.local.workers import daemon_messages as notices
from arkor_dev.local.workers.errors import SMALLER, JobFailure
from arkor_dev.local.workers.messages import ProgressReport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from arkor_dev.contract.events import Event
    from arkor_dev.contract.shapes import JobConfig, Progress
    from arkor_dev.local.execution.interface import Execution, Worker
    from arkor_dev.local.execution.messages import ResumeOptions
    from arkor_dev.local.jobs.async_store import AsyncStore
    from arkor_dev.local.models.catalog import Models


class Log:
    """The log of one job. Nothing may follow its end: once ``closed``, messages go to the terminal."""

    def __init__(self, store: AsyncStore, job_id: str, name: str) -> None:
        self._store, self._job, self._name = store, job_id, name
        self.closed = False

    def say(self, text: str) -> None:
        """Log a sentence without waiting for the write."""
        if self.closed:
            notices.message("warning", f"{self._name}: {text}")
        else:
            message = TrainingMessage(type=TRAINING_MESSAGE, message=text)
            self._store.post(Store.append, self._job, [message])


PROGRESS_SECONDS: Final = 0.5
FETCHING: Final = "fetching"
LOADING: Final = "loading"
"""Phases before the worker has its model; it names the others."""


class PreparationProgress:
    """Turns a preparation's progress into events and notices, at most two a second for each label."""

    def __init__(self, store: AsyncStore, job_id: str) -> None:
        self._store = store
        self._job = job_id
        self._label = ""
        self._sent_at = 0.0
        self._last: Progress | None = None
        self._open: set[str] = set()

    def __call__(self, progress: Progress) -> None:
        label, moment = progress["label"], time.monotonic()
        finished = progress["total"] is not None and progress["done"] >= progress["total"]
        if progress == self._last:
            return
        if label == self._label and moment - self._sent_at < PROGRESS_SECONDS and not finished:
            return
        self._label, self._sent_at, self._last = label, moment, progress
        self._store.post(Store.append, self._job, [_event(progress)])
        if finished:
            self._open.discard(label)
        elif progress["total"] is not None:
            self._open.add(label)
        notices.progress(progress)

    def close(self) -> None:
        """Report that unfinished preparations are not continued."""
        for label in self._open:
            notices.progress_ended(label)
        self._open.clear()


def _event(progress: Progress) -> ModelProgress:
    return ModelProgress(
        type=MODEL_PROGRESS,
        label=progress["label"],
        done=progress["done"],
        total=progress["total"],
        unit=progress["unit"],
    )


LATE_SECONDS: Final = 10.0
"""Seconds from which a wait for the disk is noted in the job's log."""


@dataclass(frozen=True)
class Detached:
    """The job trains on without this process."""


Outcome = LastEvent | TrainingPaused | PausedAtResumePoint | Crash | Waits | Detached
"""How a worker ended."""
ENDED: Final = "ended"
"""Reason of pauses when this process ends."""


class WorkerSession:
    """Trains the job ``job_id``; its ``resume_options`` describe how an interrupted job resumes.

    ``on_events`` receives events after they are logged; ``execution`` overrides the target in the config.
    ``devices`` are its GPUs if there are several.
    """

    def __init__(
        self,
        store: AsyncStore,
        models: Models,
        job_id: str,
        config: JobConfig,
        resume_options: ResumeOptions,
        on_events: Callable[[Sequence[Event]], None] = lambda _: None,
        execution: Execution | None = None,
        devices: Sequence[str] = (),
        *,
        streams: bool = False,
    ) -> None:
        self._store, self._models, self._streams = store, models, streams
        self._job, self._config, self._resume_options = job_id, config, resume_options
        self._on_events, self._devices = on_events, list(devices)
        self._execution = execution or execution_of(config)
        self._cancel, self._pause = asyncio.Event(), asyncio.Event()
        self._model_wanted = asyncio.Event()
        self._reason = ""
        self._steps = False
        self._marked = False
        self.attached = False

    def cancel(self) -> None:
        self._cancel.set()

    async def cancelled(self) -> None:
        """Wait for a cancellation."""
        await self._cancel.wait()

    def pause(self, reason: str) -> None:
        """Pause after the current step; ``reason`` as in ``training.paused``."""
        if not self._pause.is_set():
            self._reason = reason
            self._pause.set()

    async def run(self, data: Path, project: Path) -> Outcome:
        """Run the worker and wait for its end; return how it ended.

        Afterwards ``attached`` says whether the worker was already training.
        """
        shared = len(self._devices) > 1 and (self._config.get("workers") or 1) > 1
        resume_options = self._resume_options.copy()
        resume_options.pop("mark", None)
        resume = resume_options if resume_options.get("why") else None
        self.attached = resume is not None and self._execution.attaches(data, self._job)
        job = JobRequest(
            id=self._job,
            config=self._config,
            data=str(data),
            project=str(project),
            resume=resume,
            device=",".join(self._devices) if self._devices and not shared else None,
            devices=self._devices if shared else None,
            attaches=self.attached,
            mark=self._resume_options.get("mark") if self.attached else None,
            streams=self._streams,
        )
        if not self.attached:
            self._model_wanted.set()
        worker = await self._execution.start(job)
        following = asyncio.create_task(self._follow(worker))
        providing = asyncio.create_task(self._provide(worker, data))
        cancelling = asyncio.create_task(self._cancel.wait())
        pausing = asyncio.create_task(self._pause.wait())
        tasks: list[asyncio.Task[object]] = [following, providing, cancelling, pausing]
        try:
            awaited = set(tasks)
            while not (following.done() or cancelling.done()):
                done, _ = await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
                awaited -= done
                if providing in done and providing.exception():
                    break
                if pausing in done:
                    if self._reason == ENDED and self._execution.attaches(data, self._job):
                        worker.send(Detach())
                        return Detached()
                    if not (self._steps or self.attached):  # no message reports anything to store
                        break
                    worker.send(Pause(self._reason))
            if cancelling.done() and not following.done():
                worker.send(Cancel())
                await asyncio.wait({following}, timeout=self._execution.grace)
            if following.done():
                outcome = following.result()
                if self._marked and isinstance(outcome, dict) and outcome["type"] != TRAINING_PAUSED:
                    # Once it has stopped, only this process knows how it ended.
                    await asyncio.to_thread(keep_verdict, data, self._job, outcome)
                return outcome
            if cancelling.done():
                return TrainingCancelled(type=TRAINING_CANCELLED)
            failure = providing.exception() if providing.done() else None
            if isinstance(failure, JobFailure):
                return TrainingFailed(type=TRAINING_FAILED, error=str(failure))
            if failure:
                raise failure
            return PausedAtResumePoint(self._reason)
        finally:
            for task in tasks:
                task.cancel()
            await worker.stop()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _provide(self, worker: Worker, data: Path) -> None:
        await self._model_wanted.wait()
        fetched: set[str] = set()

        def report(progress: Progress) -> None:
            if progress["label"] not in fetched:  # again with each label: the worker says that it loads
                self._enter_phase(FETCHING)
            fetched.add(progress["label"])
            preparing(progress)

        with closing(PreparationProgress(self._store, self._job)) as preparing:
            model = await self._models.ensure(self._config["model"], report)
            second = await ensure_second(self._models, data, self._config, report)
        if fetched:
            self._enter_phase(LOADING)
        worker.send(replace(model, second=second))

    def _enter_phase(self, phase: str) -> None:
        self._store.post(Store.append, self._job, [TrainingPhase(type=TRAINING_PHASE, phase=phase)])

    async def _follow(self, worker: Worker) -> Outcome:
        with closing(PreparationProgress(self._store, self._job)) as preparing:
            return await self._stored(worker, preparing)

    async def _stored(self, worker: Worker, preparing: PreparationProgress) -> Outcome:
        """Store the worker's events as they arrive; return how it ended."""
        async for batch in worker.batches():
            marks = [message.mark for message in batch if isinstance(message, Marked)]
            messages = [message.message if isinstance(message, Marked) else message for message in batch]
            events: list[Event] = [
                message.event for message in messages if isinstance(message, TrainingEvent)
            ]
            points = [message.step for message in messages if isinstance(message, ResumePoint)]
            resumable, mark = points[-1] if points else None, marks[-1] if marks else None
            if events or resumable is not None or mark is not None:
                self._steps = self._steps or any(event["type"] == TRAINING_STARTED for event in events)
                began = time.monotonic()
                await self._store.write(Store.append, self._job, events, resumable, mark)
                if (seconds := time.monotonic() - began) >= LATE_SECONDS:
                    late = f"Nothing could be stored for {seconds:.0f} s (a full disk, or a locked database)"
                    text = f"{late}: the training waited, and continues"
                    waited = TrainingMessage(type=TRAINING_MESSAGE, message=text)
                    self._store.post(Store.append, self._job, [waited])
                self._on_events(events)
            if mark is not None:
                self._marked = True
                worker.send(Stored(mark))
            for message in messages:
                match message:
                    case ProgressReport(progress):
                        preparing(progress)
                    case ModelWanted():
                        self.attached = False
                        self._model_wanted.set()
                    case Ended(event):
                        return event
                    case Lost(reason):
                        return Crash(reason, reason=reason)
                    case Waits() | PausedAtResumePoint():
                        return message
        await worker.ended()
        error = worker.cause("The training process", SMALLER)
        if worker.ran_out_of_memory:
            return Crash(error, out_of_memory=True)
        return Crash(error, killed=worker.killed)
