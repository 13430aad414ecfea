"""The queue of waiting jobs: its order, each job's position, and whether any may start.

Jobs start by age unless a person has reordered them: a reordered job has a position in ``place``, comparable
with the age (``seq``) of the others. Reordering redistributes the positions of its jobs, so that later jobs
come after all of them and positions are unique. Jobs of a sweep wait while any other job does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import NotFoundError
from arkor_dev.contract.shapes import QueuedBehind, QueuePlace

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from arkor_dev.contract.shapes import Queue

OWN_PLACE: Final = "coalesce(place, seq)"
RANK: Final = f"({OWN_PLACE} + (sweep IS NOT NULL) * (1 << 50))"
LAST: Final = """(SELECT 1 + max(
    ifnull((SELECT max(seq) FROM jobs), 0), ifnull((SELECT max(place) FROM jobs WHERE place IS NOT NULL), 0)
))"""
"""Age of a new job: after every other, even if jobs that were moved ahead are deleted."""
HELD_KEY: Final = "queueHeld"


def is_held(db: sqlite3.Connection) -> bool:
    """Return whether the queue is held, so that no job starts."""
    return db.execute("SELECT 1 FROM meta WHERE key = ?", (HELD_KEY,)).fetchone() is not None


def hold(db: sqlite3.Connection, held: bool) -> None:
    """Hold or release the queue, across restarts."""
    if held:
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, '1')", (HELD_KEY,))
    else:
        db.execute("DELETE FROM meta WHERE key = ?", (HELD_KEY,))


def first(db: sqlite3.Connection, excluded: Sequence[str] = ()) -> tuple[str, str] | None:
    """Return id and config (JSON) of the next job that may start, except those in ``excluded``."""
    # A job that resumes automatically after running does not wait for a held queue.
    condition = "AND json_extract(resume, '$.auto')" if is_held(db) else ""
    row: tuple[str, str] | None = db.execute(
        f"""SELECT id, config FROM jobs WHERE status = 'queued' {condition}
            AND id NOT IN ({", ".join("?" * len(excluded))}) ORDER BY {RANK} LIMIT 1""",  # noqa: S608 - constant text
        tuple(excluded),
    ).fetchone()
    return row


def queue(db: sqlite3.Connection) -> Queue:
    """Return whether the queue is held, and the ids of waiting jobs, next one first."""
    return {"held": is_held(db), "order": list(queue_positions(db))}


def arrange(db: sqlite3.Connection, job_ids: Sequence[str]) -> None:
    """Move the jobs ``job_ids`` to the front, in this order, ignoring those that are not waiting.

    Raises ``NotFoundError`` for an unknown job. Uses the writer's connection, within a transaction.
    """
    rows = db.execute(
        f"""SELECT id, {OWN_PLACE}, sweep IS NOT NULL FROM jobs WHERE status = 'queued' ORDER BY {RANK}"""  # noqa: S608 - constant text
    ).fetchall()
    place_of = {job_id: position for job_id, position, _ in rows}
    of_sweep = {job_id: bool(behind) for job_id, _, behind in rows}
    for job_id in job_ids:
        exists = job_id in place_of or db.execute("SELECT 1 FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if not exists:
            raise NotFoundError(f"There is no job {job_id}")
    # A dict keeps each id at its first position.
    new_order = dict.fromkeys([*(job_id for job_id in job_ids if job_id in place_of), *place_of])
    placed = zip(sorted(place_of.values()), sorted(new_order, key=of_sweep.__getitem__), strict=True)
    db.executemany("UPDATE jobs SET place = ? WHERE id = ?", placed)


def queue_position(db: sqlite3.Connection, job_id: str) -> QueuePlace | None:
    """Return a job's place in the queue: its position and the job before it; None if not waiting."""
    row = db.execute(f"SELECT {RANK} FROM jobs WHERE id = ? AND status = 'queued'", (job_id,)).fetchone()  # noqa: S608 - constant text
    if row is None:
        return None
    before = f"FROM jobs WHERE status = 'queued' AND {RANK} < ?"
    (jobs_ahead,) = db.execute(f"SELECT count(*) {before}", row).fetchone()
    if jobs_ahead:
        last = db.execute(f"SELECT id, name {before} ORDER BY {RANK} DESC LIMIT 1", row)
    else:
        last = db.execute("SELECT id, name FROM jobs WHERE status = 'running' ORDER BY seq DESC LIMIT 1")
    job_before = last.fetchone()
    behind = QueuedBehind(id=job_before[0], name=job_before[1]) if job_before else None
    return _place(jobs_ahead + 1, behind, held=is_held(db))


def _place(position: int, behind: QueuedBehind | None, *, held: bool) -> QueuePlace:
    place = QueuePlace(position=position, behind=behind)
    if held:
        place["held"] = True
    return place


def queue_positions(db: sqlite3.Connection) -> dict[str, QueuePlace]:
    """Return the `queue_position` of every waiting job, next one first."""
    rows = db.execute(
        f"""SELECT id, name, status FROM jobs WHERE status IN ('queued', 'running')
            ORDER BY status = 'queued', {RANK}"""  # noqa: S608 - constant text
    )
    held = is_held(db)
    positions: dict[str, QueuePlace] = {}
    job_before: QueuedBehind | None = None
    for job_id, name, status in rows:
        if status == "queued":
            positions[job_id] = _place(len(positions) + 1, job_before, held=held)
        job_before = {"id": job_id, "name": name}
    return positions
