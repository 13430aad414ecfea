"""The forecasts of one project: known ones at once, others measured one after another while nothing trains.

A measurement is never in the way: it is killed when a job starts, and begins anew when none runs; what nobody
asks for any more is dropped. What was measured is kept, and corrected by the runs that follow.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.data.sources import SourceError, inside
from arkor_dev.local.execution.choice import is_elsewhere
from arkor_dev.local.jobs.running.job_runner import Beside
from arkor_dev.local.workers.background import BackgroundQueue, background_task
from arkor_dev.local.workers.errors import SMALLER, JobFailure
from arkor_dev.local.workers.machine import Memory, free_disk, gpu_memory, memory
from arkor_dev.local.workers.process import Child

from .advice import advice, refusal
from .measurement import Kept, Measurement, key_of, sources_of
from .outlook import outlook, together

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from arkor_dev.contract.shapes import Forecast, Progress
    from arkor_dev.local.jobs.store import Verdict
    from arkor_dev.local.models.catalog import Model, Models

SECONDS: Final = 17.0
"""How long a measurement may make steps, counted from its start; what it has begun it ends."""
PATIENCE: Final = 120.0
"""After so many seconds a measurement is given up: the data take long to read, or the machine is busy."""
WANTED_SECONDS: Final = 30.0
"""What has not been asked for in so long is not measured any more."""
ENTRIES: Final = 50
FAILED_SECONDS: Final = 60.0
"""How long a failure stands, before the same question is tried again."""


@dataclass
class Entry:
    """One question: a job's config, and how far its answer has come."""

    id: str
    key: str
    config: dict[str, Any]
    model: Model
    asked: float = field(default_factory=time.monotonic)
    progress: Progress | None = None
    error: str | None = None


