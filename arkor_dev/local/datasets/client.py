"""The server's side of data sets: open views, and the single process that holds them.

The process starts when a data set is opened and stops when it has not been used for a while. It runs
third-party code (a model's chat template), so it is killed if it does not answer a request in time. A closed
view can simply be opened again: all its data is also in files.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import secrets
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.errors import ConflictError, NotFoundError, UnavailableError
from arkor_dev.data.sources import name_of, parts_of, weights_of
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.process import Child

from .messages import (
    VIEW_MESSAGES,
    AskView,
    CloseView,
    ModelReady,
    OpenView,
    ViewAnswered,
    ViewFailed,
    ViewProgress,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import DatasetView, MixedSource
    from arkor_dev.contract.shapes import DatasetSource, JobConfig, Progress
    from arkor_dev.local.models.catalog import Models

    from .messages import ViewMessage, ViewStatus

log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 300.0
ASK_SECONDS: Final = 20.0
"""Timeout in seconds for an answer."""
VIEWS: Final = 4
"""Maximum number of open views; the least recently used one is closed when another is opened."""
SHAPING: Final = (
    "method",
    "model",
    "datasetSource",
    "trainOnResponsesOnly",
    "completionOnlyLoss",
    "enableThinking",
    "thoughtWeight",
    "answerWeight",
    "trainOnEmptyThoughts",
    "maxLength",
)
"""The settings on which a row's tokens depend. Other settings are not sent to the process, so that changing
them does not require a new view.
"""
UNREAD: Final[ViewStatus] = {
    "state": "opening",
    "form": "",
    "rows": None,
    "indexed": 0,
    "bySource": [],
    "read": 0,
    "excluded": 0,
    "leftOut": 0,
    "maxLength": None,
    "context": None,
    "tokens": 0,
    "learned": 0,
    "roles": {},
    "findings": [],
}
"""A view before its first status message."""


@dataclass(eq=False)
class _DataView:
    id: str
    key: str
    config: JobConfig
    requested: JobConfig
    """The full config with which it was last opened."""
    progress: Progress | None = None
    failed: str | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class Datasets:
    """All open views. ``training`` says whether a job is training; reading is then slowed down."""

    def __init__(
        self,
        models: Models,
        data: Path,
        project: Path,
        training: Callable[[], bool],
        *,
        idle_seconds: float = IDLE_SECONDS,
        ask_seconds: float = ASK_SECONDS,
    ) -> None:
        self._models = models
        self._scratch = data / "datasets"
        self._project = project
        self._training = training
        self._idle_seconds, self._ask_seconds = idle_seconds, ask_seconds
        self._views: dict[str, _DataView] = {}
        self._pending: dict[int, tuple[_DataView, asyncio.Future[ViewAnswered]]] = {}
        self._numbers = itertools.count(1)
        self._starting = asyncio.Lock()
        self._child: Child | None = None
        self._reader: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._preparing: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        """Start the process in advance: imports take most of the time of opening the first view.

        It stops as usual if it is not used. Does nothing while a job is training.
        """
        if self._preparing is None and self._child is None and not self._training():
            self._preparing = asyncio.create_task(self._prepare())

    async def _prepare(self) -> None:
        try:
            await self._worker()
            if not self._pending:
                self._wait_for_the_end()
        except OSError as error:
            log.warning("the data process could not be started before it was needed: %s", error)
        finally:
            self._preparing = None

    async def open(self, requested: JobConfig) -> DatasetView:
        """Open a view of what a job of this config would train on, reusing an open one."""
        config = _shaping(requested)
        key = json.dumps(config, sort_keys=True)
        for view in [open_view for open_view in self._views.values() if open_view.key == key]:
            status = await self.status(view.id)
            if status["state"] not in ("changed", "failed"):
                view.requested = requested
                return status
            await self.drop(view.id)
        while len(self._views) >= VIEWS:
            await self.drop(next(iter(self._views)))
        child = await self._worker()
        view = _DataView(secrets.token_hex(8), key, config, requested)
        self._views[view.id] = view
        child.send(OpenView(view.id, config, str(self._project), str(self._scratch / view.id)))
        view.task = asyncio.create_task(self._bring_model(view, child))
        return await self.status(view.id)

    async def status(self, view_id: str) -> DatasetView:
        """Return the view, as far as it was read. Raises NotFoundError if it is closed."""
        view = self._known(view_id)
        known: ViewStatus | None = None if view.failed else await self._ask(view, "status")
        read = known or UNREAD
        status: DatasetView = {
            "id": view.id,
            "source": name_of(view.config["datasetSource"]),
            "model": view.config["model"],
            "state": read["state"],
            "form": read["form"],
            "rows": read["rows"],
            "indexed": read["indexed"],
            "read": read["read"],
            "excluded": read["excluded"],
            "leftOut": read["leftOut"],
            "maxLength": read["maxLength"],
            "context": read["context"],
            "tokens": read["tokens"],
            "learned": read["learned"],
            "roles": read["roles"],
            "findings": read["findings"],
        }
        if view.failed:
            status |= {"state": "failed", "error": view.failed}
        elif view.progress and status["state"] == "opening":
            status["progress"] = view.progress
        if view.config["datasetSource"]["type"] == "list":
            status["sources"] = _sources(view.config["datasetSource"], read["bySource"])
        return status

    async def ask(self, view_id: str, question: str, **fields: object) -> Any:
        """Return the result of a method of the worker's ``View``. Raises NotFoundError for view or row."""
        view = self._known(view_id)
        answer = None if view.failed else await self._ask(view, question, **fields)
        if view.failed:
            raise ConflictError(view.failed)
        if answer is None:
            raise ConflictError("The data set is still being opened")
        return answer

    def config(self, view_id: str) -> JobConfig:
        """Return the config that a view was last opened with. Raises NotFoundError if it is closed."""
        return self._known(view_id).requested

    async def drop(self, view_id: str) -> None:
        """Close a view and delete what was downloaded for it."""
        view = self._known(view_id)
        del self._views[view_id]
        if view.task:
            view.task.cancel()
        if self._child:
            self._child.send(CloseView(view_id))
        await asyncio.to_thread(shutil.rmtree, self._scratch / view_id, ignore_errors=True)

    async def close(self) -> None:
        """Stop the process and close every view."""
        if self._preparing:
            self._preparing.cancel()
        if self._idle:
            self._idle.cancel()
        for view_id in list(self._views):
            await self.drop(view_id)
        if self._child:
            self._child.kill()
        if self._reader:
            await self._reader

    def _known(self, view_id: str) -> _DataView:
        view = self._views.pop(view_id, None)
        if view is None:
            raise NotFoundError(f"The data set {view_id[:40]} is no longer open: open it again")
        self._views[view_id] = view  # least recently used first
        return view

    async def _ask(self, view: _DataView, question: str, **fields: object) -> Any:
        child = self._child
        assert child is not None  # only a failed view has no process
        number, loop = next(self._numbers), asyncio.get_running_loop()
        answer: asyncio.Future[ViewAnswered] = loop.create_future()
        self._pending[number] = view, answer
        if self._idle:
            self._idle.cancel()
        child.send(AskView(number, view.id, question, fields, self._training()))
        try:
            async with asyncio.timeout(self._ask_seconds):
                message = await answer
        except TimeoutError:
            log.warning("the data process did not answer in time and was ended")
            child.kill()
            raise UnavailableError("The data set could not be read in time: open it again") from None
        finally:
            del self._pending[number]
            if not self._pending:
                self._wait_for_the_end()
        if message.missing:
            raise NotFoundError("This row does not exist")
        return message.answer

    async def _worker(self) -> Child:
        async with self._starting:
            if self._child is None or not self._child.alive:
                if self._reader:
                    await self._reader
                self._child = await Child.start("arkor_dev.local.datasets.worker")
                self._reader = asyncio.create_task(self._read(self._child))
            return self._child

    async def _bring_model(self, view: _DataView, child: Child) -> None:
        """Send the process the model's folder once the model is on this machine."""

        def progress(fields: Progress) -> None:
            view.progress = fields

        try:
            model = await self._models.ensure(view.config["model"], progress)
        except JobFailure as failure:
            self._fail(view, str(failure))
        else:
            child.send(ModelReady(view.id, str(model.path)))

    async def _read(self, child: Child) -> None:
        async for batch in child.batches(VIEW_MESSAGES):
            for message in batch:
                self._sort(message)
        await child.ended()
        if self._child is child:
            self._child = None
        for view in list(self._views.values()):
            self._fail(view, child.cause("The process that reads the data"))

    def _sort(self, message: ViewMessage) -> None:
        match message:
            case ViewAnswered(number):
                _, answer = self._pending.get(number, (None, None))
                if answer and not answer.done():
                    answer.set_result(message)
            case ViewFailed(view_id, reason) if view := self._views.get(view_id):
                self._fail(view, reason)
            case ViewProgress(view_id, progress) if view := self._views.get(view_id):
                view.progress = progress

    def _fail(self, view: _DataView, reason: str) -> None:
        """Mark a view as failed, and pass the reason to all waiting requests."""
        view.failed = reason
        if view.task and view.task is not asyncio.current_task():
            view.task.cancel()
        for number, (asked_view, answer) in self._pending.items():
            if asked_view is view and not answer.done():
                answer.set_result(ViewAnswered(number))

    def _wait_for_the_end(self) -> None:
        if self._idle:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._end)

    def _end(self) -> None:
        """Stop the process after an idle time."""
        log.info("no data set was viewed for %.0f s: ending its process", self._idle_seconds)
        views, self._views = self._views, {}
        for view in views.values():
            if view.task:
                view.task.cancel()
        child, self._child = self._child, None
        if child:
            child.kill()


def _sources(source: DatasetSource, counts: Sequence[int]) -> list[MixedSource]:
    """Return the sources of a list with their rows, as far as they have been counted."""
    parts = list(zip(parts_of(source), weights_of(source), strict=True))
    return [
        {"name": name_of(part), "rows": counts[number] if number < len(counts) else 0, "weight": weight}
        for number, (part, weight) in enumerate(parts)
    ]


def _shaping(config: JobConfig) -> JobConfig:
    """Return the settings of ``config`` on which a row's tokens depend."""
    shaping: Any = {name: config[name] for name in SHAPING if config.get(name) is not None}
    of_rows: JobConfig = shaping
    return of_rows
