"""Job records: their contract shape, the list of jobs, and edits.

One thread may write while another reads (see ``async_store.py``), each with its own connection. The list is
cached as encoded bytes, so that serving ten thousand jobs again costs nothing. ``store.py`` has a job's life
cycle.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import ConflictError, NotFoundError
from arkor_dev.contract.shapes import TERMINAL

from . import job_row, waiting
from .database import BUSY_MILLISECONDS, connect, give_back, open_database, transaction, unused_bytes
from .job_folder import job_folder, record_file

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from arkor_dev.contract.shapes import Job, JobChanges, JobConfig, Queue, QueuePlace

    from .job_row import JobRow

COLUMNS: Final = ", ".join(job_row.COLUMNS)
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def now() -> str:
    """Return the current time in UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def compact(value: object) -> str:
    return _ENCODER.encode(value)


class Records:
    """The jobs of one project, without their events."""

    def __init__(self, path: Path, org: str) -> None:
        self._db = open_database(path)
        self.org = org
        self.project_id = self._project_id()
        self._db.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
        self._end_damaged()
        self._reader = connect(path)
        self.waiting_reasons: dict[str, str] = {}
        """By job id: why the job's target has no resources for it now, as a sentence."""
        self.trouble: str | None = None
        """Why nothing can be written at the moment, as sentences."""
        self._data = path.parent
        self._recorded: set[str] = set()
        self._lock = threading.Lock()  # protects the next two, which both threads use
        self._encoded: dict[str, bytes] | None = None
        self._listing: bytes | None = None

    @property
    def writing(self) -> sqlite3.Connection:
        """The writing thread's connection, for other tables of the database."""
        return self._db

    @property
    def reading(self) -> sqlite3.Connection:
        """The reading thread's connection."""
        return self._reader

    def close(self) -> None:
        self._reader.close()
        self._db.close()

    def unused(self) -> int:
        """Return the unused bytes of the file, if there are many."""
        return unused_bytes(self._reader)

    def give_back(self) -> int:
        """Compact the file; return the bytes saved."""
        return give_back(self._db)

    def _project_id(self) -> str:
        self._db.execute(
            "INSERT OR IGNORE INTO meta VALUES ('projectId', ?)", (f"prj_{secrets.token_hex(6)}",)
        )
        row = self._db.execute("SELECT value FROM meta WHERE key = 'projectId'").fetchone()
        return str(row[0])

    def _shape(self, row: Sequence[object]) -> Job:
        return job_row.job_of(row, self.org, self.project_id)

    def _row(self, db: sqlite3.Connection, job_id: str) -> Sequence[object] | None:
        row: Sequence[object] | None = db.execute(
            f"SELECT {COLUMNS} FROM jobs WHERE id = ?",  # noqa: S608 - constant text
            (job_id,),
        ).fetchone()
        return row

    def _changed(self, job_id: str) -> None:
        row = self._row(self._db, job_id)
        job = self._shape(row) if row else None
        with self._lock:
            self._listing = None
            if self._encoded is not None and job:
                self._encoded[job_id] = compact(job).encode()
        if job:
            self._record(job)

    def _record(self, job: Job) -> None:
        """Store the record next to the job's files, if any, so that the list can be rebuilt.

        A running job is stored only once, since its metrics change all the time.
        """
        job_id, runs = job["id"], job["status"] == "running"
        if job_row.is_damaged(job):
            return  # the older record is the better one
        if job["status"] == "queued" or (runs and job_id in self._recorded):
            return
        with contextlib.suppress(OSError):
            if job_folder(self._data, job_id).is_dir():
                record_file(self._data, job_id).write_json(job)
                (self._recorded.add if runs else self._recorded.discard)(job_id)

    def get(self, job_id: str) -> Job | None:
        """Return a job."""
        return self._get(self._reader, job_id)

    def _get(self, db: sqlite3.Connection, job_id: str) -> Job | None:
        row = self._row(db, job_id)
        if row is None:
            return None
        job = self._shape(row)
        if job["status"] == "queued" and (position := waiting.queue_position(db, job_id)):
            job["queue"] = self._with_reason(job_id, position)
        return job

    def listing(self) -> bytes:
        """Return ``{"jobs": [...], "queue": {"held"}, "trouble"?}``, newest first, as JSON."""
        with self._lock:
            if self._listing is None:
                if self._encoded is None:
                    rows = self._reader.execute(f"SELECT {COLUMNS} FROM jobs ORDER BY seq")  # noqa: S608 - constant text
                    self._encoded = {row[0]: compact(self._shape(row)).encode() for row in rows}
                jobs = dict(self._encoded)
                # The queue position changes independently of the job, so it is not cached.
                for job_id, position in waiting.queue_positions(self._reader).items():
                    if job_id in jobs:
                        jobs[job_id] = (
                            jobs[job_id][:-1]
                            + b',"queue":'
                            + compact(self._with_reason(job_id, position)).encode()
                            + b"}"
                        )
                queue = compact({"held": waiting.is_held(self._reader)}).encode()
                trouble = b"" if self.trouble is None else b',"trouble":%s' % compact(self.trouble).encode()
                listed = b",".join(reversed(jobs.values()))
                self._listing = b'{"jobs":[%s],"queue":%s%s}' % (listed, queue, trouble)
            return self._listing

    def report(self, trouble: str | None) -> None:
        """Add to the list why nothing can be written at the moment; None if everything can."""
        with self._lock:
            self.trouble, self._listing = trouble, None

    def _with_reason(self, job_id: str, position: QueuePlace) -> QueuePlace:
        reason = self.waiting_reasons.get(job_id)
        if reason is None:
            return position
        place = position.copy()
        place["reason"] = reason
        return place

    def requeue(self, job_id: str, reason: str) -> None:
        """Return a running job to its position in the queue, since its target has no free resources."""
        self.waiting_reasons[job_id] = reason
        self._db.execute("UPDATE jobs SET status = 'queued' WHERE id = ? AND status = 'running'", (job_id,))
        self._changed(job_id)

    # Edits

    def edit(self, job_id: str, changes: JobChanges) -> Job:
        """Change any of a job's ``name``, ``notes``, ``tags`` and ``starred``; return the job."""
        given: Mapping[str, object] = changes
        columns = {field: given[field] for field in ("name", "notes", "starred") if field in given}
        if "tags" in changes:
            columns["tags"] = compact(changes["tags"])
        if columns:
            self._db.execute(
                f"UPDATE jobs SET {', '.join(f'{column} = ?' for column in columns)} WHERE id = ?",  # noqa: S608 - our own names
                (*columns.values(), job_id),
            )
            self._changed(job_id)
        job = self._get(self._db, job_id)
        if job is None:
            raise NotFoundError(f"There is no job {job_id}")
        return job

    def remove(self, job_id: str) -> None:
        """Remove an ended job and its events from the list, and record that its files must be deleted.

        In one transaction: after a crash the job either still exists, or is gone and its remaining files are
        listed by :meth:`removed`.
        """
        with transaction(self._db):
            row = self._db.execute("SELECT name, status FROM jobs WHERE id = ?", (job_id,)).fetchone()
            if row is None:
                raise NotFoundError(f"There is no job {job_id}")
            if row[1] not in TERMINAL:
                raise ConflictError(f"The job {row[0]} is {row[1]}: cancel it before you delete it")
            self._db.execute("INSERT OR IGNORE INTO removed VALUES (?)", (job_id,))
            self._db.execute("DELETE FROM events WHERE job = ?", (job_id,))
            self._db.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
        with self._lock:
            self._listing = None
            if self._encoded is not None:
                self._encoded.pop(job_id, None)

    def removed(self) -> list[str]:
        """Return the ids of deleted jobs whose files may still exist."""
        return [job_id for (job_id,) in self._db.execute("SELECT job FROM removed")]

    def forget_removed(self, job_id: str) -> None:
        """Record that a deleted job's files are gone."""
        self._db.execute("DELETE FROM removed WHERE job = ?", (job_id,))

    def arrange(self, job_ids: Sequence[str] | None, held: bool | None) -> Queue:
        """Reorder waiting jobs, and hold or release the queue; return the queue."""
        with transaction(self._db):
            if job_ids is not None:
                waiting.arrange(self._db, job_ids)
            if held is not None:
                waiting.hold(self._db, held)
        with self._lock:
            self._listing = None
        return waiting.queue(self._db)

    def names(self) -> dict[str, str]:
        """Return every job's name by id, newest first."""
        return dict(self._reader.execute("SELECT id, name FROM jobs ORDER BY seq DESC").fetchall())

    def config(self, job_id: str) -> JobConfig | None:
        """Return a job's config, with its secrets; None without the job. Raises ConflictError if damaged."""
        row = self._row(self._reader, job_id)
        return None if row is None else self._sound(row)["config"]

    def _sound(self, row: Sequence[object]) -> JobRow:
        """Return a row's columns by name. Raises ConflictError for a damaged row."""
        try:
            return job_row.decode(row)
        except job_row.DamagedRowError as fault:
            raise ConflictError(str(fault)) from None

    def _end_damaged(self) -> None:
        """End every unfinished job whose row is damaged: none of them can run."""
        marks = ", ".join("?" * len(TERMINAL))
        query = f"SELECT {COLUMNS} FROM jobs WHERE status NOT IN ({marks})"  # noqa: S608 - our own names
        for row in self._db.execute(query, tuple(TERMINAL)).fetchall():
            job = self._shape(row)
            if job_row.is_damaged(job):
                end = "UPDATE jobs SET status = 'failed', error = ?, completed = ?, pause = NULL WHERE id = ?"
                self._db.execute(end, (job["error"], now(), job["id"]))

    def paused_for(self, reason: str) -> list[str]:
        """Return the ids of the jobs paused for this reason, most recent first."""
        rows = self._reader.execute(
            """SELECT id FROM jobs WHERE status = 'paused' AND json_extract(pause, '$.reason') = ?
                ORDER BY seq DESC""",
            (reason,),
        )
        return [job_id for (job_id,) in rows.fetchall()]

    def is_of_sweep(self, job_id: str) -> bool:
        row = self._reader.execute("SELECT sweep IS NOT NULL FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return bool(row and row[0])

    def of_sweep(self, sweep_id: str) -> dict[str, Job]:
        """Return the jobs of a sweep by id, oldest first."""
        rows = self._reader.execute(
            f"""SELECT {COLUMNS} FROM jobs
                WHERE sweep IS NOT NULL AND json_extract(sweep, '$.id') = ? ORDER BY seq""",  # noqa: S608 - constant text
            (sweep_id,),
        )
        return {row[0]: self._shape(row) for row in rows.fetchall()}

    def unfinished(self) -> dict[str, str]:
        """Return the status of every job that has not ended, by id."""
        rows = self._reader.execute(
            f"SELECT id, status FROM jobs WHERE status NOT IN ({', '.join('?' * len(TERMINAL))})",  # noqa: S608 - question marks
            tuple(TERMINAL),
        )
        return dict(rows.fetchall())

    def peek_next(self, excluded: Sequence[str] = ()) -> tuple[str, JobConfig] | None:
        """Return the id and config of the next job that may start, except those in ``excluded``."""
        row = waiting.first(self._reader, excluded)
        return None if row is None else (row[0], json.loads(row[1]))

    def queue(self) -> Queue:
        return waiting.queue(self._reader)