class Forecasts:
    """Answers what jobs will take. ``busy`` says whether one is training."""

    def __init__(self, models: Models, data: Path, project: Path, busy: Callable[[], bool]) -> None:
        self._models = models
        self._data = data
        self._project = project
        self._busy = busy
        self._kept = Kept(data)
        self._entries: dict[str, Entry] = {}
        self._background = BackgroundQueue(busy, self._next, self._work, self._failed)
        self._current: tuple[Entry, Child] | None = None

    def running(self) -> AbstractAsyncContextManager[None]:
        """Measure what is asked for as long as the body runs."""
        return background_task(self._background.run())

    # Asked by the server

    async def request(self, config: dict[str, Any]) -> Forecast:
        """The forecast of a job with ``config``: known, or from now on to be measured."""
        try:
            entry = await self._entry(config)
        except JobFailure as failure:
            return {"id": _id_of("", config), "state": "failed", "error": str(failure)}
        before = self._entries.pop(entry.id, None)
        if before and before.error and time.monotonic() - before.asked > FAILED_SECONDS:
            before.error = None
        entry = self._entries[entry.id] = before or entry
        for old in list(self._entries)[:-ENTRIES]:
            self._drop(old)
        return await self._view(entry)

    async def get(self, forecast_id: str) -> Forecast | None:
        """As ``request``, by the id that it gave; None for one that is not known (any more)."""
        entry = self._entries.get(forecast_id)
        return await self._view(entry) if entry else None

    def cancel(self, forecast_id: str) -> bool:
        """Stop measuring, and forget the question; false where there is none."""
        return self._drop(forecast_id)

    async def known(self, config: dict[str, Any]) -> Forecast | None:
        """The forecast of a job that is about to be made, where nothing has to be measured for it."""
        try:
            entry = await self._entry(config)
        except JobFailure:
            return None
        forecast = await self._view(entry)
        return forecast if forecast.get("state") == "measured" else None

    # Told by the scheduler

    def training_begins(self) -> None:
        """Get out of a job's way."""
        self._background.preempt()
        if self._current:
            self._current[1].kill()

    def training_ended(self, config: Mapping[str, Any], verdict: Verdict, seconds: float) -> None:
        """Correct what was forecast by what a completed run took, and go on with what waits."""
        metrics = verdict.fields.get("metrics")
        if verdict.status == "completed" and metrics and seconds:
            with contextlib.suppress(JobFailure):
                self._correct(dict(config), seconds, metrics.get("peakBytes"))
        self._background.wake()

    async def what_fits(self, config: dict[str, Any], progress: Callable[[Progress], None]) -> str:
        """What to say to somebody whose job ran out of memory: its forecast, and settings that fit.

        Measures where that is not known yet; empty where it cannot be.
        """
        try:
            entry = await self._entry(config)
            if self._kept.get(entry.key) is None:
                await self._measure(entry, progress, urgent=True)
        except JobFailure:
            return ""
        measured = self._kept.get(entry.key)
        return advice(await self._outlook(measured, config, busy=False)) if measured else ""

    async def refusal(self, config: dict[str, Any]) -> dict[str, Any]:
        """Why a job cannot fit here now, as the fields of its ``training.failed``; empty where it may.

        It is known where the same has been measured; nothing is measured for it.
        """
        try:
            entry = await self._entry(config)
        except JobFailure:
            return {}
        measured = self._kept.get(entry.key)
        return refusal(await self._outlook(measured, config, busy=False)) if measured else {}

    async def room(self) -> int | None:
        """Bytes that a new process may take now; None where the system does not say."""
        return (await asyncio.to_thread(memory)).free

    async def fits_beside(self, config: dict[str, Any], others: Sequence[Beside], room: int) -> bool:
        """Whether a job fits into ``room`` bytes with ``others``, and on its device, by what is known."""
        every = [Beside(config, same_device=True), *others]
        with contextlib.suppress(JobFailure):
            found = [self._kept.get((await self._entry(each.config)).key) for each in every]
            return None not in found and together(list(zip(found, every, strict=True)), room)
        return False

    # Inside

    async def _entry(self, config: dict[str, Any]) -> Entry:
        """The question that ``config`` puts; JobFailure where it cannot be answered."""
        if is_elsewhere(config):
            raise JobFailure("A forecast measures this machine, and the job is to run on a cluster")
        if any(part["type"] != "file" for part in sources_of(config)):
            raise JobFailure("A forecast needs data that lies in the project; these the run fetches")
        model = self._models.at_hand(config["model"])
        if model is None:
            raise JobFailure(f"The model {config['model']} is not here yet: its first run fetches it")
        key = await asyncio.to_thread(self._key, config, model)
        return Entry(_id_of(key, config), key, config, model)

    def _key(self, config: Mapping[str, Any], model: Model) -> str:
        try:
            paths = [part["path"] for part in (*sources_of(config), *(config.get("evaluations") or ()))]
            files = [file for path in paths for file in inside(self._project, path)]
        except SourceError as fault:
            raise JobFailure(str(fault)) from None
        return key_of(config, model.path, files)

    async def _view(self, entry: Entry) -> Forecast:
        entry.asked = time.monotonic()
        measured = self._kept.get(entry.key)
        if measured:
            forecast = await self._outlook(measured, entry.config, self._busy())
            return {"id": entry.id, "state": "measured", **forecast}
        if entry.error:
            return {"id": entry.id, "state": "failed", "error": entry.error}
        self._background.wake()
        measuring = self._current is not None and self._current[0].key == entry.key
        view: Forecast = {"id": entry.id, "state": "measuring" if measuring else "waiting"}
        if measuring and self._current and self._current[0].progress:
            view["progress"] = self._current[0].progress
        return view

    async def _outlook(self, measured: Measurement, config: Mapping[str, Any], busy: bool) -> Forecast:
        def look() -> tuple[Memory, int | None, int | None]:
            return memory(), free_disk(self._data), gpu_memory(measured.gpu).free if measured.gpu else None

        free, disk, gpu = await asyncio.to_thread(look)
        return outlook(measured, config, free, disk, busy, gpu)

    def _drop(self, forecast_id: str) -> bool:
        entry = self._entries.pop(forecast_id, None)
        others = {other.key for other in self._entries.values()}
        if entry and self._current and self._current[0].key == entry.key and entry.key not in others:
            self._current[1].kill()
        return entry is not None

    def _next(self) -> Entry | None:
        """The newest question that is still wanted; the rest of them are older ideas of the same person."""
        for entry in reversed(list(self._entries.values())):
            wanted = time.monotonic() - entry.asked < WANTED_SECONDS
            if wanted and not entry.error and self._kept.get(entry.key) is None:
                return entry
        return None

    async def _work(self, entry: Entry) -> None:
        await self._measure(entry, lambda _: None)

    def _failed(self, entry: Entry, reason: str) -> None:
        if entry.id in self._entries:  # else nobody wanted it any more
            entry.error = reason

    async def _measure(
        self, entry: Entry, progress: Callable[[Progress], None], *, urgent: bool = False
    ) -> None:
        """Let a worker measure, and keep what it says; JobFailure where it ends without.

        Beside a job only where it is ``urgent``.
        """
        asked, scratch = time.time(), self._data / "forecast"
        child = await Child.start("arkor_dev.local.forecast.worker")
        self._current = entry, child
        try:
            if self._busy() and not urgent:  # it has started meanwhile
                raise JobFailure("A job has started")
            child.send(
                id="forecast",
                config=entry.config,
                data=str(self._data),
                project=str(self._project),
                scratch=str(scratch),
                asked=asked,
                seconds=SECONDS,
                free=memory().free,
            )
            child.send(name=entry.model.name, path=str(entry.model.path), note=entry.model.note)

            def tell(fields: Progress) -> None:
                entry.progress = fields
                progress(fields)

            async with asyncio.timeout(PATIENCE):
                message = await child.result("measured", "The measuring process", tell, SMALLER)
        except TimeoutError:
            raise JobFailure(f"The measurement took longer than {PATIENCE:.0f} s and was given up") from None
        finally:
            self._current = None
            await child.stop()
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
        measured = Measurement.of_json(message["measured"])
        await asyncio.to_thread(self._kept.put, entry.key, measured)

    def _correct(self, config: dict[str, Any], seconds: float, peak: int | None) -> None:
        model = self._models.at_hand(config["model"])
        elsewhere = is_elsewhere(config) or any(part["type"] != "file" for part in sources_of(config))
        if model is None or elsewhere:
            return
        measured = self._kept.get(key := self._key(config, model))
        if measured is None:
            return
        forecast = outlook(measured, config, memory(), None, busy=True)
        size = (peak or 0) / forecast["memory"]["peakBytes"] if peak and not measured.host else 1.0
        self._kept.put(key, measured.corrected(seconds / max(forecast["seconds"], 0.1), size))


def _id_of(key: str, config: Mapping[str, Any]) -> str:
    text = json.dumps([key, config], sort_keys=True, default=str)
    return f"forecast_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
