"""Estimates for one project: known ones are returned at once, others are measured in turn between jobs.

Measuring never delays a job: the measurement is killed when a job starts, and repeated afterwards; requests
that are no longer polled are dropped. Measurements are stored and corrected by later runs.

A job that has been estimated is likely to be started: when nothing is to be measured, what it needs of its
base model is computed (``cache_warming``), by the process that has measured it or by a new one, on a
processor only: a GPU takes a moment for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import shutil
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.gpus import nvidia_gpus
from arkor_dev.data.methods import second_model_of
from arkor_dev.data.sources import SourceError, inside
from arkor_dev.local.execution.choice import is_elsewhere
from arkor_dev.local.execution.messages import JobRequest
from arkor_dev.local.jobs.running.job_runner import RunningJob
from arkor_dev.local.jobs.second_model import find_second
from arkor_dev.local.modeling.gpu_count import CONTEXT, enough_gpus, is_unspecified, least_bytes
from arkor_dev.local.modeling.safetensors_header import missing_layer
from arkor_dev.local.models.catalog import is_starter
from arkor_dev.local.models.starter_download import StarterDownload
from arkor_dev.local.workers.background import BackgroundQueue, background_task
from arkor_dev.local.workers.errors import SMALLER, JobFailure
from arkor_dev.local.workers.machine import Memory, free_disk, gpu_memory, memory
from arkor_dev.local.workers.spare import SPARE

from .advice import advice, refusal
from .estimate import estimate, fit_together, spread_over
from .measurement import Measurement, MeasurementStore, data_parts, key_of
from .messages import Measured, MeasurementRequest, WarmCache, Warmed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from arkor_dev.contract.events import TrainingCompleted, TrainingFailed
    from arkor_dev.contract.shapes import Forecast, JobConfig, Progress
    from arkor_dev.local.models.catalog import Model, Models
    from arkor_dev.local.workers.process import Child

log = logging.getLogger(__name__)

SECONDS: Final = 17.0
"""Time in seconds for measuring steps, from when measuring starts; a running step is completed."""
PATIENCE: Final = 120.0
"""Time limit of a measurement in seconds: data may be slow to read, or the machine busy."""
POLL_SECONDS: Final = 30.0
"""A request that was not polled for this many seconds is dropped."""
ENTRIES: Final = 50
FAILED_SECONDS: Final = 60.0
"""Seconds for which a failure is remembered before the same request is tried again."""


@dataclass
class ForecastEntry:
    """One request: a job's config and the progress of its estimate."""

    id: str
    key: str
    config: JobConfig
    model: Model
    second: Path | None
    polled_at: float = field(default_factory=time.monotonic)
    progress: Progress | None = None
    error: str | None = None

    @property
    def models(self) -> Model:
        """The message with the places of both models."""
        return replace(self.model, second=self.second)


