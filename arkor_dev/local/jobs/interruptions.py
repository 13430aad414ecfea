"""Interruptions of jobs in the database: which events become void, and how a job resumes.

A job that resumes after a step repeats every later event. The old ones are deleted in the transaction that
resumes it; their ids are never reused, so a reader who has seen them continues after them. How a job resumes
(``orders``) is stored until it ends.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.events import (
    CHECKPOINT_REMOVED,
    ENDINGS,
    SAMPLE_CREATED,
    SYSTEM_METRICS,
    TRAINING_PAUSED,
    TRAINING_STARTED,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

CRASHES: Final = 3
"""Most crashes of a job without reaching a new step."""
LASTING: Final = ("restart", "further")
"""Orders that apply for the rest of a job's life."""
BESIDE: Final = ("crashes", "mark")
"""Further values stored beside the orders until the job ends."""
LAST: Final = (1 << 63) - 1
"""Greater than every id."""
FIRST_PLACE: Final = """(SELECT min(coalesce(place, seq)) - 1 FROM jobs WHERE status IN ('queued', 'running')
    OR id = :job)"""


def drop_after(db: sqlite3.Connection, job_id: str, step: int) -> None:
    """Delete events about steps after ``step``, an end or a pause; all events if it is 0.

    Events without a step that follow the last remaining one are deleted, too, since they concern repeated
    work, such as the comparison of the final adapter with its base.
    """
    if step == 0:
        db.execute("DELETE FROM events WHERE job = ?", (job_id,))
        return
    over = (TRAINING_PAUSED, *ENDINGS.values())
    (place,) = db.execute(
        f"""SELECT min(id) FROM events WHERE job = ? AND (name IN ({", ".join("?" * len(over))})
            OR json_extract(data, '$.step') > ?)""",  # noqa: S608 - question marks
        (job_id, *over, step),
    ).fetchone()
    # Machine samples come from another thread and may mention a later step than everything else.
    (stays,) = db.execute(
        """SELECT max(id) FROM events WHERE job = ? AND name != ? AND json_extract(data, '$.step') <= ?
            AND id < ?""",
        (job_id, SYSTEM_METRICS, step, LAST if place is None else place),
    ).fetchone()
    place = place if stays is None else stays + 1
    if place is not None:
        db.execute(
            """DELETE FROM events WHERE job = ? AND id >= ? AND name != ?
                AND NOT (name = ? AND json_extract(data, '$.step') <= ?)""",
            (job_id, place, TRAINING_STARTED, CHECKPOINT_REMOVED, step),
        )


def sampled_steps(db: sqlite3.Connection, job_id: str) -> list[int]:
    """Return the steps after which the sample prompts have been answered, 0 for the base, ascending."""
    found = db.execute(
        "SELECT DISTINCT json_extract(data, '$.step') FROM events WHERE job = ? AND name = ?",
        (job_id, SAMPLE_CREATED),
    )
    return sorted(step for (step,) in found if isinstance(step, int))


def orders_of(db: sqlite3.Connection, job_id: str) -> dict[str, Any]:
    """Return how a job resumes; empty for one that was not interrupted."""
    found = db.execute("SELECT resume FROM jobs WHERE id = ?", (job_id,)).fetchone()
    orders: dict[str, Any] = json.loads(found[0]) if found and found[0] else {}
    return orders


def set_orders(db: sqlite3.Connection, job_id: str, orders: Mapping[str, Any]) -> None:
    """Store how a job resumes."""
    text = json.dumps(orders) if orders else None
    db.execute("UPDATE jobs SET resume = ? WHERE id = ?", (text, job_id))


def queue_first(db: sqlite3.Connection, job_id: str, orders: Mapping[str, Any]) -> None:
    """Put a job first in the queue, to resume as ``orders`` say."""
    lasting = {key: value for key, value in orders_of(db, job_id).items() if key in (*LASTING, *BESIDE)}
    set_orders(db, job_id, {**lasting, **orders})
    db.execute(
        f"""UPDATE jobs SET status = 'queued', place = {FIRST_PLACE}, pause = NULL, error = NULL,
            completed = NULL, evaluation = NULL WHERE id = :job""",  # noqa: S608 - constant text
        {"job": job_id},
    )


def crashes_again(db: sqlite3.Connection, job_id: str, step: int) -> bool:
    """Record that a job's process crashed at ``step``; return whether to try again."""
    orders = orders_of(db, job_id)
    furthest, count = orders.get("crashes", (-1, 0))
    count = 1 if step > furthest else count + 1
    set_orders(db, job_id, {**orders, "crashes": [max(step, furthest), count]})
    return bool(count < CRASHES)
