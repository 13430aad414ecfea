"""Jobs and their event logs in one SQLite file, so that both survive the end of the process.

Write-ahead logging makes a commit a plain append, cheap enough to do before anybody is told: what a reader
has seen is on its way to the disk, and a kill of this process loses nothing. One thread may write while
another reads (``async_store.py`` has them), each with a connection of its own; the list of jobs is kept as
encoded bytes, so that ten thousand of them cost nothing to serve again.
"""

from __future__ import annotations

import json
import secrets
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from arkor_dev.contract.events import ENDINGS, TRAINING_LOG, TRAINING_STARTED
from arkor_dev.contract.shapes import TERMINAL

from .database import BUSY_MILLISECONDS, connect, open_database, transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

COLUMNS: Final = "id, name, status, config, error, created, started, completed, metrics, settings"
STOPPED: Final = "the local backend stopped while this job was training"

Event = tuple[str, dict[str, Any]]


def now() -> str:
    """This moment in UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


class Verdict(NamedTuple):
    """How a job ended: its final status, the fields of the event that ends its log, and the reason."""

    status: str
    fields: dict[str, Any]

    @property
    def error(self) -> str | None:
        return self.fields.get("error")


class Store:
    """The jobs and events of one project."""

    def __init__(self, path: Path, org: str) -> None:
        self._db = open_database(path)
        self.org = org
        self.project_id = self._project_id()
        self._db.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
        self._reader = connect(path)
        self._lock = threading.Lock()  # of the two below, which both threads use
        self._encoded: dict[str, bytes] | None = None
        self._listing: bytes | None = None

    def close(self) -> None:
        self._reader.close()
        self._db.close()

    def _project_id(self) -> str:
        self._db.execute(
            "INSERT OR IGNORE INTO meta VALUES ('projectId', ?)", (f"prj_{secrets.token_hex(6)}",)
        )
        found = self._db.execute("SELECT value FROM meta WHERE key = 'projectId'").fetchone()
        return str(found[0])

    def recover(self, verdict_of: Callable[[str], Verdict | None] = lambda _: None) -> list[str]:
        """End the jobs that a previous process left running, as ``verdict_of`` says or failed; their ids."""
        rows = self._db.execute("SELECT id FROM jobs WHERE status = 'running'").fetchall()
        for (job_id,) in rows:
            self.finish(job_id, verdict_of(job_id) or Verdict("failed", {"error": STOPPED}))
        return [job_id for (job_id,) in rows]

    # Jobs

    def _shape(self, row: Sequence[Any]) -> dict[str, Any]:
        job_id, name, status, config, error, created, started, completed, metrics, settings = row
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
        if settings is not None:
            job["settings"] = json.loads(settings)
        return job

    def _row(self, db: sqlite3.Connection, job_id: str) -> Sequence[Any] | None:
        row: Sequence[Any] | None = db.execute(
            f"SELECT {COLUMNS} FROM jobs WHERE id = ?",  # noqa: S608 - constant text
            (job_id,),
        ).fetchone()
        return row

    def _changed(self, job_id: str) -> None:
        with self._lock:
            self._listing = None
            if self._encoded is not None and (row := self._row(self._db, job_id)):
                self._encoded[job_id] = compact(self._shape(row)).encode()

    def get(self, job_id: str) -> dict[str, Any] | None:
        """The contract's ``Job``."""
        return self._get(self._reader, job_id)

    def _get(self, db: sqlite3.Connection, job_id: str) -> dict[str, Any] | None:
        row = self._row(db, job_id)
        if row is None:
            return None
        job = self._shape(row)
        if job["status"] == "queued":
            job["queue"] = _place(db, job_id)
        return job

    def listing(self) -> bytes:
        """``{"jobs": [...]}``, newest first, as JSON."""
        with self._lock:
            if self._listing is None:
                if self._encoded is None:
                    rows = self._reader.execute(f"SELECT {COLUMNS} FROM jobs ORDER BY seq")  # noqa: S608 - constant text
                    self._encoded = {row[0]: compact(self._shape(row)).encode() for row in rows}
                jobs = dict(self._encoded)
                # A place in the queue changes without its job: it is not kept with the rest.
                for job_id, place in _queue(self._reader).items():
                    if job_id in jobs:
                        jobs[job_id] = jobs[job_id][:-1] + b',"queue":' + compact(place).encode() + b"}"
                self._listing = b'{"jobs":[' + b",".join(reversed(jobs.values())) + b"]}"
            return self._listing

    def create(self, name: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """A new queued job."""
        job_id = f"job_{secrets.token_hex(6)}"
        self._db.execute(
            "INSERT INTO jobs (id, name, status, config, created) VALUES (?, ?, 'queued', ?, ?)",
            (job_id, name, compact(config), now()),
        )
        self._changed(job_id)
        job = self._get(self._db, job_id)
        assert job
        return job

    def start_next(self) -> tuple[str, dict[str, Any]] | None:
        """Start the job that has waited longest: its id, and its config with the secrets for the worker."""
        with transaction(self._db):
            found = self._db.execute(
                "SELECT id, config FROM jobs WHERE status = 'queued' ORDER BY seq LIMIT 1"
            ).fetchone()
            if found:
                self._db.execute(
                    "UPDATE jobs SET status = 'running', started = ? WHERE id = ?", (now(), found[0])
                )
        if not found:
            return None
        self._changed(found[0])
        return found[0], json.loads(found[1])

    def cancel_queued(self, job_id: str) -> bool:
        """Cancel a job that has not been started; false when it has, or is over."""
        with transaction(self._db):
            found = self._db.execute("SELECT status FROM jobs WHERE id = ?", (job_id,)).fetchone()
            waits = found is not None and found[0] == "queued"
            if waits:
                self._finish(job_id, Verdict("cancelled", {}))
        self._changed(job_id)
        return waits

    def finish(self, job_id: str, verdict: Verdict) -> None:
        """Give a job its final status and the event that ends its log, both or neither; once and for all."""
        with transaction(self._db):
            self._finish(job_id, verdict)
        self._changed(job_id)

    def _finish(self, job_id: str, verdict: Verdict) -> None:
        status, metrics = self._db.execute(
            "SELECT status, metrics FROM jobs WHERE id = ?", (job_id,)
        ).fetchone()
        if status in TERMINAL:
            return
        metrics = json.loads(metrics)
        step = metrics.get("step")
        peak = verdict.fields.get("metrics", {}).get("peakBytes")
        if peak is not None:
            metrics["peakBytes"] = peak
        known = {} if step is None or verdict.status == "completed" else {"step": step}
        self._append(job_id, [(ENDINGS[verdict.status], {**verdict.fields, **known})])
        self._db.execute(
            "UPDATE jobs SET status = ?, error = ?, completed = ?, metrics = ? WHERE id = ?",
            (verdict.status, verdict.error, now(), compact(metrics), job_id),
        )

    # Events

    def append(self, job_id: str, events: Sequence[Event]) -> None:
        """Write events in one commit, and keep the job's metrics and settings up to date with them."""
        with transaction(self._db):
            self._append(job_id, events)
            self._measure(job_id, events)
        self._changed(job_id)

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
            if name == TRAINING_STARTED:
                metrics["totalSteps"] = fields["metadata"]["totalSteps"]
                settings = fields["metadata"].get("settings")
                if settings is not None:
                    changed = (compact(settings), job_id)
                    self._db.execute("UPDATE jobs SET settings = ? WHERE id = ?", changed)
            elif name == TRAINING_LOG:
                metrics.update({key: fields[key] for key in ("step", "loss", "evalLoss") if key in fields})
                if "evalLoss" in fields:
                    metrics["bestEvalLoss"] = min(
                        fields["evalLoss"], metrics.get("bestEvalLoss", fields["evalLoss"])
                    )
        self._db.execute("UPDATE jobs SET metrics = ? WHERE id = ?", (compact(metrics), job_id))

    def events(self, job_id: str, after: int, limit: int) -> list[tuple[int, str, str]]:
        """At most ``limit`` events past the id ``after``: id, name, data as JSON text."""
        return self._reader.execute(
            "SELECT id, name, data FROM events WHERE job = ? AND id > ? ORDER BY id LIMIT ?",
            (job_id, after, limit),
        ).fetchall()

    def news(self, job_id: str, after: int, limit: int) -> tuple[bool, list[tuple[int, str, str]]]:
        """Whether the job is over, and its ``events``; asked in this order, so that none slips between."""
        over = self.is_over(job_id)
        return over, self.events(job_id, after, limit)

    def last_event(self, job_id: str) -> int:
        """The id of a job's newest event, 0 when there is none."""
        found = self._reader.execute("SELECT max(id) FROM events WHERE job = ?", (job_id,)).fetchone()
        return found[0] or 0

    def is_over(self, job_id: str) -> bool:
        """Whether a job has its final status, and so its last event."""
        found = self._reader.execute("SELECT status FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return found is None or found[0] in TERMINAL


def _place(db: sqlite3.Connection, job_id: str) -> dict[str, Any]:
    """The contract's ``queue`` of one waiting job: its place, and the job directly before it."""
    (seq,) = db.execute("SELECT seq FROM jobs WHERE id = ?", (job_id,)).fetchone()
    (ahead,) = db.execute("SELECT count(*) FROM jobs WHERE status = 'queued' AND seq < ?", (seq,)).fetchone()
    last = "SELECT id, name FROM jobs WHERE status = ? AND seq < ? ORDER BY seq DESC LIMIT 1"
    found = db.execute(last, ("queued" if ahead else "running", seq)).fetchone()
    return {
        "position": ahead + 1,
        "behind": {"id": found[0], "name": found[1]} if found else None,
    }


def _queue(db: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    """``_place`` of every waiting job."""
    rows = db.execute(
        "SELECT id, name, status FROM jobs WHERE status IN ('queued', 'running')"
        " ORDER BY status = 'queued', seq"
    )
    places: dict[str, dict[str, Any]] = {}
    before: dict[str, str] | None = None
    for job_id, name, status in rows:
        if status == "queued":
            places[job_id] = {"position": len(places) + 1, "behind": before}
        before = {"id": job_id, "name": name}
    return places


def _public(config: dict[str, Any]) -> dict[str, Any]:
    """A config without the data sets' access tokens, which only the worker needs."""
    sources = ("datasetSource", "evalDatasetSource")
    return {**config, **{name: _without_token(config[name]) for name in sources if name in config}}


def _without_token(source: Any) -> Any:
    if not isinstance(source, dict):
        return source
    public = {**source, "token": "***"} if source.get("token") else source
    if isinstance(source.get("sources"), list):
        public = {**public, "sources": [_without_token(part) for part in source["sources"]]}
    return public
