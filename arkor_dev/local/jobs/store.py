"""A job's life and its event log, in one SQLite file, so that both survive the end of the process.

Write-ahead logging makes a commit a plain append, cheap enough to do before anybody is told: what a reader
has seen is on its way to the disk, and a kill of this process loses nothing.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from arkor_dev.contract.errors import ConflictError
from arkor_dev.contract.events import ENDINGS, SYSTEM_METRICS, TRAINING_LOG, TRAINING_STARTED
from arkor_dev.contract.shapes import TERMINAL

from . import waiting
from .database import transaction
from .records import Records, compact, now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

STOPPED: Final = "the local backend stopped while this job was training"

SAMPLES_KEPT: Final = 2000
"""So many ``system.metrics`` at most stay in the history of a job that is over: an hour's, or every nth."""

Event = tuple[str, dict[str, Any]]


class Verdict(NamedTuple):
    """How a job ended: its final status, the fields of the event that ends its log, and the reason."""

    status: str
    fields: dict[str, Any]

    @property
    def error(self) -> str | None:
        return self.fields.get("error")


class Store(Records):
    """The jobs and events of one project."""

    def recover(self, verdict_of: Callable[[str], Verdict | None] = lambda _: None) -> list[str]:
        """End the jobs that a previous process left running, as ``verdict_of`` says or failed; their ids."""
        rows = self._db.execute("SELECT id FROM jobs WHERE status = 'running'").fetchall()
        for (job_id,) in rows:
            self.finish(job_id, verdict_of(job_id) or Verdict("failed", {"error": STOPPED}))
        return [job_id for (job_id,) in rows]

    def create(
        self, name: str, config: Mapping[str, Any], forecast: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """A new queued job, with what is forecast of it, where that is known."""
        job_id = f"job_{secrets.token_hex(6)}"
        self._db.execute(
            f"""INSERT INTO jobs (seq, id, name, status, config, created, forecast)
                VALUES ({waiting.LAST}, ?, ?, 'queued', ?, ?, ?)""",  # noqa: S608 - constant text
            (job_id, name, compact(config), now(), None if forecast is None else compact(forecast)),
        )
        self._changed(job_id)
        job = self._get(self._db, job_id)
        assert job
        return job

    def take_in(self, job: Mapping[str, Any], events: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """Add a job that is over and was made elsewhere, with its events, all of it or nothing; the job."""
        job_id = job["id"]
        times = (job["createdAt"], job.get("startedAt"), job.get("completedAt"))
        facts = (job_id, job["name"], job["status"], compact(job["config"]), job.get("error"))
        settings = compact(job["settings"]) if "settings" in job else None
        said = (
            compact(job.get("metrics", {})),
            settings,
            job.get("notes", ""),
            compact(job.get("tags", [])),
            bool(job.get("starred")),
        )
        with transaction(self._db):
            if self._row(self._db, job_id):
                raise ConflictError(f"The job {job_id} is here already")
            self._db.execute(
                f"""INSERT INTO jobs (seq, id, name, status, config, error, created, started, completed,
                        metrics, settings, notes, tags, starred)
                    VALUES ({waiting.LAST}, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",  # noqa: S608 - constant text
                (*facts, *times, *said),
            )
            rows = ((job_id, number, name, data) for number, (name, data) in enumerate(events, 1))
            self._db.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", rows)
        self._changed(job_id)
        taken = self._get(self._db, job_id)
        assert taken
        return taken

    def start_next(self) -> tuple[str, dict[str, Any]] | None:
        """Start the next job of the queue: its id, and its config with the secrets for the worker."""
        with transaction(self._db):
            found = waiting.first(self._db)
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
        self._thin_out(job_id)
        self._db.execute(
            "UPDATE jobs SET status = ?, error = ?, completed = ?, metrics = ? WHERE id = ?",
            (verdict.status, verdict.error, now(), compact(metrics), job_id),
        )

    # Events

    def _thin_out(self, job_id: str) -> None:
        """Leave of a job's samples of the machine every nth, so that at most ``SAMPLES_KEPT`` stay."""
        of_job = (job_id, SYSTEM_METRICS)
        (count,) = self._db.execute(
            "SELECT count(*) FROM events WHERE job = ? AND name = ?", of_job
        ).fetchone()
        every = -(-count // SAMPLES_KEPT)
        if every > 1:
            self._db.execute(
                """DELETE FROM events WHERE job = ?1 AND id IN (
                    SELECT id FROM (
                        SELECT id, row_number() OVER (ORDER BY id) AS place FROM events
                        WHERE job = ?1 AND name = ?2
                    ) WHERE place % ?3 <> 1
                )""",
                (*of_job, every),
            )

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
