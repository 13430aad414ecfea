"""The SQLite file of the jobs: its tables, its connections, and all or nothing."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    config TEXT NOT NULL,
    error TEXT,
    created TEXT NOT NULL,
    started TEXT,
    completed TEXT,
    metrics TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS jobs_unfinished ON jobs (status, seq) WHERE status IN ('queued', 'running');
CREATE TABLE IF NOT EXISTS events (
    job TEXT NOT NULL,
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (job, id)
) WITHOUT ROWID;
"""
BUSY_MILLISECONDS: Final = 250
"""How long one attempt to write waits for another program's lock; whoever writes tries again."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection that any one thread may use at a time."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def open_database(path: Path) -> sqlite3.Connection:
    """A connection for writing, the tables made if need be; raises :class:`sqlite3.Error`."""
    db = connect(path)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.executescript(SCHEMA)
    return db


class transaction:  # noqa: N801 - reads as the statement it is
    """All or nothing, ``with`` the database."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *rest: object) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:  # a COMMIT may fail as well, on a full disk
                self._db.execute("ROLLBACK")
