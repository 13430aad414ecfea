"""The SQLite file of the jobs: its format and the steps to it, its connections, and all or nothing.

``PRAGMA user_version`` counts the format. An older file is copied, then brought to this version's format in
one transaction: it is the old one or the new one after any kind of end. A newer file is refused and not
written to.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from typing import TYPE_CHECKING, Final

from arkor_dev import __version__

from .job_folder import job_ids

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger(__name__)

DATABASE: Final = "backend.sqlite"
"""Its name in the data folder."""
STEPS: Final[tuple[tuple[str, ...], ...]] = (
    # To 1. Files of version 0, which did not count, have these tables already.
    (
        "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE IF NOT EXISTS jobs (
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
        )""",
        """CREATE INDEX IF NOT EXISTS jobs_unfinished ON jobs (status, seq)
            WHERE status IN ('queued', 'running')""",
        """CREATE TABLE IF NOT EXISTS events (
            job TEXT NOT NULL,
            id INTEGER NOT NULL,
            name TEXT NOT NULL,
            data TEXT NOT NULL,
            PRIMARY KEY (job, id)
        ) WITHOUT ROWID""",
    ),
    # To 2: what a job ran with, defaults included, as JSON.
    ("ALTER TABLE jobs ADD COLUMN settings TEXT",),
    # To 3: what a person says of a job (tags: a JSON list), its place among those that wait where that is not
    # by age, and the jobs that were deleted and whose files have not all left the disk.
    (
        "ALTER TABLE jobs ADD COLUMN notes TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE jobs ADD COLUMN tags TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE jobs ADD COLUMN starred INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE jobs ADD COLUMN place INTEGER",
        "CREATE INDEX jobs_placed ON jobs (place) WHERE place IS NOT NULL",
        "CREATE INDEX jobs_waiting ON jobs (coalesce(place, seq)) WHERE status = 'queued'",
        "CREATE TABLE removed (job TEXT PRIMARY KEY) WITHOUT ROWID",
    ),
    # To 4: what was forecast of a job when it was made, as JSON.
    ("ALTER TABLE jobs ADD COLUMN forecast TEXT",),
    # To 5, as JSON: where a job is paused and why, how one that was interrupted goes on, the checkpoint that
    # it began from, how its adapter compares with its base. And the newest step that it could go on after.
    (
        "ALTER TABLE jobs ADD COLUMN pause TEXT",
        "ALTER TABLE jobs ADD COLUMN resume TEXT",
        "ALTER TABLE jobs ADD COLUMN parent TEXT",
        "ALTER TABLE jobs ADD COLUMN evaluation TEXT",
        "ALTER TABLE jobs ADD COLUMN resumable INTEGER",
    ),
    # To 6: endpoints (what they serve is JSON), the hashes of their keys, and what their callers asked.
    (
        """CREATE TABLE deployments (
            id TEXT PRIMARY KEY,
            slug TEXT NOT NULL UNIQUE,
            target TEXT NOT NULL,
            auth TEXT NOT NULL,
            enabled INTEGER NOT NULL,
            retention TEXT NOT NULL,
            days INTEGER,
            created TEXT NOT NULL,
            updated TEXT NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE endpoint_keys (
            id TEXT PRIMARY KEY,
            deployment TEXT NOT NULL,
            label TEXT NOT NULL,
            prefix TEXT NOT NULL,
            hash BLOB NOT NULL,
            created TEXT NOT NULL,
            used TEXT
        ) WITHOUT ROWID""",
        """CREATE TABLE endpoint_requests (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            deployment TEXT NOT NULL,
            at TEXT NOT NULL,
            call TEXT NOT NULL,
            status INTEGER NOT NULL,
            key TEXT,
            stream INTEGER NOT NULL,
            prompt INTEGER NOT NULL,
            completion INTEGER NOT NULL,
            first REAL,
            seconds REAL NOT NULL,
            error TEXT,
            said TEXT
        )""",
        "CREATE INDEX endpoint_requests_newest ON endpoint_requests (deployment, seq)",
        "CREATE INDEX endpoint_requests_kept ON endpoint_requests (deployment, at) WHERE said IS NOT NULL",
    ),
    # Which engine is to answer an endpoint's callers, and who answers them since the first answer, as JSON.
    (
        "ALTER TABLE deployments ADD COLUMN engine TEXT NOT NULL DEFAULT 'auto'",
        "ALTER TABLE deployments ADD COLUMN answered TEXT",
    ),
)
"""What leads from each version to the next. A step that was released is never changed: add one behind it,
after ``python -m tests.local.jobs.make_store`` has kept a file of the version before."""
VERSION: Final = len(STEPS)
UNUSED_BYTES: Final = 1 << 20
UNUSED_SHARE: Final = 0.25
"""So much of the file, in bytes and as a part of it, has to be unused before it is given back to the disk."""
DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""What SQLite says of a file that is damaged."""
BUSY_MILLISECONDS: Final = 250
"""How long one attempt to write waits for another program's lock; whoever writes tries again."""


