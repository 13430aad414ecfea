"""A job runs wherever its execution says: nothing of the scheduler's or the store's knows what that is."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from arkor_dev.local.execution.messages import (
    Detach,
    Ended,
    JobRequest,
    Marked,
    ModelWanted,
    ResumePoint,
    Stored,
    TrainingEvent,
)
from arkor_dev.local.jobs.async_store import AsyncStore
from arkor_dev.local.jobs.running.worker_session import Detached, Outcome, WorkerSession
from arkor_dev.local.jobs.store import Crash, Store
from arkor_dev.local.models.catalog import Model
from arkor_dev.local.workers.messages import ProgressReport
from tests.local.job_configs import config_of
from tests.local.jobs.test_async_store import CONFIG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from arkor_dev.contract.shapes import Progress
    from arkor_dev.local.execution.messages import WorkerMessage
    from arkor_dev.local.workers.codec import Message


class Elsewhere:
    """Runs a job in this process: an `Execution` and its `Worker`, which says ``words`` once it has a model.

    Without an ``end`` among them it ends with exit status 3.
    """

    grace = 0.1
    killed = ran_out_of_memory = False
    alone = False

    def __init__(self, *words: WorkerMessage) -> None:
        self.job = JobRequest("", config_of({}), "", "")
        self.told: list[Message] = []
        self.stopped = False
        self._words = words
        self._model = asyncio.Event()

    def attaches(self, _: Path, __: str) -> bool:
        return self.alone

    async def start(self, job: JobRequest) -> Elsewhere:
        self.job = job
        return self

    def send(self, message: Message) -> None:
        self.told.append(message)
        if isinstance(message, Model):
            self._model.set()

    async def batches(self) -> AsyncIterator[list[WorkerMessage]]:
        await self._model.wait()
        for word in self._words:
            yield [word]

    async def ended(self) -> int:
        return 3

    async def stop(self) -> None:
        self.stopped = True

    def cause(self, what: str, relief: str) -> str:
        return f"{what} ended with exit status 3"


class Here:
    """A model that is at hand."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def ensure(self, name: str, _: object) -> Model:
        return Model(name, self._folder)


async def run(
    folder: Path, execution: Elsewhere, pause: str | None = None
) -> tuple[Outcome, list[tuple[str, str]], str]:
    """The verdict on a job, its events by name and data, and its id; it goes on where it was left."""
    store = AsyncStore(Store(folder / "backend.sqlite", "local"))
    try:
        if not (jobs := await store.read(Store.names)):
            await store.write(Store.create, "a", CONFIG)
            jobs = await store.read(Store.names)
        [job] = jobs
        await store.write(Store.start_next)
        orders = await store.read(Store.resume_options, job)
        training = WorkerSession(store, Here(folder), job, CONFIG, orders, execution=execution)  # type: ignore[arg-type]
        if pause:
            training.pause(pause)
        verdict = await training.run(folder, folder)
        events = await store.read(Store.events, job, 0, 100)
        return verdict, [(name, data) for _, name, data in events], job
    finally:
        store.close()


PROGRESS: Progress = {"label": "Reading", "done": 1, "total": None, "unit": "rows"}
LOSS = TrainingEvent({"type": "training.log", "step": 1, "loss": 2.5})


async def test_a_job_runs_through_its_execution(tmp_path: Path) -> None:
    elsewhere = Elsewhere(
        LOSS, ResumePoint(1), Ended({"type": "training.completed", "metrics": {"steps": 1}})
    )
    verdict, events, job = await run(tmp_path, elsewhere)
    assert verdict == {"type": "training.completed", "metrics": {"steps": 1}}
    assert [name for name, _ in events] == ["training.log"]
    assert elsewhere.job == JobRequest(job, config_of(CONFIG), str(tmp_path), str(tmp_path))
    assert elsewhere.told == [Model(CONFIG["model"], tmp_path)]
    assert elsewhere.stopped


async def test_a_worker_without_a_final_message_has_crashed(tmp_path: Path) -> None:
    elsewhere = Elsewhere(LOSS)
    verdict, _, _ = await run(tmp_path, elsewhere)
    assert verdict == Crash("The training process ended with exit status 3")
    assert elsewhere.stopped


def said(step: int) -> Marked:
    return Marked(f"place:{step}", TrainingEvent({"type": "training.log", "step": step, "loss": 1.0}))


class Left(Elsewhere):
    """Trains on alone: who attaches hears what was said behind its mark; it waits for a model it wants."""

    alone = True

    async def start(self, job: JobRequest) -> Elsewhere:
        marks = [word.mark if isinstance(word, Marked) else None for word in self._words]
        self._words = self._words[marks.index(job.mark) + 1 if job.mark else 0 :]
        return await super().start(job)

    async def batches(self) -> AsyncIterator[list[WorkerMessage]]:
        for word in self._words:
            yield [word]
            if isinstance(word, ModelWanted):
                async with asyncio.timeout(60):
                    await self._model.wait()


async def test_buffered_messages_are_read_once_in_order(tmp_path: Path) -> None:
    words = [said(1), Marked("place:p", ProgressReport(PROGRESS)), said(2), said(3)]
    verdict, _, job = await run(tmp_path, Elsewhere(*words[:3]))
    assert isinstance(verdict, Crash)
    store = Store(tmp_path / "backend.sqlite", "local")
    assert store.recover(trains_elsewhere=lambda *_: True) == [job]
    store.close()
    left = Left(*words, Ended({"type": "training.completed", "metrics": {}}))
    verdict, events, _ = await run(tmp_path, left)
    assert isinstance(verdict, dict)
    assert verdict["type"] == "training.completed"
    assert [json.loads(data)["step"] for name, data in events if name == "training.log"] == [1, 2, 3]
    assert (left.job.attaches, left.job.mark) == (True, "place:2")
    assert left.told == [Stored("place:3")]  # and no model
    assert left.job.resume
    assert left.job.resume["why"]
    assert "mark" not in left.job.resume


async def test_a_detached_job_is_left_running(tmp_path: Path) -> None:
    left = Left(said(1))
    verdict, _, _ = await run(tmp_path, left, pause="ended")
    assert verdict == Detached()
    assert left.told[-1] == Detach()
    assert left.stopped


async def test_a_lost_execution_requests_the_model_again(tmp_path: Path) -> None:
    await run(tmp_path, Elsewhere(said(1)))
    store = Store(tmp_path / "backend.sqlite", "local")
    store.recover(trains_elsewhere=lambda *_: True)
    store.close()
    gone = Left(said(1), ModelWanted(), LOSS, Ended({"type": "training.completed"}))
    verdict, _, _ = await run(tmp_path, gone)
    assert isinstance(verdict, dict)
    assert verdict["type"] == "training.completed"
    assert gone.told == [Model(CONFIG["model"], tmp_path)]