class Forecasts:
    """Estimates jobs. ``busy`` says whether a job is training."""

    def __init__(
        self, models: Models, data: Path, project: Path, busy: Callable[[], bool], gpus: int = 1
    ) -> None:
        self._models, self._gpus = models, gpus
        self._starter = StarterDownload(models)
        self._data = data
        self._project = project
        self._busy = busy
        self._store = MeasurementStore(data)
        self._entries: dict[str, ForecastEntry] = {}
        self._background = BackgroundQueue(busy, self._next, self._work, self._failed)
        self._current: tuple[ForecastEntry, Child] | None = None
        self._warming: tuple[ForecastEntry, Child] | None = None
        self._warmed: set[str] = set()

    @property
    def measuring(self) -> bool:
        """Whether a measurement is running or due."""
        return self._current is not None or self._unmeasured() is not None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Process requests for the duration of the block."""
        async with self._starter.running(), background_task(self._background.run()):
            yield

    # Called by the server

    async def request(self, config: JobConfig) -> Forecast:
        """Return the estimate of a job with ``config``, or queue its measurement."""
        try:
            if is_starter(config["model"]) and self._models.find_local(config["model"]) is None:
                progress = self._starter.poll()
                return {"state": "measuring", "progress": progress} if progress else {"state": "measuring"}
            entry = await self._entry(config)
            await asyncio.to_thread(_check_layers, entry.model.path, config)
        except JobFailure as failure:
            return {"id": _id_of("", config), "state": "failed", "error": str(failure)}
        before = self._entries.pop(entry.id, None)
        if before and before.error and time.monotonic() - before.polled_at > FAILED_SECONDS:
            before.error = None
        entry = self._entries[entry.id] = before or entry
        for old in list(self._entries)[:-ENTRIES]:
            self._drop(old)
        return await self._view(entry)

    async def get(self, forecast_id: str) -> Forecast | None:
        """Like ``request``, but by the id that it returned; None for an unknown or dropped request."""
        entry = self._entries.get(forecast_id)
        return await self._view(entry) if entry else None

    def cancel(self, forecast_id: str) -> bool:
        """Cancel and forget a request; return False if it is unknown."""
        return self._drop(forecast_id)

    async def stored_estimate(self, config: JobConfig) -> Forecast | None:
        """Return the estimate of a job about to be created, if it needs no measurement."""
        try:
            entry = await self._entry(config)
        except JobFailure:
            return None
        forecast = await self._view(entry)
        return forecast if forecast.get("state") == "measured" else None

    # Called by the scheduler

    def training_begins(self) -> None:
        """Stop measuring, so that the job has the machine to itself."""
        self._background.preempt()
        for working in (self._current, self._warming):
            if working:
                working[1].kill()

    def training_ended(self, config: JobConfig, completed: TrainingCompleted | None, seconds: float) -> None:
        """Correct an estimate by its completed run, and continue with waiting requests."""
        metrics = completed.get("metrics") if completed else None
        if metrics and seconds:
            with contextlib.suppress(JobFailure):
                self._correct(config, seconds, metrics.get("peakBytes"))
        self._background.wake()

    async def what_fits(self, config: JobConfig, progress: Callable[[Progress], None]) -> str:
        """Return a forecast and fitting settings for a job that ran out of memory; empty if unmeasurable."""
        try:
            entry = await self._entry(config)
            if self._store.get(entry.key) is None:
                await self._measure(entry, progress, urgent=True)
        except JobFailure:
            return ""
        measured = self._store.get(entry.key)
        return advice(await self._estimate(measured, config, busy=False)) if measured else ""

    async def refusal(self, config: JobConfig) -> TrainingFailed | None:
        """Return the failure of a job that cannot fit by stored measurements; None if it may."""
        try:
            entry = await self._entry(config)
        except JobFailure:
            return None
        measured = self._store.get(entry.key)
        return refusal(await self._estimate(measured, config, busy=False)) if measured else None

    async def streams(self, config: JobConfig) -> bool:
        """Return whether stored measurements say that a job fits only if its model's layers are streamed."""
        with contextlib.suppress(JobFailure):
            if measured := self._store.get((await self._entry(config)).key):
                return "streaming" in await self._estimate(measured, config, busy=False)
        return False

    async def free_bytes(self) -> int | None:
        """Return the bytes available to a new process; None if unknown."""
        return (await asyncio.to_thread(memory)).free

    async def fits_beside(self, config: JobConfig, others: Sequence[RunningJob], free_bytes: int) -> bool:
        """Return whether a job fits in ``free_bytes`` along with ``others``, and on its device, if known."""
        jobs = [RunningJob(config, same_device=True), *others]
        with contextlib.suppress(JobFailure):
            measurements = [self._store.get((await self._entry(job.config)).key) for job in jobs]
            return None not in measurements and fit_together(
                list(zip(measurements, jobs, strict=True)), free_bytes, self._gpus
            )
        return False

    async def gpus_needed(self, config: JobConfig) -> int:
        """Return over how many GPUs a job's model is spread because one does not hold it; 1 if one does, if
        its settings forbid that, or if it is unknown.

        Known by a stored measurement, or else by the model's files.
        """
        if self._gpus < 2 or is_elsewhere(config) or not is_unspecified(config):
            return 1
        with contextlib.suppress(JobFailure):
            if measured := self._store.get((await self._entry(config)).key):
                return spread_over(measured, config, self._gpus)[0]
        with contextlib.suppress(JobFailure):
            if model := self._models.find_local(config["model"]):
                return await asyncio.to_thread(self._enough_gpus, model.path, config)
        return 1

    def _enough_gpus(self, model: Path, config: JobConfig) -> int:
        sizes = [gpu.total - CONTEXT for gpu in nvidia_gpus() if gpu.total]
        try:
            return enough_gpus(least_bytes(model, config), sizes[: self._gpus])
        except (OSError, ValueError):  # an unreadable file, which the worker reports when it loads it
            return 1

    # Internal

    async def _entry(self, config: JobConfig) -> ForecastEntry:
        """Return the request for ``config``. Raises JobFailure if it can't be estimated."""
        if is_elsewhere(config):
            raise JobFailure("An estimate measures this machine, but the job is to run on a cluster")
        if any(part["type"] != "file" for part in data_parts(config)):
            raise JobFailure("An estimate needs data in the project; this data is downloaded by the run")
        model = self._models.find_local(config["model"])
        if model is None:
            raise JobFailure(f"The model {config['model']} is not downloaded yet: its first run does that")
        second = self._second(config)
        key = await asyncio.to_thread(self._key, config, model)
        return ForecastEntry(_id_of(key, config), key, config, model, second)

    def _second(self, config: JobConfig) -> Path | None:
        """Return the second model that the job needs. Raises JobFailure if it is not on this machine."""
        second, name = find_second(self._models, self._data, config), second_model_of(config)
        if name and second is None:
            raise JobFailure(f"The model {name} is not downloaded yet: the first run does that")
        return second

    def _key(self, config: JobConfig, model: Model) -> str:
        try:
            paths = [part["path"] for part in (*data_parts(config), *(config.get("evaluations") or ()))]
            files = [file for path in paths for file in inside(self._project, path)]
        except SourceError as fault:
            raise JobFailure(str(fault)) from None
        second = self._second(config)
        return key_of(config, model.path, [*files, *(sorted(second.iterdir()) if second else ())])

    async def _view(self, entry: ForecastEntry) -> Forecast:
        entry.polled_at = time.monotonic()
        measured = self._store.get(entry.key)
        if measured:
            forecast = await self._estimate(measured, entry.config, self._busy())
            self._background.wake()
            return {"id": entry.id, "state": "measured", **forecast}
        if entry.error:
            return {"id": entry.id, "state": "failed", "error": entry.error}
        if self._warming:
            self._warming[1].kill()  # an estimate that somebody waits for comes first
        self._background.wake()
        measuring = self._current is not None and self._current[0].key == entry.key
        view: Forecast = {"id": entry.id, "state": "measuring" if measuring else "waiting"}
        if measuring and self._current and self._current[0].progress:
            view["progress"] = self._current[0].progress
        return view

    async def _estimate(self, measured: Measurement, config: JobConfig, busy: bool) -> Forecast:
        def measure_free() -> tuple[Memory, int | None, int | None]:
            return memory(), free_disk(self._data), gpu_memory(measured.gpu).free if measured.gpu else None

        free, disk, gpu = await asyncio.to_thread(measure_free)
        return estimate(measured, config, free, disk, busy, gpu, self._gpus)

    def _drop(self, forecast_id: str) -> bool:
        entry = self._entries.pop(forecast_id, None)
        other_keys = {remaining.key for remaining in self._entries.values()}
        if entry and self._current and self._current[0].key == entry.key and entry.key not in other_keys:
            self._current[1].kill()
        return entry is not None

    def _next(self) -> ForecastEntry | None:
        return self._unmeasured() or self._cold()

    def _active(self) -> Iterator[ForecastEntry]:
        """Yield the active requests, newest first: older ones of the same user are outdated."""
        for entry in reversed(list(self._entries.values())):
            if time.monotonic() - entry.polled_at < POLL_SECONDS and not entry.error:
                yield entry

    def _unmeasured(self) -> ForecastEntry | None:
        return next((entry for entry in self._active() if self._store.get(entry.key) is None), None)

    def _cold(self) -> ForecastEntry | None:
        """Return the newest active request if the cache of its base is to be filled."""
        entry = next(self._active(), None)
        if entry is None or entry.id in self._warmed:
            return None
        measured = self._store.get(entry.key)
        return entry if measured and measured.device == "cpu" else None

    async def _work(self, entry: ForecastEntry) -> None:
        if self._store.get(entry.key) is None:
            await self._measure(entry, lambda _: None)
        else:
            await self._warm(entry)

    async def _warm(self, entry: ForecastEntry) -> None:
        """Fill the cache for a job in a process of its own, if it fits into the free memory."""
        measured = self._store.get(entry.key)
        if not measured or not await self._fits(entry, measured):
            self._warmed.add(entry.id)
            return
        try:
            child = await SPARE.start("arkor_dev.local.forecast.cache_warming")
        except OSError as error:
            log.warning("the process that fills the cache could not be started: %s", error)
            self._warmed.add(entry.id)
            return
        try:
            await self._fill_cache(entry, child, entry.models)
        finally:
            await child.stop()

    async def _fits(self, entry: ForecastEntry, measured: Measurement) -> bool:
        return bool((await self._estimate(measured, entry.config, busy=False)).get("fits"))

    async def _fill_cache(self, entry: ForecastEntry, child: Child, model: Model | None = None) -> None:
        """Fill the cache for a job in ``child``, which loads ``model``, or has it from measuring the job.

        A failure only means a slower job.
        """
        self._warming = entry, child
        try:
            if not self._busy():
                child.send(WarmCache(self._job(entry)))
                if model:
                    child.send(model)
                await child.result(Warmed, "The process that fills the cache")
        except JobFailure as failure:
            if not child.alive and (self._busy() or self._unmeasured()):
                return  # it made room, and continues later
            log.info("the cache of a base model could not be filled: %s", failure)
        finally:
            self._warming = None
        self._warmed.add(entry.id)

    def _job(self, entry: ForecastEntry) -> JobRequest:
        return JobRequest("forecast", entry.config, str(self._data), str(self._project))

    def _failed(self, entry: ForecastEntry, reason: str) -> None:
        if entry.id in self._entries:  # otherwise the request was dropped
            entry.error = reason

    async def _measure(
        self, entry: ForecastEntry, progress: Callable[[Progress], None], *, urgent: bool = False
    ) -> None:
        """Measure in a worker, beside a job only if ``urgent``; store the result or raise JobFailure."""
        requested_at, scratch = time.time(), self._data / "forecast"
        child = await SPARE.start("arkor_dev.local.forecast.worker")
        self._current = entry, child
        try:
            if self._busy() and not urgent:  # a job has started in the meantime
                raise JobFailure("A job has started")
            child.send(
                MeasurementRequest(self._job(entry), str(scratch), requested_at, SECONDS, memory().free)
            )
            child.send(entry.models)

            def report(fields: Progress) -> None:
                entry.progress = fields
                progress(fields)

            async with asyncio.timeout(PATIENCE):
                found = await child.result(Measured, "The measuring process", report, SMALLER)
            measured = Measurement.of_json(found.measurement)
            await asyncio.to_thread(self._store.put, entry.key, measured)
            self._current = None
            if not urgent and self._next() is entry and measured.as_run and await self._fits(entry, measured):
                await self._fill_cache(entry, child)
        except TimeoutError:
            raise JobFailure(f"The measurement took longer than {PATIENCE:.0f} s and was given up") from None
        finally:
            self._current = None
            await child.stop()
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)

    def _correct(self, config: JobConfig, seconds: float, peak: int | None) -> None:
        model = self._models.find_local(config["model"])
        elsewhere = is_elsewhere(config) or any(part["type"] != "file" for part in data_parts(config))
        if model is None or elsewhere:
            return
        measured = self._store.get(key := self._key(config, model))
        if measured is None or measured.streamed or measured.kept_ratio is not None:
            return  # the free memory decided which of two estimates held, or how much was recomputed
        forecast = estimate(measured, config, memory(), None, busy=True)
        size = (peak or 0) / forecast["memory"]["peakBytes"] if peak and not measured.host else 1.0
        self._store.put(key, measured.corrected(seconds / max(forecast["seconds"], 0.1), size))


def _check_layers(model: Path, config: JobConfig) -> None:
    """Raise JobFailure if the adapter's target modules name a layer that the model's files do not have."""
    targets = config.get("loraTargetModules")
    names = [targets] if isinstance(targets, str) else targets or []
    if not names or names == ["all-linear"] or config.get("fullFineTuning"):
        return
    try:
        fault = missing_layer(model, names)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return  # an unreadable file, which the worker reports when it loads it
    if fault:
        raise JobFailure(fault)


def _id_of(key: str, config: JobConfig) -> str:
    text = json.dumps([key, config], sort_keys=True, default=str)
    return f"forecast_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
