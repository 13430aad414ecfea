"""Runs made and reported by another program (``arkor_dev.report``): read from its files, shown as jobs.

The program writes lines of JSON to a file in ``reported`` of the project's folder, and locks it while it
runs. This needs no running backend, and distinguishes a run that ended from one whose program crashed:
without an ``end`` and without a lock it has failed. Each commit stores the position up to which the file was
read, so that a restart of the backend neither loses nor repeats a line.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import re
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract import strict_json
from arkor_dev.contract.bodies import JOB_CHANGES
from arkor_dev.contract.events import (
    FIGURE_NAME,
    MOST_FIGURES,
    TRAINING_CANCELLED,
    TRAINING_COMPLETED,
    TRAINING_FAILED,
    TRAINING_LOG,
    TRAINING_STARTED,
    Event,
    LastEvent,
    RunMetadata,
    TrainingCancelled,
    TrainingCompleted,
    TrainingFailed,
    TrainingLog,
    TrainingStarted,
    log_with,
)
from arkor_dev.contract.run_names import free_name
from arkor_dev.contract.schema import check

from .interruptions import resume_options_of
from .store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from arkor_dev.contract.shapes import Job

    from .async_store import AsyncStore
    from .job_row import JobRecord

log = logging.getLogger(__name__)

FOLDER: Final = "reported"
FILE: Final = re.compile(r"(job_[0-9a-f]{12})\.jsonl")
SECONDS: Final = 1.0
"""Seconds between checks for new lines."""
PIECE: Final = 1 << 20
"""Maximum number of bytes read at a time; a longer line ends the run."""
LOST: Final = (
    "The program that reported this run ended without saying how: it may have crashed or been killed"
)
BROKEN: Final = "The program that reported this run wrote something else than a report"
_MOST_STEPS: Final = 10**9


class ReportedRuns:
    """Follows the files of one project's folder while the backend runs."""

    def __init__(self, store: AsyncStore, data: Path) -> None:
        self._store = store
        self._folder = data / FOLDER

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the reports while the body runs."""
        task = asyncio.create_task(self._follow(), name="reported runs")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            for path in await asyncio.to_thread(self._files):
                try:
                    while await self.take(path):
                        pass
                except (OSError, sqlite3.Error):
                    log.exception("the report %s", path.name)
            await asyncio.sleep(SECONDS)

    def _files(self) -> list[Path]:
        try:
            return [path for path in sorted(self._folder.iterdir()) if FILE.fullmatch(path.name)]
        except OSError:
            return []

    async def take(self, path: Path) -> bool:
        """Add the next lines of a file to its job; return whether there may be more. Deletes ended files."""
        job_id = path.name.removesuffix(".jsonl")
        job, offset = await self._store.read(_read_so_far, job_id)
        is_known = job is not None
        if job is not None and job["status"] != "running":
            return await self._drop(path)
        lines, size, alive, changed = await asyncio.to_thread(_new_lines, path, offset)
        last, events = None, list[Event]()
        try:
            if lines and not is_known:
                new, started = _job(job_id, strict_json.parse(lines[0]))
                names = await self._store.read(Store.names)
                new["name"] = free_name(new["name"], names.values())
                await self._store.write(Store.import_job, new, None, [started])
                is_known = True
            for line in lines[offset == 0 :]:
                line_object = strict_json.parse(line)
                if (last := _end(line_object)) is not None:
                    break
                events.append(_row(line_object))
        except (ValueError, TypeError, KeyError, AttributeError):
            last = TrainingFailed(type=TRAINING_FAILED, error=BROKEN)
        if not is_known:  # the first line is incomplete, or is not a report's
            return await self._drop(path) if last is not None or not alive else False
        if lines:
            await self._store.write(Store.append, job_id, events, None, str(offset + size))
        if last is None and not alive and not lines:
            last = TrainingFailed(type=TRAINING_FAILED, error=LOST, timestamp=changed)
        if last is None:
            return bool(lines)
        await self._store.write(Store.finish, job_id, last)
        return await self._drop(path)

    async def _drop(self, path: Path) -> bool:
        await asyncio.to_thread(path.unlink)
        return False


def _read_so_far(store: Store, job_id: str) -> tuple[Job | None, int]:
    """Return the job of a file, and the position up to which it was read."""
    return store.get(job_id), int(resume_options_of(store.reading, job_id).get("mark", 0))


def _new_lines(path: Path, offset: int) -> tuple[list[bytes], int, bool, str]:
    """Return complete lines from ``offset`` on, their size, whether the program lives, the last change."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        alive = False
        try:  # before reading, so that a program's last lines are still read
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            alive = True
        file.seek(offset)
        piece = file.read(PIECE)
        changed = _moment(os.fstat(file.fileno()).st_mtime)
    complete = piece[: piece.rfind(b"\n") + 1]
    if not complete and len(piece) == PIECE:
        complete = b"\n"  # not a report
    return complete.splitlines(), len(complete), alive, changed


