"""Runs requested exports: one at a time, each in its own worker, and never during training.

An export is stored in ``exports/<id>/`` of its job's folder, its record next to that in ``<id>.json``. A
starting job ends the current worker, which restarts later. Unfinished exports of an earlier process are
deleted.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.bodies import USUAL_QUANTIZATION
from arkor_dev.contract.errors import ConflictError, NotFoundError
from arkor_dev.contract.shapes import TERMINAL, Export
from arkor_dev.local.execution.messages import JobRequest
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
from arkor_dev.local.jobs.job_row import UNKNOWN_TIME
from arkor_dev.local.jobs.store import Store
from arkor_dev.local.workers.background import background_task
from arkor_dev.local.workers.codec import read_as
from arkor_dev.local.workers.errors import JobFailure, write_failure
from arkor_dev.local.workers.service import WorkerService, WorkerTask

from .formats import FORMATS, offered, refusal, usage
from .messages import MakeExport, Verified, Written

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from arkor_dev.contract.shapes import ExportFormat, ExportProgress, Job, NewExport, Progress
    from arkor_dev.local.jobs.async_store import AsyncStore
    from arkor_dev.local.models.catalog import Models


ENOUGH_SECONDS: Final = 2.0
"""Seconds of measurement before a rate is meaningful."""


class ExportPace:
    """Measures the rate of successive stages; a new label starts the next stage."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._label: object = None
        self._started_at = 0.0
        self._done_at_start = 0.0

    def estimate(self, progress: Progress) -> ExportProgress:
        """Return ``progress``, with ``secondsLeft`` if that can be estimated."""
        now, done, total = self._clock(), progress["done"], progress["total"]
        if progress["label"] != self._label or done < self._done_at_start:
            self._label, self._started_at, self._done_at_start = progress["label"], now, done
        elapsed, done_since = now - self._started_at, done - self._done_at_start
        estimate: ExportProgress = {
            "label": progress["label"],
            "done": done,
            "total": total,
            "unit": progress["unit"],
        }
        if total and elapsed >= ENOUGH_SECONDS and done_since > 0:
            estimate["secondsLeft"] = round(max(0.0, total - done) * elapsed / done_since, 1)
        return estimate


WORKER: Final = "arkor_dev.local.exports.worker"
ATTENDED_SECONDS: Final = 30.0
"""Seconds for which an attended request survives without polling."""
EXPIRY_CHECK_SECONDS: Final = 5.0


@dataclass(eq=False)
class ExportRequest(WorkerTask):
    """A requested export: its job, its source folder, and its public record."""

    job: Job
    source: Path
    record: Export
    cancelled: bool = False
    deferred: bool = False
    """Whether its verification was ended for other work, and starts again when there is none."""
    attended_at: float | None = None
    """Monotonic time at which its client last polled; None if it continues without a client."""


