"""The SQLite file of the jobs: its schema, its connections, and transactions.

``PRAGMA application_id`` marks a file as ours, ``PRAGMA user_version`` counts its format. A file of another
format is refused and not written to.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Final

from arkor_dev import __version__

from .job_folder import job_ids

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATABASE: Final = "backend.sqlite"
"""Its name in the data folder."""
APPLICATION_ID: Final = int.from_bytes(b"ARKR")
FORMAT: Final = 1
SCHEMA: Final = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # JSON: config, settings (what the job ran with, defaults included), metrics, tags, forecast (made with
    # the job), pause (step and reason), resume (how an interrupted job resumes), parent (the checkpoint that
    # it began from), evaluation (the verdict). ``place`` orders waiting jobs where that is not by age.
    # ``resumable`` is the newest step that the job could resume after.
    """CREATE TABLE jobs (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        status TEXT NOT NULL,
        config TEXT NOT NULL,
        error TEXT,
        created TEXT NOT NULL,
        started TEXT,
        completed TEXT,
        metrics TEXT NOT NULL DEFAULT '{}',
        settings TEXT,
        notes TEXT NOT NULL DEFAULT '',
        tags TEXT NOT NULL DEFAULT '[]',
        starred INTEGER NOT NULL DEFAULT 0,
        place INTEGER,
        forecast TEXT,
        pause TEXT,
        resume TEXT,
        parent TEXT,
        evaluation TEXT,
        resumable INTEGER
    )""",
    "CREATE INDEX jobs_unfinished ON jobs (status, seq) WHERE status IN ('queued', 'running')",
    "CREATE INDEX jobs_placed ON jobs (place) WHERE place IS NOT NULL",
    "CREATE INDEX jobs_waiting ON jobs (coalesce(place, seq)) WHERE status = 'queued'",
    """CREATE TABLE events (
        job TEXT NOT NULL,
        id INTEGER NOT NULL,
        name TEXT NOT NULL,
        data TEXT NOT NULL,
        PRIMARY KEY (job, id)
    ) WITHOUT ROWID""",
    # Deleted jobs whose files have not all left the disk.
    "CREATE TABLE removed (job TEXT PRIMARY KEY) WITHOUT ROWID",
    # Endpoints. ``target`` is JSON, and so is ``answered``: who answers since the first answer.
    """CREATE TABLE deployments (
        id TEXT PRIMARY KEY,
        slug TEXT NOT NULL UNIQUE,
        target TEXT NOT NULL,
        auth TEXT NOT NULL,
        enabled INTEGER NOT NULL,
        retention TEXT NOT NULL,
        days INTEGER,
        created TEXT NOT NULL,
        updated TEXT NOT NULL,
        engine TEXT NOT NULL DEFAULT 'auto',
        answered TEXT
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
)
UNUSED_BYTES: Final = 1 << 20
UNUSED_SHARE: Final = 0.25
"""So much of the file, in bytes and as a part of it, has to be unused before it is given back to the disk."""
DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""What SQLite says of a file that is damaged."""
BUSY_MILLISECONDS: Final = 250
"""How long one attempt to write waits for another program's lock; whoever writes tries again."""


class UnknownFormatError(Exception):
    """Another version of arkor-dev wrote the file; the text says which one, and what to do."""


class DamagedError(Exception):
    """The file is damaged, or empty beside folders of jobs; the text says so, and what to do."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection that any one thread may use at a time."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def open_database(path: Path) -> sqlite3.Connection:
    """Return a connection for writing; create the file where there is none.

    Raises :class:`sqlite3.Error`, and :class:`UnknownFormatError` or :class:`DamagedError` for a file that is
    not to be written.
    """
    if path.exists():
        # Read-only first: the end of the last connection that may write moves the log's pages into the file.
        with (
            contextlib.suppress(sqlite3.OperationalError),  # a write was cut off, which only a writer settles
            contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as reader,
            _damage_in(path),
        ):
            _is_new(reader, path)
    db = connect(path)
    try:
        with _damage_in(path):
            new = _is_new(db, path)
            _refuse_damaged(db, path)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        if new:
            _create(db)
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


def _is_new(db: sqlite3.Connection, path: Path) -> bool:
    """Return whether the file is empty; raise UnknownFormatError where it is of another format."""
    (owner,), (version,) = (
        db.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
    )
    if (owner, version) == (APPLICATION_ID, FORMAT):
        return False
    if not (owner or version or db.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()):
        return True
    writer = "an arkor-dev from before the first release"
    if owner == APPLICATION_ID:
        try:
            found = db.execute("SELECT value FROM meta WHERE key = 'writtenBy'").fetchone()
        except sqlite3.OperationalError:  # a format that we know nothing of
            found = None
        writer = f"arkor-dev {found[0]}" if found else "a later arkor-dev"
    raise UnknownFormatError(
        f"{path} was written by {writer}, in a format that this arkor-dev {__version__} does not read. "
        f"Nothing was changed. Use that version, or move {path.parent} away to start anew."
    )


def _create(db: sqlite3.Connection) -> None:
    with transaction(db):
        for statement in SCHEMA:
            db.execute(statement)
        db.execute("INSERT INTO meta VALUES ('writtenBy', ?)", (__version__,))
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {FORMAT}")


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
