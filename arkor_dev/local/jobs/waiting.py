"""The jobs that wait: in which order, who is behind whom, and whether any of them may start.

They start by age unless a person has said otherwise: a job that was given a place has it in ``place``, which
counts like the age (``seq``) of a job that was not. A new order shares out the places that its jobs have
already, so a job that comes later is behind all of them, and no two that wait have the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.errors import NotFoundError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

PLACE: Final = "coalesce(place, seq)"
LAST: Final = """(SELECT 1 + max(
    ifnull((SELECT max(seq) FROM jobs), 0), ifnull((SELECT max(place) FROM jobs WHERE place IS NOT NULL), 0)
))"""
"""The age of a new job: behind every other, also where those that gave away their places are deleted."""
HELD: Final = "queueHeld"


def is_held(db: sqlite3.Connection) -> bool:
    """Whether no waiting job may start until a person says so."""
    return db.execute("SELECT 1 FROM meta WHERE key = ?", (HELD,)).fetchone() is not None


def hold(db: sqlite3.Connection, held: bool) -> None:
    """Hold the queue, or let it go on; a later process finds it as it was left."""
    if held:
        db.execute("INSERT OR REPLACE INTO meta VALUES (?, '1')", (HELD,))
    else:
        db.execute("DELETE FROM meta WHERE key = ?", (HELD,))


def first(db: sqlite3.Connection, but: Sequence[str] = ()) -> tuple[str, str] | None:
    """The id and the config, as JSON, of the job that may start now, those of ``but`` left out."""
    # One that was running, and goes on by itself, does not wait for a queue that is held.
    which = "AND json_extract(resume, '$.auto')" if is_held(db) else ""
    found: tuple[str, str] | None = db.execute(
        f"""SELECT id, config FROM jobs WHERE status = 'queued' {which}
            AND id NOT IN ({", ".join("?" * len(but))}) ORDER BY {PLACE} LIMIT 1""",  # noqa: S608 - constant text
        tuple(but),
    ).fetchone()
    return found


def queue(db: sqlite3.Connection) -> dict[str, Any]:
    """The contract's ``Queue``: ``{held, order}``, the ids of the waiting jobs, the next one first."""
    return {"held": is_held(db), "order": list(places(db))}


def arrange(db: sqlite3.Connection, order: Sequence[str]) -> None:
    """Put the jobs ``order`` first, in this order. Those of them that wait no more are passed over.

    Raises ``NotFoundError`` for a job that there is not. The writer's connection, within a transaction.
    """
    rows = db.execute(f"SELECT id, {PLACE} FROM jobs WHERE status = 'queued' ORDER BY {PLACE}").fetchall()  # noqa: S608 - constant text
    waits = dict(rows)
    for job_id in order:
        known = job_id in waits or db.execute("SELECT 1 FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if not known:
            raise NotFoundError(f"There is no job {job_id}")
    # A dict keeps each id at its first place.
    wanted = dict.fromkeys([*(job_id for job_id in order if job_id in waits), *waits])
    db.executemany("UPDATE jobs SET place = ? WHERE id = ?", zip(waits.values(), wanted, strict=True))


def place(db: sqlite3.Connection, job_id: str) -> dict[str, Any] | None:
    """The contract's ``queue`` of one job: where it waits and for which, or None when it waits no more."""
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
    """:func:`place` of every waiting job, the next one first."""
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
