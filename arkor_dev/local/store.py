"""Jobs and their event logs in one SQLite file, so that both survive the end of the process.

Write-ahead logging makes a commit a plain append, cheap enough to do before anybody is told: what a reader
has seen is on its way to the disk, and a kill of this process loses nothing. All calls are short and run on
the event loop's thread; the list of jobs is kept as encoded bytes, so that ten thousand of them cost nothing
to serve again.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from ..contract import TERMINAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    config TEXT NOT NULL,
    error TEXT,
    created TEXT NOT NULL,
    started TEXT,
    completed TEXT,
    metrics TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS jobs_unfinished ON jobs (status, seq) WHERE status IN ('queued', 'running');
CREATE TABLE IF NOT EXISTS events (
    job TEXT NOT NULL,
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (job, id)
) WITHOUT ROWID;
"""
COLUMNS: Final = "id, name, status, config, error, created, started, completed, metrics"
STOPPED: Final = "the local backend stopped while this job was training"

Event = tuple[str, dict[str, Any]]


def now() -> str:
    """This moment in UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class Pulse:
    """Wakes everybody who waits for news. Take ``next()`` before looking, so that nothing slips between."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def next(self) -> asyncio.Event:
        return self._event

    def beat(self) -> None:
        self._event.set()
        self._event = asyncio.Event()


