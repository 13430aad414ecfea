"""Computes embeddings and losses of rows on request: one at a time, in a worker, never during training."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from arkor_dev.contract.errors import ConflictError
from arkor_dev.data.sources import SourceError, every_file
from arkor_dev.local.checkpoints.origin import FileHashes
from arkor_dev.local.jobs.disk import embeddings_folder
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.service import WorkerService, WorkerTask

from .messages import EmbedRows, MeasureRows, RowsRead

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import RowEmbeddings
    from arkor_dev.contract.shapes import DatasetSource, JobConfig
    from arkor_dev.local.models.catalog import Model, Models

WORKER: Final = "arkor_dev.local.embeddings.worker"
LOSSES_WORKER: Final = "arkor_dev.local.embeddings.losses_worker"
READS: Final = (
    "method",
    "model",
    "trainOnResponsesOnly",
    "completionOnlyLoss",
    "enableThinking",
    "thoughtWeight",
    "answerWeight",
    "trainOnEmptyThoughts",
    "maxLength",
    "loadIn4bit",
)
"""The settings that determine what a model learns from a row."""
HOLDS_OUT: Final = ("datasetSplit", "splitSeed", "seed", "evalSteps")
"""The settings that determine which rows are held out."""
MODEL_FILES: Final = ("*.safetensors", "*.json", "*.jinja")


@dataclass(frozen=True, slots=True)
class Losses:
    """The model that measures losses: the base, with the LoRA adapter in the folder ``adapter`` if given."""

    adapter: Path | None = None


@dataclass(eq=False)
class EmbeddingTask(WorkerTask):
    """Requested embeddings of the data set of ``config``, or its ``losses``."""

    key: str
    config: JobConfig
    losses: Losses | None


class Embeddings(WorkerService[EmbeddingTask]):
    """Embeds rows, or measures their losses, in order of the requests. ``busy``: whether a job is training.

    Calls without ``losses`` concern embeddings.
    """

    def __init__(self, models: Models, data: Path, project: Path, busy: Callable[[], bool]) -> None:
        super().__init__(busy)
        self._models, self._folder, self._project = models, embeddings_folder(data), project
        self._hashes = FileHashes(data)

    async def request(self, config: JobConfig, losses: Losses | None = None) -> RowEmbeddings:
        """Request the embeddings of a data set, unless they exist. Raises ConflictError."""
        state = await self.state_of(config, losses)
        if state["state"] in ("none", "failed"):
            key = _key(config, losses)
            self._start(key, EmbeddingTask(key, config, losses))
            state = await self.state_of(config, losses)
        return state

    async def state_of(self, config: JobConfig, losses: Losses | None = None) -> RowEmbeddings:
        """Return the progress of a data set's embeddings. Raises ConflictError."""
        file, task = await self.file(config, losses), self._tasks.get(_key(config, losses))
        if task is None or (task.error and file):
            return {"state": "completed" if file else "none"}
        state: RowEmbeddings = {"state": task.state}
        if task.error:
            state["error"] = task.error
        elif task.progress:
            state["progress"] = task.progress
        return state

    async def file(self, config: JobConfig, losses: Losses | None = None) -> Path | None:
        """Return the file with a data set's current embeddings, or None. Raises ConflictError."""
        try:
            model = self._models.find_local(config["model"])
            if model is None:
                return None
            target = await asyncio.to_thread(self._target, config, model, losses)
        except (JobFailure, SourceError, OSError) as fault:
            raise ConflictError(f"The rows cannot be embedded: {fault}") from None
        return target if await asyncio.to_thread(target.is_file) else None

    def cancel(self, config: JobConfig, losses: Losses | None = None) -> None:
        """Cancel and forget the request for a data set."""
        self._drop(_key(config, losses))

    async def _work(self, task: EmbeddingTask) -> None:
        """Run the task in a worker. Raises JobFailure."""
        model = await self._models.ensure(task.config["model"], task.tell)
        try:
            target = await asyncio.to_thread(self._target, task.config, model, task.losses)
        except (SourceError, OSError) as fault:
            raise JobFailure(f"The rows cannot be embedded: {fault}") from None
        where = task.config, str(self._project), str(target)
        order: EmbedRows | MeasureRows = EmbedRows(*where)
        if task.losses:
            order = MeasureRows(*where, str(task.losses.adapter) if task.losses.adapter else None)
        async with self._worker(task, LOSSES_WORKER if task.losses else WORKER) as child:
            child.send(order)
            child.send(model)
            await child.result(RowsRead, "The process that reads the rows", task.tell)
        if self._tasks.get(task.key) is task:
            del self._tasks[task.key]

    def _target(self, config: JobConfig, model: Model, losses: Losses | None) -> Path:
        """Return the file for the embeddings of the rows as they are. Raises SourceError or OSError."""
        of_model = hashlib.sha256(json.dumps([config.get(name) for name in READS] if losses else []).encode())
        adapter = losses.adapter if losses else None
        for folder in (model.path, *((adapter,) if adapter else ())):
            for path in sorted(candidate for pattern in MODEL_FILES for candidate in folder.glob(pattern)):
                state = path.stat()
                of_model.update(f"\n{path.name} {state.st_size} {state.st_mtime_ns}".encode())
        of_rows = hashlib.sha256(json.dumps([config.get(name) for name in HOLDS_OUT]).encode())
        sources = {"datasetSource": config["datasetSource"]}
        if (own := config.get("evalDatasetSource")) is not None:
            sources["evalDatasetSource"] = own
        for name, source in sources.items():
            of_rows.update(json.dumps([name, _unjudged(source)], sort_keys=True).encode())
            for file in every_file(source, self._project, _refuse):
                of_rows.update(bytes.fromhex(self._hashes.of(file.path)))
        kind = "losses" if losses else "rows"
        return self._folder / f"{kind}-{of_model.hexdigest()[:16]}-{of_rows.hexdigest()[:16]}.npz"


def _key(config: JobConfig, losses: Losses | None) -> str:
    names = (*READS, *HOLDS_OUT, "evalDatasetSource")
    settings = {name: config.get(name) for name in names}
    return json.dumps([repr(losses), settings, _unjudged(config["datasetSource"])], sort_keys=True)


def _unjudged(source: DatasetSource) -> dict[str, object]:
    """Return a source without the state of its judgements: all rows are embedded, judged or not."""
    parts = [_unjudged(part) for part in source.get("sources") or ()]
    fields = {key: value for key, value in source.items() if key not in ("reviewed", "sources")}
    return {**fields, "sources": parts} if parts else fields


def _refuse(_: object) -> NoReturn:
    raise SourceError("only rows of files in the project can be")
