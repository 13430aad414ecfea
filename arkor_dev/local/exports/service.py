"""Exports on request: one at a time, in its own worker, and never beside training.

An export is stored in ``exports/<id>/`` of its job's folder, its record beside that in ``<id>.json``. A
starting job ends the current worker, which starts again later. What an earlier process left unfinished is
deleted.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

from arkor_dev.contract.bodies import QUANTIZED_FORMATS, USUAL_QUANTIZATION
from arkor_dev.contract.errors import ConflictError, NotFoundError
from arkor_dev.contract.shapes import TERMINAL
from arkor_dev.local.inference.adapter_scale import FULL_STRENGTH
from arkor_dev.local.jobs.job_folder import (
    export_file,
    export_folder,
    export_ids,
    export_record,
    kind_of,
    remove_export,
    saved_folder,
)
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.workers.background import BackgroundQueue, background_task
from arkor_dev.local.workers.errors import JobFailure
from arkor_dev.local.workers.process import Child

from .formats import FORMATS, described, refusal, usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from arkor_dev.contract.shapes import ExportProgress, Progress
    from arkor_dev.local.jobs.async_store import AsyncStore
    from arkor_dev.local.models.catalog import Models


ENOUGH_SECONDS: Final = 2.0
"""Seconds before a rate is meaningful."""


class Pace:
    """Measures the rate of successive pieces of work; a new label starts the next one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._label: object = None
        self._began = 0.0
        self._from = 0.0

    def told(self, progress: Progress) -> ExportProgress:
        """Return ``progress``, with ``secondsLeft`` if it can be estimated."""
        now, done, total = self._clock(), progress["done"], progress["total"]
        if progress["label"] != self._label or done < self._from:
            self._label, self._began, self._from = progress["label"], now, done
        took, came = now - self._began, done - self._from
        told = cast("ExportProgress", {**progress})
        if total and took >= ENOUGH_SECONDS and came > 0:
            told["secondsLeft"] = round(max(0.0, total - done) * took / came, 1)
        return told


WORKER: Final = "arkor_dev.local.exports.worker"
ATTENDED_SECONDS: Final = 30.0
"""How long an attended request survives without polling."""
LOOK_SECONDS: Final = 5.0


class Order:
    """A requested export: its record, and its worker."""

    def __init__(self, job: dict[str, Any], source: Path, told: dict[str, Any]) -> None:
        self.job, self.source, self.told = job, source, told
        self.child: Child | None = None
        self.taken_back = False
        self.asked: float | None = None
        """Monotonic time of the last request for it; None for an unattended export."""


