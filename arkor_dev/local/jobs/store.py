"""A job's life cycle, including its pauses, in one SQLite file with its events.

A change of a job and its event are written together or not at all.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import ConflictError, NotFoundError
from arkor_dev.contract.events import (
    STATUSES,
    TRAINING_CANCELLED,
    TRAINING_COMPLETED,
    TRAINING_FAILED,
    TRAINING_PAUSED,
    TrainingCancelled,
    TrainingFailed,
    TrainingPaused,
)
from arkor_dev.contract.run_names import next_if_taken
from arkor_dev.contract.shapes import TERMINAL

from . import interruptions, waiting
from .database import stored_object, transaction
from .event_log import EventLog
from .records import compact, now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from arkor_dev.contract.events import Event, LastEvent
    from arkor_dev.contract.shapes import Forecast, Job, JobConfig, JobParent, JobSweep
    from arkor_dev.local.execution.messages import ResumeOptions

    from .job_row import JobRecord

ENDED: Final = "The local backend stopped while this job was training."
CRASHED: Final = "Its training process had crashed."
WAS_KILLED: Final = "Its training process had been killed."
REPORTED: Final = "reported"
"""Config field that marks a job run by another program (``reported.py``)."""
KILLED: Final = "killed"
"""Reason of the pause of a job whose process someone killed, which says nothing about the job."""


@dataclass(frozen=True)
class Crash:
    """A worker ended without a final message.

    Args:
        error: The cause, as a sentence.
        killed: Whether the operating system or a person killed it.
        reason: Why the job resumes, if that is more than the crash.
        out_of_memory: Whether memory ran out.
    """

    error: str
    killed: bool = False
    reason: str = ""
    out_of_memory: bool = False


@dataclass(frozen=True)
class Again:
    """A crashed job resumes automatically; ``error`` says why it crashed."""

    error: str


def new_id() -> str:
    return f"job_{secrets.token_hex(6)}"


EVALUATION_LIMIT: Final = 64 << 10
"""Maximum size of an accepted verdict, in characters."""
PARENT_LIMIT: Final = 1000
"""Maximum size of an accepted description of a job's parent, in characters."""


def _is_parent(parent: object) -> bool:
    """Return whether an archive's description of a job's parent is a ``JobParent``."""
    return (
        isinstance(parent, dict)
        and isinstance(parent.get("jobId"), str)
        and type(parent.get("step")) is int
        and isinstance(parent.get("name", ""), str)
        and len(parent) <= 3
        and len(compact(parent)) <= PARENT_LIMIT
    )


def _is_evaluation(evaluation: object) -> bool:
    """Return whether another machine's verdict is valid for the list of jobs."""
    return (
        isinstance(evaluation, dict)
        and isinstance(evaluation.get("verdict"), str)
        and isinstance(evaluation.get("sentence"), str)
        and len(compact(evaluation)) <= EVALUATION_LIMIT
    )