class Exports(WorkerService[ExportRequest]):
    """Runs requested exports: writes them in order, then verifies them in order.

    A verification ends for an export that is to be written, or for a job, and starts again afterwards; its
    files stay in place. llama.cpp's formats are written and verified at once. ``busy`` returns whether a job
    is training.
    """

    def __init__(
        self,
        store: AsyncStore,
        models: Models,
        data: Path,
        project: Path,
        cache: Path,
        busy: Callable[[], bool],
    ) -> None:
        super().__init__(busy)
        self._store, self._models = store, models
        self._data, self._project, self._cache = data, project, cache

    def running(self) -> AbstractAsyncContextManager[None]:
        """Process requests while the body runs."""
        return background_task(self._run())

    async def _run(self) -> None:
        async with background_task(self._expire()):
            await self._background.run()

    async def _expire(self) -> None:
        """Cancel attended requests whose client is gone."""
        while True:
            await asyncio.sleep(EXPIRY_CHECK_SECONDS)
            expired = time.monotonic() - ATTENDED_SECONDS
            for request in list(self._tasks.values()):
                if request.attended_at is not None and request.attended_at < expired:
                    with contextlib.suppress(NotFoundError):  # removed meanwhile
                        await self.remove(request.job["id"], request.record["id"])

    # Called by the server

    async def request(self, job: Job, body: NewExport) -> Export:
        """Queue an export of an ended job; return its record. Raises ConflictError if that is impossible."""
        form, step, strength = body["format"], body.get("step"), body.get("strength", FULL_STRENGTH)
        if job["status"] not in TERMINAL:
            raise ConflictError(f"The job {job['name']} is {job['status']}: export it when it has ended")
        source = await asyncio.to_thread(saved_folder, self._data, job, step)
        if reason := await asyncio.to_thread(refusal, source, job["config"], form, strength):
            raise ConflictError(reason)
        await asyncio.to_thread(self._sweep, job["id"])
        record: Export = {
            "id": f"exp_{secrets.token_hex(6)}",
            "format": form,
            "state": "waiting",
            "createdAt": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        if step is not None:
            record["step"] = step
        if strength != FULL_STRENGTH:
            record["strength"] = strength
        if FORMATS[form].quantized:
            record["quantization"] = body.get("quantization") or USUAL_QUANTIZATION
        attended_at = time.monotonic() if body.get("attended") else None
        self._start(record["id"], ExportRequest(job, source, record, attended_at=attended_at))
        self._defer_verification()
        return record

    def training_begins(self) -> None:
        """See `WorkerService`; files whose verification ends for a job stay in place."""
        self._defer_verification()
        super().training_begins()

    def _defer_verification(self) -> None:
        for request in self._tasks.values():
            verifies = request.child is not None and request.record["state"] == "verifying"
            if verifies and not FORMATS[request.record["format"]].llama:
                assert request.child
                request.deferred = True
                request.child.kill()

    def list(self, job_id: str) -> list[Export]:
        """Return all exports of a job, newest first. Reads files."""
        # Requests first: a finished one gets its file before it is removed from the requests.
        records = [request.record for request in list(self._tasks.values()) if request.job["id"] == job_id]
        listed = {record["id"] for record in records}
        for export_id in export_ids(self._data, job_id) - listed:
            stored = export_record(self._data, job_id, export_id).read_json()
            if isinstance(stored, dict) and stored.get("id") == export_id:
                records.append(_read(stored, export_id))
        return sorted(records, key=lambda record: record["createdAt"], reverse=True)

    def formats(self, job: Job) -> Sequence[ExportFormat]:
        """Return the formats, each with a ``problem`` if the result can't be exported to it. Reads files."""
        try:
            source = saved_folder(self._data, job, None)
        except (ConflictError, NotFoundError):
            return []
        return offered(source, job["config"])

    def get(self, job_id: str, export_id: str) -> Export:
        """Return an export; polling it marks its client as present. Raises NotFoundError."""
        request = self._tasks.get(export_id)
        if request and request.attended_at is not None:
            request.attended_at = time.monotonic()
        for record in self.list(job_id):
            if record["id"] == export_id:
                return record
        raise NotFoundError(f"The job has no export {export_id}")

    def file(self, job_id: str, export_id: str, name: str) -> Path:
        """Return the path of a finished export's file. Raises NotFoundError for any other name."""
        record = self.get(job_id, export_id)
        if name not in {entry["name"] for entry in record.get("files", ())}:
            raise NotFoundError(f"The export {export_id} has no file {name}")
        file = export_file(self._data, job_id, export_id, name)
        try:
            file.open().close()
        except OSError:
            raise NotFoundError(f"The file {name} of the export {export_id} no longer exists") from None
        return file.path

    async def remove(self, job_id: str, export_id: str) -> None:
        """Stop the export if it is in progress, and delete its files."""
        await asyncio.to_thread(self.get, job_id, export_id)
        self._drop(export_id)
        await asyncio.to_thread(remove_export, self._data, job_id, export_id)

    def drop(self, job_id: str) -> None:
        """Cancel and forget the requests of a job whose files are being deleted."""
        for export_id, request in list(self._tasks.items()):
            if request.job["id"] == job_id:
                self._drop(export_id)

    def _drop(self, key: Hashable) -> None:
        if request := self._tasks.get(key):
            request.cancelled = True
        super()._drop(key)

    # Internal

    def _sweep(self, job_id: str) -> None:
        """Delete unfinished exports of a previous process."""
        finished = {record["id"] for record in self.list(job_id)}
        for export_id in export_ids(self._data, job_id) - finished - self._tasks.keys():
            remove_export(self._data, job_id, export_id)

    def _next(self) -> ExportRequest | None:
        due = [
            request for request in self._tasks.values() if request.record["state"] in ("waiting", "verifying")
        ]
        return min(due, key=lambda request: request.record["state"] == "verifying", default=None)

    async def _work(self, request: ExportRequest) -> None:
        request.deferred = False
        if request.record["state"] == "waiting":
            request.record["state"] = "running"
        try:
            await self._make(request)
            await self._done(request)
        except BaseException as fault:
            if request.deferred and isinstance(fault, JobFailure) and not request.cancelled:
                return
            request.record["state"] = "waiting"  # unless it has failed
            if isinstance(fault, Exception) and "files" in request.record:
                # An export that could not be verified is no longer offered.
                del request.record["files"], request.record["bytes"]
                await asyncio.to_thread(remove_export, self._data, request.job["id"], request.record["id"])
            raise
        finally:
            request.record.pop("progress", None)
            if request.cancelled:  # while it was in progress, or just written
                await asyncio.to_thread(remove_export, self._data, request.job["id"], request.record["id"])

    def _failed(self, request: ExportRequest, reason: str) -> None:
        request.record |= {"state": "failed", "error": reason}

    async def _done(self, request: ExportRequest) -> None:
        """Store the record of a finished export, which ends the request."""
        completed: Export = {**request.record, "state": "completed"}
        completed.pop("progress", None)
        file = export_record(self._data, request.job["id"], completed["id"])
        try:
            await asyncio.to_thread(file.write_json, completed)
        except OSError as error:
            request.record |= {"state": "failed", "error": write_failure("the export", error)}
            return
        self._tasks.pop(completed["id"], None)

    async def _make(self, request: ExportRequest) -> None:
        """Let a worker write and verify, which fills the record; raise JobFailure if that fails."""
        job_id, record = request.job["id"], request.record
        config = await self._store.read(Store.config, job_id)
        if config is None:
            raise JobFailure("The job was deleted")

        pace = ExportPace()

        def report(progress: Progress) -> None:
            record["progress"] = pace.estimate(progress)

        model = await self._models.ensure(config["model"], report)
        async with self._worker(request, WORKER) as child:
            if request.cancelled:  # meanwhile
                raise JobFailure("The request was cancelled")
            target = export_folder(self._data, job_id, record["id"])
            child.send(
                MakeExport(
                    job=JobRequest(job_id, config, str(self._data), str(self._project)),
                    format=record["format"],
                    quantization=record.get("quantization"),
                    strength=record.get("strength", FULL_STRENGTH),
                    cache=str(self._cache),
                    source=str(request.source),
                    source_kind=await asyncio.to_thread(kind_of, request.source),
                    target=str(target),
                    written=record["state"] == "verifying",
                )
            )
            child.send(model)
            async for message in child.replies((Written, Verified), "The exporting process", report):
                match message:
                    case Written(size, files):
                        record |= {"bytes": size, "files": files, "state": "verifying"}
                    case Verified(proof):
                        record["proof"] = proof
                        programs = await asyncio.to_thread(usage, record["format"], request.source)
                        record["usage"] = [list(line) for line in programs.folder]
                        record["hubUsage"] = [list(line) for line in programs.hub]
                        return
        raise AssertionError("replies never end by themselves")


def _read(stored: dict[str, object], export_id: str) -> Export:
    """Return a stored record; as failed if damaged, or of another version: its files are still there."""
    try:
        return read_as(Export, stored)
    except (ValueError, RecursionError):
        form, created = stored.get("format"), stored.get("createdAt")
        return {
            "id": export_id,
            "format": form if isinstance(form, str) else "unknown",
            "state": "failed",
            "createdAt": created if isinstance(created, str) else UNKNOWN_TIME,
            "error": "Its record is damaged, or of another version of Studio. Its files stay until you "
            "delete the export",
        }