class Exports:
    """Makes requested exports in order. ``busy`` says whether a job is training."""

    def __init__(
        self,
        store: AsyncStore,
        models: Models,
        data: Path,
        project: Path,
        cache: Path,
        busy: Callable[[], bool],
    ) -> None:
        self._store, self._models = store, models
        self._data, self._project, self._cache = data, project, cache
        self._busy = busy
        self._orders: dict[str, Order] = {}
        self._background = BackgroundQueue(busy, self._next, self._work, self._failed)

    @property
    def pending(self) -> bool:
        """Whether a request waits or is being processed."""
        return self._background.pending

    def running(self) -> AbstractAsyncContextManager[None]:
        """Process requests while the body runs."""
        return background_task(self._work_and_look())

    async def _work_and_look(self) -> None:
        async with background_task(self._look()):
            await self._background.run()

    async def _look(self) -> None:
        """Cancel attended requests whose client is gone."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            gone = time.monotonic() - ATTENDED_SECONDS
            for export_id, order in list(self._orders.items()):
                if order.asked is not None and order.asked < gone:
                    with contextlib.suppress(NotFoundError):  # removed in the meantime
                        await self.remove(order.job["id"], export_id)

    # Called by the server

    async def request(self, job: dict[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        """Queue an export of an ended job and return its record. Raises ConflictError if that is
        impossible.
        """
        form, step, strength = body["format"], body.get("step"), body.get("strength", FULL_STRENGTH)
        if job["status"] not in TERMINAL:
            raise ConflictError(f"The job {job['name']} is {job['status']}: export it when it has ended")
        source = await asyncio.to_thread(saved_folder, self._data, job, step)
        if reason := await asyncio.to_thread(refusal, source, job["config"], form, strength):
            raise ConflictError(reason)
        await asyncio.to_thread(self._sweep, job["id"])
        told: dict[str, Any] = {
            "id": f"exp_{secrets.token_hex(6)}",
            "format": form,
            "state": "waiting",
            "createdAt": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        if step is not None:
            told["step"] = step
        if strength != FULL_STRENGTH:
            told["strength"] = strength
        if form in QUANTIZED_FORMATS:
            told["quantization"] = body.get("quantization") or USUAL_QUANTIZATION
        order = self._orders[told["id"]] = Order(job, source, told)
        if body.get("attended"):
            order.asked = time.monotonic()
        self._background.wake()
        return told

    def list(self, job_id: str) -> list[dict[str, Any]]:
        """Return all exports of a job, newest first. Reads files."""
        # Requests first: a finished one gets its file before it stops being a request.
        told = [order.told for order in list(self._orders.values()) if order.job["id"] == job_id]
        known = {each["id"] for each in told}
        for export_id in export_ids(self._data, job_id) - known:
            found = export_record(self._data, job_id, export_id).read_json()
            if isinstance(found, dict) and found.get("id") == export_id:
                told.append(found)
        return sorted(told, key=lambda each: str(each.get("createdAt")), reverse=True)

    def formats(self, job: dict[str, Any]) -> Sequence[dict[str, str]]:
        """Return the formats, with the ``problem`` if the job's result can't be exported to one. Reads
        files.
        """
        try:
            source = saved_folder(self._data, job, None)
        except (ConflictError, NotFoundError):
            return []
        return [described(form, source, job["config"]) for form in FORMATS]

    def get(self, job_id: str, export_id: str) -> dict[str, Any]:
        """Return an export; polling it counts as attending. Raises NotFoundError."""
        order = self._orders.get(export_id)
        if order and order.asked is not None:
            order.asked = time.monotonic()
        for told in self.list(job_id):
            if told.get("id") == export_id:
                return told
        raise NotFoundError(f"The job has no export {export_id}")

    def file(self, job_id: str, export_id: str, name: str) -> Path:
        """Return the path of a finished export's file. Raises NotFoundError for any other name."""
        told = self.get(job_id, export_id)
        if name not in {entry.get("name") for entry in told.get("files", ()) if isinstance(entry, dict)}:
            raise NotFoundError(f"The export {export_id} has no file {name}")
        file = export_file(self._data, job_id, export_id, name)
        try:
            file.open().close()
        except OSError:
            raise NotFoundError(f"The file {name} of the export {export_id} no longer exists") from None
        return file.path

    async def remove(self, job_id: str, export_id: str) -> None:
        """Stop the export if it is under way, and delete its files."""
        await asyncio.to_thread(self.get, job_id, export_id)
        self._take_back(export_id)
        await asyncio.to_thread(remove_export, self._data, job_id, export_id)

    def drop(self, job_id: str) -> None:
        """Cancel and forget requests for a job, whose files are deleted with it."""
        for export_id, order in list(self._orders.items()):
            if order.job["id"] == job_id:
                self._take_back(export_id)

    def _take_back(self, export_id: str) -> None:
        order = self._orders.pop(export_id, None)
        if order:
            order.taken_back = True
            if order.child:
                order.child.kill()

    # Called by the scheduler

    def training_begins(self) -> None:
        """Make room for a job; the current export starts again later."""
        self._background.preempt()
        for order in self._orders.values():
            if order.child:
                order.child.kill()

    def training_ended(self) -> None:
        """Continue with waiting requests."""
        self._background.wake()

    # Internal

    def _sweep(self, job_id: str) -> None:
        """Delete what a previous process left unfinished."""
        finished = {each["id"] for each in self.list(job_id)}
        for export_id in export_ids(self._data, job_id) - finished - self._orders.keys():
            remove_export(self._data, job_id, export_id)

    def _next(self) -> Order | None:
        waiting = (order for order in self._orders.values() if order.told["state"] == "waiting")
        return next(waiting, None)

    async def _work(self, order: Order) -> None:
        order.told["state"] = "running"
        try:
            order.told |= await self._make(order)
            await self._done(order)
        except BaseException as fault:
            order.told["state"] = "waiting"  # unless it has failed
            if isinstance(fault, Exception) and order.told.pop("files", None):
                # An export that could not be verified is no longer offered.
                order.told.pop("bytes", None)
                await asyncio.to_thread(remove_export, self._data, order.job["id"], order.told["id"])
            raise
        finally:
            order.told.pop("progress", None)
            if order.taken_back:  # while it was under way, or just written
                await asyncio.to_thread(remove_export, self._data, order.job["id"], order.told["id"])

    def _failed(self, order: Order, reason: str) -> None:
        order.told |= {"state": "failed", "error": reason}

    async def _done(self, order: Order) -> None:
        """Store the record of a finished export, which ends the request."""
        told = {key: value for key, value in order.told.items() if key != "progress"}
        told["state"] = "completed"
        record = export_record(self._data, order.job["id"], told["id"])
        try:
            await asyncio.to_thread(record.write_json, told)
        except OSError as error:
            order.told |= {"state": "failed", "error": f"It could not be stored: {error.strerror}"}
            return
        self._orders.pop(told["id"], None)

    async def _make(self, order: Order) -> dict[str, Any]:
        """Let a worker write and verify; raise JobFailure if it ends without a result."""
        job_id, told = order.job["id"], order.told
        config = await self._store.read(Store.config, job_id)
        if config is None:
            raise JobFailure("The job was deleted")

        pace = Pace()

        def tell(progress: Progress) -> None:
            told["progress"] = pace.told(progress)

        model = await self._models.ensure(config["model"], tell)
        child = order.child = await Child.start(WORKER)
        try:
            if self._busy() or order.taken_back:  # in the meantime
                raise JobFailure("A job has started, or the request was cancelled")
            child.send(
                id=job_id,
                config=config,
                data=str(self._data),
                project=str(self._project),
                format=told["format"],
                quantization=told.get("quantization"),
                strength=told.get("strength", FULL_STRENGTH),
                cache=str(self._cache),
                source=str(order.source),
                kind=await asyncio.to_thread(kind_of, order.source),
                target=str(export_folder(self._data, job_id, told["id"])),
            )
            child.send(name=model.name, path=str(model.path))
            # Written first; the message after that is the whole export, with its proof.
            message = await child.result("files", "The exporting process", tell)
            if "proof" not in message:
                told |= {**message, "state": "verifying"}
                message = await child.result("proof", "The exporting process", tell)
            target = export_folder(self._data, job_id, told["id"])
            return {**message, "usage": await asyncio.to_thread(usage, told["format"], target)}
        finally:
            order.child = None
            await child.stop()
