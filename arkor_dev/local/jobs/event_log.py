"""The jobs' events: appended in order, with the job's metrics updated, and readable from any position.

With write-ahead logging a commit is a plain append, cheap enough to do before readers are notified: what a
reader has seen is on its way to disk, and killing this process loses nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from arkor_dev.contract.events import (
    EVALUATION_COMPLETED,
    SYSTEM_METRICS,
    TRAINING_LOG,
    TRAINING_PHASE,
    TRAINING_RESUMED,
    TRAINING_STARTED,
)
from arkor_dev.contract.shapes import TERMINAL

from . import interruptions
from .database import stored_as, stored_object, transaction
from .job_row import StoredMetrics
from .records import Records, compact, now

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from arkor_dev.contract.events import Event, TrainingLog, TrainingPhase
    from arkor_dev.contract.shapes import Evaluation


MOST_SAMPLES: Final = 2000
"""Maximum number of ``system.metrics`` events kept of an ended job: an hour's worth, or every nth."""


class EventLog(Records):
    """The jobs of one project, with their events."""

    def append(
        self, job_id: str, events: Sequence[Event], resumable: int | None = None, mark: str | None = None
    ) -> None:
        """Append events in one commit, and update the job's metrics and settings.

        The same commit stores ``resumable``, the step from which the job can resume, and ``mark``, the
        position in its worker's messages: a reader who continues from it misses and repeats nothing.
        """
        with transaction(self._db):
            last = self._last(job_id)
            for number, event in enumerate(events):
                if event["type"] == TRAINING_RESUMED:
                    self._append(job_id, events[:number])
                    last = self._last(job_id)
                    interruptions.drop_after(self._db, job_id, event["step"])
                    self._measure_anew(job_id)
                    events = events[number:]
                    break
            self._append(job_id, events, last)
            self._measure(job_id, events)
            if resumable is not None:
                self._db.execute("UPDATE jobs SET resumable = ? WHERE id = ?", (resumable, job_id))
            if mark is not None:
                options = interruptions.resume_options_of(self._db, job_id)
                interruptions.set_resume_options(self._db, job_id, {**options, "mark": mark})
        self._changed(job_id)

    def _last(self, job_id: str) -> int:
        return self._db.execute("SELECT max(id) FROM events WHERE job = ?", (job_id,)).fetchone()[0] or 0

    def _append(self, job_id: str, events: Iterable[Event], last: int | None = None) -> None:
        """Append events after the id ``last``, even if that event was deleted."""
        last = self._last(job_id) if last is None else last
        moment = now()
        self._db.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?)",
            [
                (job_id, last + n, event["type"], compact({"timestamp": moment, **event, "jobId": job_id}))
                for n, event in enumerate(events, 1)
            ],
        )

    def _measure_anew(self, job_id: str) -> None:
        """Recompute the job's metrics from its events."""
        rows = self._db.execute(
            "SELECT data FROM events WHERE job = ? AND name IN (?, ?) ORDER BY id",
            (job_id, TRAINING_STARTED, TRAINING_LOG),
        )
        events = [event for (data,) in rows if (event := stored_event(data))]
        self._db.execute("UPDATE jobs SET metrics = '{}' WHERE id = ?", (job_id,))
        self._measure(job_id, events)

    def _measure(self, job_id: str, events: Iterable[Event]) -> None:
        row = self._db.execute("SELECT metrics FROM jobs WHERE id = ?", (job_id,)).fetchone()
        metrics = stored_as(StoredMetrics, row[0])
        for event in events:
            if event["type"] == TRAINING_STARTED:
                metadata = event.get("metadata", {})
                if "totalSteps" in metadata:  # a reported run may not know it
                    metrics["totalSteps"] = metadata["totalSteps"]
                if (settings := metadata.get("settings")) is not None:
                    changed = (compact(settings), job_id)
                    self._db.execute("UPDATE jobs SET settings = ? WHERE id = ?", changed)
            elif event["type"] == TRAINING_PHASE:
                phase = metrics.get("phase")
                since = phase.get("since") if phase and phase["name"] == event["phase"] else None
                metrics["phase"] = {"name": event["phase"], "since": since or now()}
                _estimate(metrics, event)
            elif event["type"] == TRAINING_LOG:
                metrics["step"] = event["step"]
                if "loss" in event:
                    metrics["loss"] = event["loss"]
                if "evalLoss" in event:
                    metrics["evalLoss"] = event["evalLoss"]
                if (loss := event.get("evalLoss")) is not None:
                    best = metrics.get("bestEvalLoss")
                    metrics["bestEvalLoss"] = loss if best is None else min(loss, best)
                _estimate(metrics, event)
            elif event["type"] == EVALUATION_COMPLETED:
                self._keep_evaluation(job_id, event["evaluation"])
        self._db.execute("UPDATE jobs SET metrics = ? WHERE id = ?", (compact(metrics), job_id))

    def keep_evaluation(self, job_id: str, evaluation: Evaluation) -> None:
        """Store the comparison of a job's final adapter with its base; ignore a deleted job."""
        self._keep_evaluation(job_id, evaluation)
        self._changed(job_id)

    def _keep_evaluation(self, job_id: str, evaluation: Evaluation) -> None:
        self._db.execute("UPDATE jobs SET evaluation = ? WHERE id = ?", (compact(evaluation), job_id))

    def _thin_out(self, job_id: str) -> None:
        """Keep every nth of a job's samples of machine metrics, at most ``MOST_SAMPLES``."""
        of_job = (job_id, SYSTEM_METRICS)
        (count,) = self._db.execute(
            "SELECT count(*) FROM events WHERE job = ? AND name = ?", of_job
        ).fetchone()
        every = -(-count // MOST_SAMPLES)
        if every > 1:
            self._db.execute(
                """DELETE FROM events WHERE job = :job AND id IN (
                    SELECT id FROM (
                        SELECT id, row_number() OVER (ORDER BY id) AS place FROM events
                        WHERE job = :job AND name = :name
                    ) WHERE place % :every <> 1
                )""",
                {"job": job_id, "name": SYSTEM_METRICS, "every": every},
            )

    def events(self, job_id: str, after: int, limit: int) -> list[tuple[int, str, str]]:
        """Return at most ``limit`` events after the id ``after``: id, name, data as JSON text."""
        return self._reader.execute(
            "SELECT id, name, data FROM events WHERE job = ? AND id > ? ORDER BY id LIMIT ?",
            (job_id, after, limit),
        ).fetchall()

    def read_events(self, job_id: str, after: int, limit: int) -> tuple[bool, list[tuple[int, str, str]]]:
        """Return whether the job has ended, and its ``events``, read in this order so that none is missed."""
        is_over = self.is_over(job_id)
        return is_over, self.events(job_id, after, limit)

    def last_event(self, job_id: str) -> int:
        """Return the id of a job's newest event, 0 without any."""
        row = self._reader.execute("SELECT max(id) FROM events WHERE job = ?", (job_id,)).fetchone()
        return row[0] or 0

    def newest(self, job_id: str, name: str) -> list[Event]:
        rows = self._reader.execute(
            "SELECT data FROM events WHERE job = ? AND name = ? ORDER BY id DESC LIMIT 1", (job_id, name)
        )
        return [event for (data,) in rows.fetchall() if (event := stored_event(data))]

    def is_over(self, job_id: str) -> bool:
        """Return whether a job has its final status, and so its last event."""
        row = self._reader.execute("SELECT status FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return row is None or row[0] in TERMINAL


def stored_event(data: object) -> Event | None:
    """Return an event that was appended, from its JSON; None if that is damaged."""
    fields = stored_object(data)
    return cast("Event", fields) if fields else None


def _estimate(metrics: StoredMetrics, event: TrainingPhase | TrainingLog) -> None:
    """Record the estimated end of the job, if an event has one."""
    if "secondsLeft" in event and (phase := metrics.get("phase")):
        phase["secondsLeft"], phase["estimatedAt"] = event["secondsLeft"], now()
