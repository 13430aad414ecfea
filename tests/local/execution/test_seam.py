"""A job runs wherever its execution says: nothing of the scheduler's or the store's knows what that is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from arkor_dev.local.jobs.async_store import AsyncStore
from arkor_dev.local.jobs.running.training import CRASHED, Training
from arkor_dev.local.jobs.store import Store, Verdict
from arkor_dev.local.models.catalog import Model
from tests.local.jobs.test_async_store import CONFIG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path


class Elsewhere:
    """Runs a job in this process: an `Execution` and its `Worker`, which says ``words`` once it has a model.

    Without an ``end`` among them it ends with exit status 3.
    """

    grace = 0.1
    killed = False

    def __init__(self, *words: dict[str, Any]) -> None:
        self.job: Mapping[str, Any] = {}
        self.told: list[dict[str, Any]] = []
        self.stopped = False
        self._words = words
        self._model = asyncio.Event()

    async def start(self, job: Mapping[str, Any]) -> Elsewhere:
        self.job = job
        return self

    def send(self, **fields: Any) -> None:
        self.told.append(fields)
        if "path" in fields:
            self._model.set()

    async def batches(self) -> AsyncIterator[list[dict[str, Any]]]:
        await self._model.wait()
        for word in self._words:
            yield [word]

    async def ended(self) -> int:
        return 3

    async def stop(self) -> None:
        self.stopped = True

    def cause(self, what: str) -> str:
        return f"{what} ended with exit status 3"


class Here:
    """A model that is at hand."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def ensure(self, name: str, _: object) -> Model:
        return Model(name, self._folder)


async def run(folder: Path, execution: Elsewhere) -> tuple[Verdict, list[tuple[str, str]], str]:
    """The verdict on a job, its events by name and data, and its id."""
    store = AsyncStore(Store(folder / "backend.sqlite", "local"))
    try:
        job = (await store.write(Store.create, "a", CONFIG))["id"]
        await store.write(Store.start_next)
        training = Training(store, Here(folder), job, CONFIG, {}, execution=execution)  # type: ignore[arg-type]
        verdict = await training.run(folder, folder)
        events = await store.read(Store.events, job, 0, 100)
        return verdict, [(name, data) for _, name, data in events], job
    finally:
        store.close()


LOSS = {"event": "training.log", "fields": {"step": 1, "loss": 2.5}}


async def test_a_job_runs_where_its_execution_says(tmp_path: Path) -> None:
    elsewhere = Elsewhere(LOSS, {"kept": 1}, {"end": "completed", "fields": {"metrics": {"steps": 1}}})
    verdict, events, job = await run(tmp_path, elsewhere)
    assert verdict == Verdict("completed", {"metrics": {"steps": 1}})
    assert [name for name, _ in events] == ["training.log"]
    folders = {"data": str(tmp_path), "project": str(tmp_path)}
    assert elsewhere.job == {"id": job, "config": CONFIG, **folders, "resume": None}
    assert elsewhere.told == [{"name": CONFIG["model"], "path": str(tmp_path), "note": None}]
    assert elsewhere.stopped


async def test_a_worker_that_ends_without_its_last_word_has_crashed(tmp_path: Path) -> None:
    elsewhere = Elsewhere(LOSS)
    verdict, _, _ = await run(tmp_path, elsewhere)
    assert verdict == Verdict(CRASHED, {"error": "The training process ended with exit status 3"})
    assert elsewhere.stopped
