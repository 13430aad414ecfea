"""The queue of waiting jobs: its order, who waits behind whom, and whether any may start.

Jobs start by age unless a person has reordered them: a reordered job has a position in ``place``, comparable
with the age (``seq``) of the others. A new order redistributes the positions of its jobs, so that later jobs
come after all of them and positions are unique. Jobs of a sweep wait until no other job does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.errors import NotFoundError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

OWN_PLACE: Final = "coalesce(place, seq)"
PLACE: Final = f"({OWN_PLACE} + (sweep IS NOT NULL) * (1 << 50))"
LAST: Final = """(SELECT 1 + max(
    ifnull((SELECT max(seq) FROM jobs), 0), ifnull((SELECT max(place) FROM jobs WHERE place IS NOT NULL), 0)
))"""
"""Age of a new job: after every other, even if jobs that gave up their positions are deleted."""
HELD: Final = "queueHeld"


def is_held(db: sqlite3.Connection) -> bool:
    """Return whether the queue is held, so that no job starts."""
    return db.execute("SELECT 1 FROM meta WHERE key = ?", (HELD,)).fetchone() is not None


def hold(db: sqlite3.Connection, held: bool) -> None:
    """Hold or release the queue, across restarts."""
    if held:
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, '1')", (HELD,))
    else:
        db.execute("DELETE FROM meta WHERE key = ?", (HELD,))


def first(db: sqlite3.Connection, but: Sequence[str] = ()) -> tuple[str, str] | None:
    """Return id and config (JSON) of the next job that may start, except those in ``but``."""
    # A job that resumes by itself after running does not wait for a held queue.
    which = "AND json_extract(resume, '$.auto')" if is_held(db) else ""
    found: tuple[str, str] | None = db.execute(
        f"""SELECT id, config FROM jobs WHERE status = 'queued' {which}
            AND id NOT IN ({", ".join("?" * len(but))}) ORDER BY {PLACE} LIMIT 1""",  # noqa: S608 - constant text
        tuple(but),
    ).fetchone()
    return found


def queue(db: sqlite3.Connection) -> dict[str, Any]:
    """Return the contract's ``Queue``: ``{held, order}``, the ids of waiting jobs, next one first."""
    return {"held": is_held(db), "order": list(places(db))}


def arrange(db: sqlite3.Connection, order: Sequence[str]) -> None:
    """Move the jobs ``order`` to the front, in this order, ignoring those that no longer wait.

    Raises ``NotFoundError`` for an unknown job. Uses the writer's connection, within a transaction.
    """
    rows = db.execute(
        f"""SELECT id, {OWN_PLACE}, sweep IS NOT NULL FROM jobs WHERE status = 'queued' ORDER BY {PLACE}"""  # noqa: S608 - constant text
    ).fetchall()
    waits = {job_id: place for job_id, place, _ in rows}
    of_sweep = {job_id: bool(behind) for job_id, _, behind in rows}
    for job_id in order:
        known = job_id in waits or db.execute("SELECT 1 FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if not known:
            raise NotFoundError(f"There is no job {job_id}")
    # A dict keeps each id at its first position.
    wanted = dict.fromkeys([*(job_id for job_id in order if job_id in waits), *waits])
    placed = zip(sorted(waits.values()), sorted(wanted, key=of_sweep.__getitem__), strict=True)
    db.executemany("UPDATE jobs SET place = ? WHERE id = ?", placed)


def place(db: sqlite3.Connection, job_id: str) -> dict[str, Any] | None:
    """Return the contract's ``queue`` of a job: its position and the job before it; None if it does not
    wait.
    """
    found = db.execute(f"SELECT {PLACE} FROM jobs WHERE id = ? AND status = 'queued'", (job_id,)).fetchone()  # noqa: S608 - constant text
    if found is None:
        return None
    before = f"FROM jobs WHERE status = 'queued' AND {PLACE} < ?"
    (ahead,) = db.execute(f"SELECT count(*) {before}", found).fetchone()
    if ahead:
        last = db.execute(f"SELECT id, name {before} ORDER BY {PLACE} DESC LIMIT 1", found)
    else:
        last = db.execute("SELECT id, name FROM jobs WHERE status = 'running' ORDER BY seq DESC LIMIT 1")
    behind = last.fetchone()
    held = {"held": True} if is_held(db) else {}
    return {
        "position": ahead + 1,
        "behind": {"id": behind[0], "name": behind[1]} if behind else None,
        **held,
    }


def places(db: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    """Return :func:`place` of every waiting job, next one first."""
    rows = db.execute(
        f"""SELECT id, name, status FROM jobs WHERE status IN ('queued', 'running')
            ORDER BY status = 'queued', {PLACE}"""  # noqa: S608 - constant text
    )
    held = {"held": True} if is_held(db) else {}
    found: dict[str, dict[str, Any]] = {}
    before: dict[str, str] | None = None
    for job_id, name, status in rows:
        if status == "queued":
            found[job_id] = {"position": len(found) + 1, "behind": before, **held}
        before = {"id": job_id, "name": name}
    return found
