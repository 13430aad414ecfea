"""Rebuilds the list of jobs if its database is damaged, empty or missing.

Readable rows of the old file are copied one by one, from both ends of each table: a damaged page loses only
its own rows. Missing jobs are restored from the record in their folder (``job.json``), with their files but
without metrics over time. The old file is kept. Nothing else may use the data folder meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from arkor_dev.contract.errors import BadRequestError
from arkor_dev.contract.events import (
    CHECKPOINT_SAVED,
    ENDINGS,
    TRAINING_MESSAGE,
    TRAINING_PAUSED,
    CheckpointSaved,
    Event,
    TrainingMessage,
    TrainingPaused,
)
from arkor_dev.contract.shapes import TERMINAL
from arkor_dev.local.models.downloads import size_of

from . import job_row
from .archive.reader import check_job
from .database import DATABASE, DamagedError, connect, open_database, refuse_empty, transaction
from .job_folder import (
    checkpoint_folder,
    checkpoint_steps,
    describe,
    final_folder,
    job_ids,
    kind_of,
    record_file,
    resume_steps,
)
from .store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from arkor_dev.contract.shapes import JobPause

    from .job_row import JobRecord

TABLES: Final = {
    "meta": "key",
    "jobs": "seq",
    "removed": "job",
    "deployments": "id",
    "endpoint_keys": "id",
    "endpoint_requests": "seq",
}
"""Tables other than events, each with the column that defines its order."""
JSON: Final = (
    "config",
    "metrics",
    "settings",
    "forecast",
    "pause",
    "resume",
    "parent",
    "evaluation",
    "tags",
    "data",
)
"""JSON columns: a row with a damaged one is skipped."""
FILES: Final = ("", "-wal")
REBUILT: Final = (
    "The list of jobs was rebuilt. This job's files are intact, but its metrics over time are lost"
)


class Rebuilt(NamedTuple):
    """Result of a rebuild: the number of ``jobs`` in the list, and how many were ``read`` from the old one.

    ``added`` are the names of jobs restored from folders, ``unusable`` the ids of folders without a usable
    record. A damaged old file is kept as ``damaged_file``.
    """

    jobs: int
    read: int
    added: list[str]
    unusable: list[str]
    damaged_file: str | None


def rebuild(data: Path, org: str) -> Rebuilt:
    """Rebuild the list in the folder ``data``. An intact list is kept, and missing jobs are added.

    Raises OSError and sqlite3.Error without changing anything.
    """
    path = data / DATABASE
    try:
        refuse_empty(path)
        with contextlib.closing(open_database(path)) as db:
            _refuse_damaged_rows(db)
    except DamagedError:
        return _rebuild(path, org)
    return _complete(path, org, None)


def _refuse_damaged_rows(db: sqlite3.Connection) -> None:
    query = f"SELECT {', '.join(job_row.COLUMNS)} FROM jobs"  # noqa: S608 - our own names
    for row in db.execute(query):
        try:
            job_row.decode(row)
        except job_row.DamagedRowError as fault:
            raise DamagedError(str(fault)) from None


def _rebuild(path: Path, org: str) -> Rebuilt:
    new, old = path.with_name(f"{DATABASE}.part"), path.with_name("old.sqlite.part")
    for database in (new, old):
        for end in (*FILES, "-shm"):
            database.with_name(database.name + end).unlink(missing_ok=True)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    damaged_file = path.with_name(f"{path.stem}-damaged-{stamp}{path.suffix}")
    try:
        with contextlib.closing(open_database(new)) as db:
            for end in FILES:  # read a copy: even opening may write to the file
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(path.with_name(path.name + end), old.with_name(old.name + end))
            if old.exists():
                with transaction(db), contextlib.closing(connect(old)) as source:
                    _salvage(source, db, job_ids(path.parent))
        rebuilt = _complete(new, org, damaged_file.name if path.exists() else None)
        for end in reversed(FILES):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + end).rename(damaged_file.with_name(damaged_file.name + end))
        path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
        new.rename(path)
    finally:
        for end in (*FILES, "-shm"):
            old.with_name(old.name + end).unlink(missing_ok=True)
    return rebuilt


def _salvage(source: sqlite3.Connection, target: sqlite3.Connection, folders: Sequence[str]) -> None:
    for table, key in TABLES.items():
        _copy(source, target, table, key)
    read = [job_id for (job_id,) in target.execute("SELECT id FROM jobs")]
    for job_id in dict.fromkeys([*read, *folders]):
        _copy(source, target, "events", "id", job_id)


def _copy(
    source: sqlite3.Connection, target: sqlite3.Connection, table: str, key: str, job: str = ""
) -> None:
    """Copy the readable rows of ``table``; for events, only those of one ``job``."""
    own_columns, old_columns = (_columns(db, table) for db in (target, source))
    columns = [name for name in own_columns if name in old_columns]
    if not columns:
        return
    marks = ", ".join("?" * len(columns))
    insert = f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - our own names
    condition, arguments = ("WHERE job = ?", (job,)) if job else ("", ())
    for direction in ("ASC", "DESC"):
        query = f"SELECT {', '.join(columns)} FROM {table} {condition} ORDER BY {key} {direction}"  # noqa: S608 - our own names
        rows = _readable(source, query, arguments)
        complete = True
        for row in rows:
            if row is None:
                complete = False
            elif _is_sound(table, dict(zip(columns, row, strict=True))):
                with contextlib.suppress(sqlite3.IntegrityError):
                    target.execute(insert, row)
        if complete:
            return


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    with contextlib.suppress(sqlite3.DatabaseError):
        return [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    return []


def _readable(
    db: sqlite3.Connection, query: str, arguments: Sequence[str]
) -> Iterator[Sequence[object] | None]:
    """Yield rows up to the first unreadable one, then None."""
    try:
        yield from db.execute(query, arguments)
    except (sqlite3.DatabaseError, UnicodeDecodeError):
        yield None


def _is_sound(table: str, row: Mapping[str, object]) -> bool:
    try:
        if table == "jobs":
            job_row.decode([row.get(column) for column in job_row.COLUMNS])
        for name in JSON:
            if row.get(name) is not None:
                json.loads(str(row[name]))
    except (job_row.DamagedRowError, ValueError, TypeError, RecursionError):
        return False
    return True


def _complete(path: Path, org: str, damaged_file: str | None) -> Rebuilt:
    """Add the jobs of folders that are missing from the list."""
    data, added, unusable = path.parent, [], []
    with contextlib.closing(Store(path, org)) as store:
        listed = store.names().keys() | set(store.removed())
        for job_id in job_ids(data):
            if job_id in listed:
                continue
            try:
                job = check_job(record_file(data, job_id).read_json())
                if job["id"] != job_id:
                    raise BadRequestError("It belongs to another job")
            except BadRequestError:
                unusable.append(job_id)
                continue
            _add(store, data, job)
            added.append(job["name"])
        count = len(store.names())
        store.writing.execute("DELETE FROM events WHERE job NOT IN (SELECT id FROM jobs)")
    return Rebuilt(count, count - len(added), added, unusable, damaged_file)


def _add(store: Store, data: Path, job: JobRecord) -> None:
    """Add the job of a folder, with events about its files."""
    job_id, points = job["id"], [0, *checkpoint_steps(data, job["id"]), *resume_steps(data, job["id"])]
    events: list[Event] = [TrainingMessage(type=TRAINING_MESSAGE, message=REBUILT)]
    for step in checkpoint_steps(data, job_id):
        folder = checkpoint_folder(data, job_id, step)
        saved = describe("checkpoint", f"step {step}", folder, size_of(folder), step)
        events.append(CheckpointSaved(type=CHECKPOINT_SAVED, step=step, artifacts=[saved]))
    if job["status"] in TERMINAL:
        final = final_folder(data, job_id)
        artifacts = [describe(kind_of(final), "final", final, size_of(final))] if final.is_dir() else []
        end_fields = {"artifacts": artifacts} if job["status"] == "completed" else {}
        error = {"error": job["error"]} if job.get("error") else {}
        events.append(cast("Event", {"type": ENDINGS[job["status"]], **end_fields, **error}))
    else:  # it was running or paused
        pause: JobPause = {"step": max(points), "reason": "asked", "message": REBUILT}
        job = {**job, "status": "paused", "pause": pause}
        events.append(TrainingPaused(type=TRAINING_PAUSED, step=max(points), reason="asked", message=REBUILT))
    job = {**job, "config": _without_masks(job["config"])}
    if max(points):
        job["resumable"] = max(points)
    store.import_job(job, None)
    if not store.last_event(job_id):
        store.append(job_id, events)


def _without_masks(value: Any) -> Any:
    """Return a config without asterisks where a token was masked."""
    if isinstance(value, dict):
        unmasked = {key: member for key, member in value.items() if (key, member) != ("token", "***")}
        return {key: _without_masks(member) for key, member in unmasked.items()}
    return [_without_masks(member) for member in value] if isinstance(value, list) else value
