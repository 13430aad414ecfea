"""One job's worker: starts it, stops or pauses it, and stores its messages as they arrive.

Anything that ends the worker ends the job with a reason. Stopping is first a request and then a kill: all
that matters is on disk.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.events import MODEL_PROGRESS, TRAINING_MESSAGE, TRAINING_PHASE, TRAINING_STARTED
from arkor_dev.contract.shapes import TERMINAL
from arkor_dev.data.methods import second_model_of
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
    ResumePoint,
    Stored,
    TrainingEvent,
    Waits,
)
from arkor_dev.local.jobs.store import KILLED, Store, Verdict
from arkor_dev.local.jobs.verdict_file import keep_verdict
from arkor_dev.local.workers import daemon_messages as notices
from arkor_dev.local.workers.errors import SMALLER, JobFailure
from arkor_dev.local.workers.messages import ProgressReport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from arkor_dev.contract.shapes import Progress
    from arkor_dev.local.execution.interface import Execution, Worker
    from arkor_dev.local.jobs.async_store import AsyncStore
    from arkor_dev.local.jobs.event_log import Event
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
            self._store.post(Store.append, self._job, [(TRAINING_MESSAGE, {"message": text})])


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
        self._store.post(Store.append, self._job, [(MODEL_PROGRESS, {**progress})])
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


LATE_SECONDS: Final = 10.0
"""Seconds from which a wait for the disk is noted in the job's log."""
PAUSED: Final = "paused"
CRASHED: Final = "crashed"
WAITS: Final = "waits"
DETACHED: Final = "alone"
"""Verdicts that don't end the job: paused, no message, no free resources, or trained without us."""
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
        config: dict[str, Any],
        resume_options: Mapping[str, Any],
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

    async def run(self, data: Path, project: Path) -> Verdict:
        """Run the worker and wait for its end; return the verdict, possibly one that does not end the job.

        Afterwards ``attached`` says whether the worker was already training.
        """
        shared = len(self._devices) > 1 and (self._config.get("workers") or 1) > 1
        resume_options = {key: value for key, value in self._resume_options.items() if key != "mark"}
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
        providing = asyncio.create_task(self._provide(worker))
        cancelling = asyncio.create_task(self._cancel.wait())
        pausing = asyncio.create_task(self._pause.wait())
        tasks: list[asyncio.Task[Any]] = [following, providing, cancelling, pausing]
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
                        return Verdict(DETACHED, {})
                    if not (self._steps or self.attached):  # no message reports anything to store
                        break
                    worker.send(Pause(self._reason))
            if cancelling.done() and not following.done():
                worker.send(Cancel())
                await asyncio.wait({following}, timeout=self._execution.grace)
            if following.done():
                verdict = following.result()
                if self._marked and verdict.status in TERMINAL:
                    # Once it has stopped, only this process knows how it ended.
                    await asyncio.to_thread(keep_verdict, data, self._job, verdict)
                return verdict
            if cancelling.done():
                return Verdict("cancelled", {})
            failure = providing.exception() if providing.done() else None
            if isinstance(failure, JobFailure):
                return Verdict("failed", {"error": str(failure)})
            if failure:
                raise failure
            return Verdict(PAUSED, {"reason": self._reason})
        finally:
            for task in tasks:
                task.cancel()
            await worker.stop()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _provide(self, worker: Worker) -> None:
        await self._model_wanted.wait()
        fetched: set[str] = set()

        def report(progress: Progress) -> None:
            if progress["label"] not in fetched:  # again with each label: the worker says that it loads
                self._enter_phase(FETCHING)
            fetched.add(progress["label"])
            preparing(progress)

        with closing(PreparationProgress(self._store, self._job)) as preparing:
            model = await self._models.ensure(self._config["model"], report)
            name = second_model_of(self._config)
            second = await self._models.ensure(name, report) if name else None
        if fetched:
            self._enter_phase(LOADING)
        worker.send(replace(model, second=second.path if second else None))

    def _enter_phase(self, phase: str) -> None:
        self._store.post(Store.append, self._job, [(TRAINING_PHASE, {"phase": phase})])

    async def _follow(self, worker: Worker) -> Verdict:
        with closing(PreparationProgress(self._store, self._job)) as preparing:
            return await self._stored(worker, preparing)

    async def _stored(self, worker: Worker, preparing: PreparationProgress) -> Verdict:
        """Store the worker's events as they arrive; return how it ended."""
        async for batch in worker.batches():
            marks = [message.mark for message in batch if isinstance(message, Marked)]
            messages = [message.message if isinstance(message, Marked) else message for message in batch]
            events: list[Event] = [(m.name, m.fields) for m in messages if isinstance(m, TrainingEvent)]
            points = [message.step for message in messages if isinstance(message, ResumePoint)]
            resumable, mark = points[-1] if points else None, marks[-1] if marks else None
            if events or resumable is not None or mark is not None:
                self._steps = self._steps or any(name == TRAINING_STARTED for name, _ in events)
                began = time.monotonic()
                await self._store.write(Store.append, self._job, events, resumable, mark)
                if (seconds := time.monotonic() - began) >= LATE_SECONDS:
                    late = f"Nothing could be stored for {seconds:.0f} s (a full disk, or a locked database)"
                    fields = {"message": f"{late}: the training waited, and continues"}
                    self._store.post(Store.append, self._job, [(TRAINING_MESSAGE, fields)])
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
                    case Ended(status, fields):
                        return Verdict(status, fields)
                    case Lost(reason):
                        return Verdict(CRASHED, {"error": reason, "why": reason})
                    case Waits(reason):
                        return Verdict(WAITS, {"why": reason})
        await worker.ended()
        cause: dict[str, Any] = {"error": worker.cause("The training process", SMALLER)}
        if worker.ran_out_of_memory:
            return Verdict(CRASHED, {**cause, "outOfMemory": True})
        return Verdict(KILLED if worker.killed else CRASHED, cause)