class Store:
    """The jobs and events of one project."""

    def __init__(self, path: Path, org: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)
        self.pulse = Pulse()
        self.org = org
        self.project_id = self._project_id()
        self._encoded: dict[str, bytes] | None = None
        self._listing: bytes | None = None

    def close(self) -> None:
        self._db.close()

    def _project_id(self) -> str:
        self._db.execute(
            "INSERT OR IGNORE INTO meta VALUES ('projectId', ?)", (f"prj_{secrets.token_hex(6)}",)
        )
        found = self._db.execute("SELECT value FROM meta WHERE key = 'projectId'").fetchone()
        return str(found[0])

    def recover(self) -> list[str]:
        """End the jobs that a previous process left running; their ids."""
        rows = self._db.execute("SELECT id, metrics FROM jobs WHERE status = 'running'").fetchall()
        for job_id, metrics in rows:
            step = json.loads(metrics).get("step")
            fields = {"error": STOPPED} if step is None else {"error": STOPPED, "step": step}
            self.finish(job_id, "failed", ("training.failed", fields), error=STOPPED)
        return [job_id for job_id, _ in rows]

    # Jobs

    def _shape(self, row: Sequence[Any]) -> dict[str, Any]:
        job_id, name, status, config, error, created, started, completed, metrics = row
        job = {
            "id": job_id,
            "orgId": self.org,
            "projectId": self.project_id,
            "name": name,
            "status": status,
            "config": _public(json.loads(config)),
            "createdAt": created,
            "startedAt": started,
            "completedAt": completed,
            "metrics": json.loads(metrics),
        }
        if error is not None:
            job["error"] = error
        return job

    def _row(self, job_id: str) -> Sequence[Any] | None:
        row: Sequence[Any] | None = self._db.execute(
            f"SELECT {COLUMNS} FROM jobs WHERE id = ?",  # noqa: S608 - constant text
            (job_id,),
        ).fetchone()
        return row

    def _changed(self, job_id: str) -> None:
        self._listing = None
        if self._encoded is not None and (row := self._row(job_id)):
            self._encoded[job_id] = compact(self._shape(row)).encode()

    def get(self, job_id: str) -> dict[str, Any] | None:
        """The contract's ``Job``."""
        row = self._row(job_id)
        return self._shape(row) if row else None

    def config(self, job_id: str) -> dict[str, Any]:
        """The config with its secrets, for the worker alone."""
        found = self._db.execute("SELECT config FROM jobs WHERE id = ?", (job_id,)).fetchone()
        config: dict[str, Any] = json.loads(found[0])
        return config

    def listing(self) -> bytes:
        """``{"jobs": [...]}``, newest first, as JSON."""
        if self._listing is None:
            if self._encoded is None:
                rows = self._db.execute(f"SELECT {COLUMNS} FROM jobs ORDER BY seq")  # noqa: S608 - constant text
                self._encoded = {row[0]: compact(self._shape(row)).encode() for row in rows}
            self._listing = b'{"jobs":[' + b",".join(reversed(self._encoded.values())) + b"]}"
        return self._listing

    def create(self, name: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """A new queued job."""
        job_id = f"job_{secrets.token_hex(6)}"
        self._db.execute(
            "INSERT INTO jobs (id, name, status, config, created) VALUES (?, ?, 'queued', ?, ?)",
            (job_id, name, compact(config), now()),
        )
        self._changed(job_id)
        job = self.get(job_id)
        assert job
        return job

    def next_queued(self) -> str | None:
        """The id of the job that has waited longest."""
        found = self._db.execute(
            "SELECT id FROM jobs WHERE status = 'queued' ORDER BY seq LIMIT 1"
        ).fetchone()
        return found[0] if found else None

    def start(self, job_id: str) -> None:
        self._db.execute("UPDATE jobs SET status = 'running', started = ? WHERE id = ?", (now(), job_id))
        self._changed(job_id)

    def finish(self, job_id: str, status: str, event: Event, error: str | None = None) -> None:
        """Give a job its final status and the event that ends its log, both or neither."""
        with _transaction(self._db):
            self._append(job_id, [event])
            self._db.execute(
                "UPDATE jobs SET status = ?, error = ?, completed = ? WHERE id = ?",
                (status, error, now(), job_id),
            )
        self._changed(job_id)
        self.pulse.beat()

    # Events

    def append(self, job_id: str, events: Sequence[Event]) -> None:
        """Write events in one commit, keep the job's metrics up to date with them, then wake readers."""
        with _transaction(self._db):
            self._append(job_id, events)
            self._measure(job_id, events)
        self._changed(job_id)
        self.pulse.beat()

    def _append(self, job_id: str, events: Iterable[Event]) -> None:
        last = self._db.execute("SELECT max(id) FROM events WHERE job = ?", (job_id,)).fetchone()[0] or 0
        moment = now()
        self._db.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?)",
            [
                (
                    job_id,
                    last + n,
                    name,
                    compact({"type": name, "jobId": job_id, "timestamp": moment, **fields}),
                )
                for n, (name, fields) in enumerate(events, 1)
            ],
        )

    def _measure(self, job_id: str, events: Iterable[Event]) -> None:
        found = self._db.execute("SELECT metrics FROM jobs WHERE id = ?", (job_id,)).fetchone()
        metrics = json.loads(found[0])
        for name, fields in events:
            if name == "training.started":
                metrics["totalSteps"] = fields["metadata"]["totalSteps"]
            elif name == "training.log":
                metrics.update({key: fields[key] for key in ("step", "loss", "evalLoss") if key in fields})
                if "evalLoss" in fields:
                    metrics["bestEvalLoss"] = min(
                        fields["evalLoss"], metrics.get("bestEvalLoss", fields["evalLoss"])
                    )
        self._db.execute("UPDATE jobs SET metrics = ? WHERE id = ?", (compact(metrics), job_id))

    def events(self, job_id: str, after: int, limit: int) -> list[tuple[int, str, str]]:
        """At most ``limit`` events past the id ``after``: id, name, data as JSON text."""
        return self._db.execute(
            "SELECT id, name, data FROM events WHERE job = ? AND id > ? ORDER BY id LIMIT ?",
            (job_id, after, limit),
        ).fetchall()

    def last_event(self, job_id: str) -> int:
        """The id of a job's newest event, 0 when there is none."""
        return self._db.execute("SELECT max(id) FROM events WHERE job = ?", (job_id,)).fetchone()[0] or 0

    def is_over(self, job_id: str) -> bool:
        """Whether a job has its final status, and so its last event."""
        found = self._db.execute("SELECT status FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return found is None or found[0] in TERMINAL


def _public(config: dict[str, Any]) -> dict[str, Any]:
    """A config without the data set's access token, which only the worker needs."""
    source = config.get("datasetSource")
    if isinstance(source, dict) and source.get("token"):
        return {**config, "datasetSource": {**source, "token": "***"}}
    return config


class _transaction:  # noqa: N801 - reads as the statement it is
    """All or nothing, ``with`` the database."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *rest: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")
