"""What the data base knows of a job's interruptions: what of its events counts no more, and how it goes on.

A job that goes on after a step has every later event made again. Those that were there are deleted in the
transaction that says so; their ids are never used again, so that a reader which has seen them goes on behind
them. How a job is to go on (``orders``) is kept until it is over.
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
"""So often a job may crash without a step that it had not come to before."""
LASTING: Final = ("restart", "further")
"""Orders that hold for the rest of a job's life."""
BESIDE: Final = ("crashes", "mark")
"""What is kept beside the orders until the job is over."""
LAST: Final = (1 << 63) - 1
"""Behind every id."""
FIRST_PLACE: Final = """(SELECT min(coalesce(place, seq)) - 1 FROM jobs WHERE status IN ('queued', 'running')
    OR id = :job)"""


def drop_after(db: sqlite3.Connection, job_id: str, step: int) -> None:
    """Delete what was said of steps after ``step``, and of an end or a pause; all there is where it is 0.

    What has no step and came behind the last event that stays goes as well: it was said of what is made
    again, such as how the finished adapter compares with its base.
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
    # Samples of the machine come from another thread, and may tell of a step later than all else.
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
    """The steps after which a job's sample prompts have been answered, 0 for the base, ascending."""
    found = db.execute(
        "SELECT DISTINCT json_extract(data, '$.step') FROM events WHERE job = ? AND name = ?",
        (job_id, SAMPLE_CREATED),
    )
    return sorted(step for (step,) in found if isinstance(step, int))


def orders_of(db: sqlite3.Connection, job_id: str) -> dict[str, Any]:
    """How a job is to go on; empty for one that has not been interrupted."""
    found = db.execute("SELECT resume FROM jobs WHERE id = ?", (job_id,)).fetchone()
    orders: dict[str, Any] = json.loads(found[0]) if found and found[0] else {}
    return orders


def set_orders(db: sqlite3.Connection, job_id: str, orders: Mapping[str, Any]) -> None:
    """Note how a job is to go on."""
    text = json.dumps(orders) if orders else None
    db.execute("UPDATE jobs SET resume = ? WHERE id = ?", (text, job_id))


def queue_first(db: sqlite3.Connection, job_id: str, orders: Mapping[str, Any]) -> None:
    """Let a job wait before all others, to go on as ``orders`` say."""
    lasting = {key: value for key, value in orders_of(db, job_id).items() if key in (*LASTING, *BESIDE)}
    set_orders(db, job_id, {**lasting, **orders})
    db.execute(
        f"""UPDATE jobs SET status = 'queued', place = {FIRST_PLACE}, pause = NULL, error = NULL,
            completed = NULL, evaluation = NULL WHERE id = :job""",  # noqa: S608 - constant text
        {"job": job_id},
    )


def crashes_again(db: sqlite3.Connection, job_id: str, step: int) -> bool:
    """Note that a job's process crashed at ``step``; whether it may be tried once more."""
    orders = orders_of(db, job_id)
    furthest, count = orders.get("crashes", (-1, 0))
    count = 1 if step > furthest else count + 1
    set_orders(db, job_id, {**orders, "crashes": [max(step, furthest), count]})
    return bool(count < CRASHES)
