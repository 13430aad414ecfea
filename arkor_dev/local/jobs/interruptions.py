"""Interruptions of jobs in the database: which events become void, and how a job resumes.

A job that resumes after a step repeats every later event. The old ones are deleted in the transaction that
resumes it; their ids are never reused, so a reader who has seen them continues after them. How a job resumes
(its resume options) is stored until it ends.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.events import (
    CHECKPOINT_REMOVED,
    ENDINGS,
    SAMPLE_CREATED,
    SYSTEM_METRICS,
    TRAINING_PAUSED,
    TRAINING_STARTED,
)
from arkor_dev.local.execution.messages import ResumeOptions

from .database import stored_as

if TYPE_CHECKING:
    import sqlite3

CRASHES: Final = 3
"""Maximum number of crashes of a job without reaching a new step."""
LAST: Final = (1 << 63) - 1
"""Greater than any id."""
FIRST_PLACE: Final = """(SELECT min(coalesce(place, seq)) - 1 FROM jobs WHERE status IN ('queued', 'running')
    OR id = :job)"""


def drop_after(db: sqlite3.Connection, job_id: str, step: int) -> None:
    """Delete events about steps after ``step``, and any end or pause; all events if ``step`` is 0.

    Later events without a step are deleted, too, since they concern repeated work, such as the comparison of
    the final adapter with its base.
    """
    if step == 0:
        db.execute("DELETE FROM events WHERE job = ?", (job_id,))
        return
    endings = (TRAINING_PAUSED, *ENDINGS.values())
    (first_void,) = db.execute(
        f"""SELECT min(id) FROM events WHERE job = ? AND (name IN ({", ".join("?" * len(endings))})
            OR json_extract(data, '$.step') > ?)""",  # noqa: S608 - question marks
        (job_id, *endings, step),
    ).fetchone()
    # Machine samples come from another thread and may mention a later step than all other events.
    (last_valid,) = db.execute(
        """SELECT max(id) FROM events WHERE job = ? AND name != ? AND json_extract(data, '$.step') <= ?
            AND id < ?""",
        (job_id, SYSTEM_METRICS, step, LAST if first_void is None else first_void),
    ).fetchone()
    first_void = first_void if last_valid is None else last_valid + 1
    if first_void is not None:
        db.execute(
            """DELETE FROM events WHERE job = ? AND id >= ? AND name != ?
                AND NOT (name = ? AND json_extract(data, '$.step') <= ?)""",
            (job_id, first_void, TRAINING_STARTED, CHECKPOINT_REMOVED, step),
        )


def sampled_steps(db: sqlite3.Connection, job_id: str) -> list[int]:
    """Return the steps after which the sample prompts were answered, ascending; 0 is the base model."""
    rows = db.execute(
        "SELECT DISTINCT json_extract(data, '$.step') FROM events WHERE job = ? AND name = ?",
        (job_id, SAMPLE_CREATED),
    )
    return sorted(step for (step,) in rows if isinstance(step, int))


def resume_options_of(db: sqlite3.Connection, job_id: str) -> ResumeOptions:
    """Return how a job resumes; empty for a job that was not interrupted."""
    row = db.execute("SELECT resume FROM jobs WHERE id = ?", (job_id,)).fetchone()
    return stored_as(ResumeOptions, row[0]) if row else {}


def set_resume_options(db: sqlite3.Connection, job_id: str, options: ResumeOptions) -> None:
    """Store how a job resumes."""
    text = json.dumps(options) if options else None
    db.execute("UPDATE jobs SET resume = ? WHERE id = ?", (text, job_id))


def lasting_options(options: ResumeOptions) -> ResumeOptions:
    """Return the options that apply for the rest of a job's life."""
    lasting: ResumeOptions = {}
    if "restart" in options:
        lasting["restart"] = options["restart"]
    if "further" in options:
        lasting["further"] = options["further"]
    return lasting


def queue_first(db: sqlite3.Connection, job_id: str, options: ResumeOptions) -> None:
    """Put a job first in the queue, to resume with ``options``."""
    earlier = resume_options_of(db, job_id)
    lasting = lasting_options(earlier)
    if "crashes" in earlier:
        lasting["crashes"] = earlier["crashes"]
    if "mark" in earlier:
        lasting["mark"] = earlier["mark"]
    set_resume_options(db, job_id, {**lasting, **options})
    db.execute(
        f"""UPDATE jobs SET status = 'queued', place = {FIRST_PLACE}, pause = NULL, error = NULL,
            completed = NULL, evaluation = NULL WHERE id = :job""",  # noqa: S608 - constant text
        {"job": job_id},
    )


def record_crash(db: sqlite3.Connection, job_id: str, step: int) -> bool:
    """Record that a job's process crashed at ``step``; return whether to retry."""
    options = resume_options_of(db, job_id)
    furthest, count = options.get("crashes", [-1, 0])
    count = 1 if step > furthest else count + 1
    set_resume_options(db, job_id, {**options, "crashes": [max(step, furthest), count]})
    return count < CRASHES


def forget_crashes(db: sqlite3.Connection, job_id: str) -> None:
    """Let a job that a person resumes crash as often as any other."""
    options = resume_options_of(db, job_id)
    options.pop("crashes", None)
    set_resume_options(db, job_id, options)