class NewerFormatError(Exception):
    """A later arkor-dev wrote the file; the text says which one, and what to do."""


class DamagedError(Exception):
    """The file is damaged, or empty beside folders of jobs; the text says so, and what to do."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection that any one thread may use at a time."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def open_database(path: Path) -> sqlite3.Connection:
    """A connection for writing to a file in this version's format, made or migrated if need be.

    Raises :class:`sqlite3.Error`, and :class:`NewerFormatError` or :class:`DamagedError` for a file that is
    not to be written.
    """
    if path.exists():
        # Read-only first: the end of the last connection that may write moves the log's pages into the file.
        with (
            contextlib.suppress(sqlite3.OperationalError),  # a write was cut off, which only a writer settles
            contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as reader,
            _damage_in(path),
        ):
            _refuse_newer(reader, path)
    db = connect(path)
    try:
        with _damage_in(path):
            _refuse_newer(db, path)
            _refuse_damaged(db, path)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        _migrate(db, path)
    except BaseException:
        db.close()
        raise
    return db


def refuse_empty(path: Path) -> None:
    """Raise DamagedError where ``path`` is missing or empty, while folders of jobs lie beside it.

    A new list would have none of them, and `arkor-dev local gc` would offer to remove their files.
    """
    if path.exists() and path.stat().st_size:
        return
    if count := len(job_ids(path.parent)):
        what = "is empty" if path.exists() else "is missing"
        jobs = "the folder of a job" if count == 1 else f"the folders of {count} jobs"
        raise _damaged(path, f"{what}, while {jobs} lie{'s' if count == 1 else ''} beside it")


@contextlib.contextmanager
def _damage_in(path: Path) -> Iterator[None]:
    """Turn what SQLite says of a file that is damaged, or none of its own, into DamagedError."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        raise _damaged(path, f"is damaged: {error}") from None


def is_damage(error: BaseException) -> bool:
    """Whether SQLite says by ``error`` that the file is damaged."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE


def _refuse_damaged(db: sqlite3.Connection, path: Path) -> None:
    """Look at every page; 100 MiB take a tenth of a second."""
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise _damaged(path, f"is damaged: {' '.join(str(found).split())}")


def _damaged(path: Path, what: str) -> DamagedError:
    return DamagedError(
        f"{path} {what}. Nothing was changed. `arkor-dev local rebuild` makes the list of jobs again, from "
        f"what can be read of it and from the jobs' folders; or move {path.parent} away to start anew."
    )


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _refuse_newer(db: sqlite3.Connection, path: Path) -> None:
    version = _version(db)
    if version <= VERSION:
        return
    try:
        found = db.execute("SELECT value FROM meta WHERE key = 'writtenBy'").fetchone()
    except sqlite3.OperationalError:  # a format that we know nothing of
        found = None
    writer = f"arkor-dev {found[0]}" if found else "a later arkor-dev"
    copies = [copy for number in range(VERSION, -1, -1) if (copy := _copy_of(path, number)).exists()]
    back = f", put {copies[0].name} (the jobs before the update) in its place" if copies else ""
    raise NewerFormatError(
        f"{path} has format {version}, written by {writer}; this arkor-dev {__version__} knows format "
        f"{VERSION}. Nothing was changed. Update arkor-dev{back}, or move {path.parent} away to start anew."
    )


def _copy_of(path: Path, version: int) -> Path:
    return path.with_name(f"{path.stem}-v{version}{path.suffix}")


def _migrate(db: sqlite3.Connection, path: Path) -> None:
    version = _version(db)
    if version == VERSION:
        return
    if db.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
        copy = _copy_of(path, version)
        _copy(db, copy)
        log.warning(
            "%s has format %s and gets format %s; %s is a copy of it", path, version, VERSION, copy.name
        )
    with transaction(db):
        for step in STEPS[version:]:
            for statement in step:
                db.execute(statement)
        db.execute("INSERT OR REPLACE INTO meta VALUES ('writtenBy', ?)", (__version__,))
        db.execute(f"PRAGMA user_version = {VERSION}")


def _copy(db: sqlite3.Connection, copy: Path) -> None:
    """Copy what ``db`` holds, its log included, for the owner alone: configs may hold tokens."""
    part = copy.with_name(f"{copy.name}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with contextlib.closing(sqlite3.connect(part)) as target:
        db.backup(target)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(copy)


def unused_bytes(db: sqlite3.Connection) -> int:
    """What of the file belongs to no row any more; 0 where giving it back is not worth the work."""
    size, pages, spare = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count", "freelist_count")
    )
    much = spare * size >= UNUSED_BYTES and spare >= UNUSED_SHARE * pages
    return int(spare * size) if much else 0


def give_back(db: sqlite3.Connection) -> int:
    """Make the file as small as its rows allow; by how many bytes that is smaller.

    It is written anew, for which the disk needs room. Raises sqlite3.Error, and nothing is lost then.
    """
    freed = unused_bytes(db)
    if freed:
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return freed


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