def _job(job_id: str, first_line: Mapping[str, Any]) -> tuple[JobRecord, TrainingStarted]:
    """Return the job in a file's first line, and its first event. Raises ValueError for any other line."""
    name, model, steps, figures = (
        first_line["name"],
        first_line["model"],
        first_line["steps"],
        first_line["figures"],
    )
    started = _time(first_line["at"])
    check({"name": name}, JOB_CHANGES)
    check({"name": model}, JOB_CHANGES)
    if not _are_figures(figures):
        raise ValueError
    metadata: RunMetadata = {
        "model": model,
        "figures": [{"name": figure, "label": figure, "unit": ""} for figure in figures],
    }
    if steps is not None:
        metadata["totalSteps"] = _step(steps)
    config: Any = {"model": model, "reported": True}  # another program knows its data
    job: JobRecord = {
        "id": job_id, "name": name, "status": "running", "config": config,
        "createdAt": started, "startedAt": started, "metrics": {} if steps is None else {"totalSteps": steps},
    }  # fmt: skip
    return job, TrainingStarted(type=TRAINING_STARTED, metadata=metadata, timestamp=started)


def _are_figures(figures: object) -> bool:
    return (
        isinstance(figures, list)
        and len(figures) <= MOST_FIGURES
        and all(isinstance(name, str) and FIGURE_NAME.fullmatch(name) for name in figures)
    )


def _row(line: Mapping[str, Any]) -> TrainingLog:
    """Return a row of figures as an event. Raises ValueError for anything else."""
    figures: dict[str, float | None] = {}
    for name, value in line["log"].items():
        if not FIGURE_NAME.fullmatch(name) or not (value is None or type(value) in (int, float)):
            raise ValueError
        figures[name] = value
    row = TrainingLog(type=TRAINING_LOG, step=_step(line["step"]), timestamp=_time(line["at"]))
    return log_with(row, figures)


def _end(line: Mapping[str, Any]) -> LastEvent | None:
    """Return how a run ended if a line states it. Raises ValueError for an unknown status."""
    if (status := line.get("end")) is None:
        return None
    moment = _time(line["at"])
    match status:
        case "completed":
            return TrainingCompleted(type=TRAINING_COMPLETED, timestamp=moment)
        case "failed":
            error = str(line["error"])[:2000]
            return TrainingFailed(type=TRAINING_FAILED, error=error, timestamp=moment)
        case "cancelled":
            return TrainingCancelled(type=TRAINING_CANCELLED, timestamp=moment)
    raise ValueError


def _step(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _MOST_STEPS:
        raise ValueError
    return value


def _time(value: object) -> str:
    """Return a time in the contract's format. Raises ValueError for anything else."""
    if not isinstance(value, str):
        raise TypeError
    return _moment(datetime.fromisoformat(value).timestamp())


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