class Store(EventLog):
    def recover(
        self,
        last_event_of: Callable[[str], LastEvent | None] = lambda _: None,
        *,
        resume: bool = True,
        trains_elsewhere: Callable[[str, JobConfig], bool] = lambda *_: False,
        read_only: bool = False,
    ) -> list[str]:
        """Settle jobs that a previous process left running; return their ids.

        They end with the event of ``last_event_of``, or else are paused, unless they crashed too often.
        ``resume`` queues jobs paused by the end of a process before all others. It also queues the jobs for
        which ``trains_elsewhere`` (of id and config) is true: they keep training without this process.
        ``read_only`` leaves those unchanged. Without ``resume`` such a job resumes only on its own target.
        """
        rows = self._db.execute(
            f"""SELECT id, config FROM jobs WHERE status = 'running'
                AND json_extract(config, '$.{REPORTED}') IS NULL"""  # noqa: S608 - constant text
        ).fetchall()
        if read_only:
            rows = [row for row in rows if not trains_elsewhere(row[0], json.loads(row[1]))]
        for job_id, config in rows:
            if event := last_event_of(job_id):
                self.finish(job_id, event)
                continue
            if trains_elsewhere(job_id, json.loads(config)):
                resume_options: ResumeOptions = {"why": ENDED, "auto": True}
                if not resume:
                    resume_options["stand"] = True
                with transaction(self._db):
                    interruptions.queue_first(self._db, job_id, resume_options)
                self._changed(job_id)
                continue
            self.crashed(job_id, Crash(ENDED), "ended")
        for job_id in self.paused_for("ended") if resume else ():
            self.resume(job_id, ENDED, {"auto": True})
        return [job_id for job_id, _ in rows]

    # Interruptions

    def pause(self, job_id: str, event: TrainingPaused) -> None:
        """Pause a running job."""
        with transaction(self._db):
            self._pause(job_id, event)
        self._changed(job_id)

    def pause_at_resume_point(self, job_id: str, reason: str, message: str = "") -> None:
        """Pause a running job whose worker did not say at which step: at its newest resume point."""
        with transaction(self._db):
            self._pause(job_id, self._paused(job_id, reason, message))
        self._changed(job_id)

    def _paused(self, job_id: str, reason: str, message: str) -> TrainingPaused:
        (resumable,) = self._db.execute("SELECT resumable FROM jobs WHERE id = ?", (job_id,)).fetchone()
        event = TrainingPaused(type=TRAINING_PAUSED, step=resumable or 0, reason=reason)
        if message:
            event["message"] = message
        return event

    def _pause(self, job_id: str, event: TrainingPaused) -> None:
        (status,) = self._db.execute("SELECT status FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if status == "running":
            self._append(job_id, [event])
            pause = {name: value for name, value in event.items() if name != "type"}
            changed = (compact(pause), job_id)
            self._db.execute("UPDATE jobs SET status = 'paused', pause = ? WHERE id = ?", changed)

    def crashed(
        self, job_id: str, crash: Crash, pause: str | None
    ) -> Again | TrainingFailed | TrainingPaused:
        """Handle a worker that ended without a final message; return what becomes of the job.

        The job is queued before all others, or paused if the reason ``pause`` is given: both are `Again`.
        After too many crashes at a step it has failed, or is paused if it was killed.
        """
        outcome: Again | TrainingFailed | TrainingPaused
        with transaction(self._db):
            (metrics,) = self._db.execute("SELECT metrics FROM jobs WHERE id = ?", (job_id,)).fetchone()
            step = stored_object(metrics).get("step", 0)
            if interruptions.record_crash(self._db, job_id, step):
                if pause is None:
                    reason = crash.reason or (WAS_KILLED if crash.killed else CRASHED)
                    interruptions.queue_first(self._db, job_id, {"why": reason, "auto": True})
                else:
                    self._pause(job_id, self._paused(job_id, pause, ENDED if pause == "ended" else ""))
                outcome = Again(crash.error)
            else:
                error = f"{crash.error.removesuffix('.')}. That was the third time at step {step}"
                if crash.killed:
                    outcome = self._paused(job_id, KILLED, error)
                    self._pause(job_id, outcome)
                    interruptions.forget_crashes(self._db, job_id)
                else:
                    outcome = TrainingFailed(type=TRAINING_FAILED, error=error)
                    if crash.out_of_memory:
                        outcome["outOfMemory"] = True
                    self._finish(job_id, outcome)
        self._changed(job_id)
        return outcome

    def resume(
        self, job_id: str, reason: str, options: ResumeOptions, config: JobConfig | None = None
    ) -> Job:
        """Queue a job to resume from its newest resume point; return the job.

        ``reason`` is for the user. In ``options``, ``auto`` marks an automatic resume and ``unasked`` one
        that waits in a held queue; the rest is for the worker. ``config`` is its new config. Raises
        ConflictError if the job cannot resume.
        """
        with transaction(self._db):
            row = self._row(self._db, job_id)
            if row is None:
                raise NotFoundError(f"There is no job {job_id}")
            stored = self._sound(row)
            name, status, resumable = stored["name"], stored["status"], stored["resumable"]
            if status == "completed" and config is None:
                raise ConflictError(f"The job {name} is completed: extend it to continue")
            if status not in ("paused", *TERMINAL):
                raise ConflictError(f"The job {name} is {status}")
            if status != "paused" and resumable is None:
                raise ConflictError(f"The job {name} cannot resume: it has no saved state")
            if config is not None:
                self._db.execute("UPDATE jobs SET config = ? WHERE id = ?", (compact(config), job_id))
            interruptions.queue_first(self._db, job_id, {**options, "why": reason})
        self._changed(job_id)
        job = self._get(self._db, job_id)
        assert job
        return job

    def resume_options(self, job_id: str) -> ResumeOptions:
        """Return how a starting job resumes; without ``why``, it starts from the beginning.

        ``kept`` and ``sampled`` are added.
        """
        (resumable,) = self._reader.execute("SELECT resumable FROM jobs WHERE id = ?", (job_id,)).fetchone()
        resume_options = interruptions.resume_options_of(self._reader, job_id)
        if "why" not in resume_options:
            return resume_options
        return {
            **resume_options,
            "kept": resumable or 0,
            "sampled": interruptions.sampled_steps(self._reader, job_id),
        }

    def keep(self, job_id: str, step: int) -> None:
        """Record that a job can resume after ``step``."""
        self._db.execute("UPDATE jobs SET resumable = ? WHERE id = ?", (step, job_id))

    def create(
        self,
        name: str,
        config: Mapping[str, object],
        forecast: Forecast | None = None,
        parent: JobParent | None = None,
        job_id: str | None = None,
        sweep: JobSweep | None = None,
    ) -> Job:
        """Create a queued job, with its estimate if known.

        ``parent`` is its starting point, already copied to its folder; ``sweep`` is its `JobSweep`. If two
        commands choose the same number for a job's name, the second gets the next number.
        """
        job_id = job_id or new_id()
        if self._db.execute("SELECT 1 FROM jobs WHERE name = ?", (name,)).fetchone():
            name = next_if_taken(
                name, (name_of_other for (name_of_other,) in self._db.execute("SELECT name FROM jobs"))
            )
        self._db.execute(
            f"""INSERT INTO jobs (seq, id, name, status, config, created, forecast, parent, sweep)
                VALUES ({waiting.LAST}, ?, ?, 'queued', ?, ?, ?, ?, ?)""",  # noqa: S608 - constant text
            (
                job_id,
                name,
                compact(config),
                now(),
                *(
                    None if name_of_other is None else compact(name_of_other)
                    for name_of_other in (forecast, parent, sweep)
                ),
            ),
        )
        self._changed(job_id)
        job = self._get(self._db, job_id)
        assert job
        return job

    def import_job(
        self,
        job: JobRecord,
        events: Path | None,
        further_events: Sequence[Event] = (),
    ) -> Job:
        """Import a job that this list lacks, completely or not at all; return it.

        ``events`` is a database with a table of them: ``id``, ``name`` and ``data``. ``further_events`` are
        appended.
        """
        job_id = job["id"]
        times = (job["createdAt"], job.get("startedAt"), job.get("completedAt"))
        facts = (job_id, job["name"], job["status"], compact(job["config"]), job.get("error"))
        settings = compact(job["settings"]) if "settings" in job else None
        resumable, parent, evaluation = (job.get(field) for field in ("resumable", "parent", "evaluation"))
        further_facts = (
            resumable if type(resumable) is int and 0 < resumable < 1 << 62 else None,
            compact(parent) if _is_parent(parent) else None,
            compact(evaluation) if _is_evaluation(evaluation) else None,
            compact(job.get("metrics", {})),
            settings,
            job.get("notes", ""),
            compact(job.get("tags", [])),
            bool(job.get("starred")),
            compact(job["pause"]) if job["status"] == "paused" else None,
        )
        attached = self._attached(events) if events else contextlib.nullcontext()
        with attached, transaction(self._db):
            if self._row(self._db, job_id):
                raise ConflictError(f"The job {job_id} already exists here")
            self._db.execute("DELETE FROM removed WHERE job = ?", (job_id,))
            self._db.execute(
                f"""INSERT INTO jobs (seq, id, name, status, config, error, created, started, completed,
                        resumable, parent, evaluation, metrics, settings, notes, tags, starred, pause)
                    VALUES ({waiting.LAST}, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",  # noqa: S608 - constant text
                (*facts, *times, *further_facts),
            )
            if events:
                copied = "INSERT INTO events SELECT ?, id, name, data FROM other.events ORDER BY id"
                self._db.execute(copied, (job_id,))
            self._append(job_id, further_events)
        self._changed(job_id)
        imported = self._get(self._db, job_id)
        assert imported
        return imported

    @contextlib.contextmanager
    def _attached(self, path: Path) -> Iterator[None]:
        """Attach the database ``path`` as ``other.<table>``."""
        self._db.execute("ATTACH DATABASE ? AS other", (str(path),))
        try:
            yield
        finally:
            self._db.execute("DETACH DATABASE other")

    def start_next(
        self, excluded: Sequence[str] = (), only: str | None = None
    ) -> tuple[str, JobConfig] | None:
        """Start the next job not in ``excluded``, if it is ``only``; return id and config with secrets."""
        with transaction(self._db):
            next_job = waiting.first(self._db, excluded)
            next_job = next_job if next_job and only in (None, next_job[0]) else None
            if next_job:
                self._db.execute(
                    "UPDATE jobs SET status = 'running', started = coalesce(started, ?) WHERE id = ?",
                    (now(), next_job[0]),
                )
        if not next_job:
            return None
        self.waiting_reasons.pop(next_job[0], None)
        self._changed(next_job[0])
        return next_job[0], json.loads(next_job[1])

    def cancel_queued(self, job_id: str) -> bool:
        """Cancel a waiting or paused job; return False if it is running or has ended."""
        with transaction(self._db):
            row = self._db.execute("SELECT status FROM jobs WHERE id = ?", (job_id,)).fetchone()
            waits = row is not None and row[0] in ("queued", "paused")
            if waits:
                self._finish(job_id, TrainingCancelled(type=TRAINING_CANCELLED))
        self._changed(job_id)
        return waits

    def finish(self, job_id: str, event: LastEvent) -> None:
        """Append a job's last event and set its final status, atomically and only once."""
        with transaction(self._db):
            self._finish(job_id, event)
        self._changed(job_id)

    def _finish(self, job_id: str, event: LastEvent) -> None:
        status, metrics = self._db.execute(
            "SELECT status, metrics FROM jobs WHERE id = ?", (job_id,)
        ).fetchone()
        if status in TERMINAL:
            return
        metrics = stored_object(metrics)
        step = metrics.get("step")
        if event["type"] == TRAINING_COMPLETED:
            totals = event.get("metrics", {})
            if "peakBytes" in totals:
                metrics["peakBytes"] = totals["peakBytes"]
            if "gpuPeakBytes" in totals:
                metrics["gpuPeakBytes"] = totals["gpuPeakBytes"]
        elif step is not None:
            event = event.copy()
            event["step"] = step
        self._append(job_id, [event])
        self._thin_out(job_id)
        self._db.execute(
            """UPDATE jobs SET status = ?, error = ?, completed = ?, metrics = ?, pause = NULL
                WHERE id = ?""",
            (
                STATUSES[event["type"]],
                event["error"] if event["type"] == TRAINING_FAILED else None,
                event.get("timestamp", now()),
                compact(metrics),
                job_id,
            ),
        )
        options = interruptions.resume_options_of(self._db, job_id)
        interruptions.set_resume_options(self._db, job_id, interruptions.lasting_options(options))
