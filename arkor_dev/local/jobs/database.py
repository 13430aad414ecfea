"""The SQLite database of the jobs: schema, connections and transactions.

``PRAGMA application_id`` marks a file as ours; ``PRAGMA user_version`` is its format. A file of another
format is refused and left unchanged.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any, Final, TypeVar

from arkor_dev import __version__
from arkor_dev.contract import strict_json

from .job_folder import job_ids

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATABASE: Final = "backend.sqlite"
"""File name of the database in the data folder."""
APPLICATION_ID: Final = int.from_bytes(b"ARKR")
FORMAT: Final = 2
SCHEMA: Final = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # JSON columns: config, settings (effective ones, with defaults), metrics, tags, forecast (from before the
    # start), pause (step and reason), resume (how an interrupted job resumes), parent (the starting
    # checkpoint), evaluation (the verdict), sweep (the job's sweep and trial). ``place`` is
    # the queue position of jobs not ordered by age. ``resumable`` is the newest step from which the job could
    # resume.
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
        resumable INTEGER,
        sweep TEXT
    )""",
    "CREATE INDEX jobs_unfinished ON jobs (status, seq) WHERE status IN ('queued', 'running')",
    "CREATE INDEX jobs_placed ON jobs (place) WHERE place IS NOT NULL",
    """CREATE INDEX jobs_waiting ON jobs ((coalesce(place, seq) + (sweep IS NOT NULL) * (1 << 50)))
        WHERE status = 'queued'""",
    "CREATE INDEX jobs_of_sweeps ON jobs (json_extract(sweep, '$.id')) WHERE sweep IS NOT NULL",
    """CREATE TABLE events (
        job TEXT NOT NULL,
        id INTEGER NOT NULL,
        name TEXT NOT NULL,
        data TEXT NOT NULL,
        PRIMARY KEY (job, id)
    ) WITHOUT ROWID""",
    # Deleted jobs whose files may not all be deleted yet.
    "CREATE TABLE removed (job TEXT PRIMARY KEY) WITHOUT ROWID",
    # Endpoints. ``target`` and ``answered`` (usage since the first answer) are JSON.
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
"""Unused bytes, and unused share of the file, above which it is compacted."""
DAMAGE: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""SQLite's result codes for a damaged file."""
BUSY_MILLISECONDS: Final = 250
"""Milliseconds that one attempt waits for another program's lock; writers retry."""


class UnknownFormatError(Exception):
    """Another version of arkor-dev wrote the file; the message says which version, and what to do."""


class DamagedError(Exception):
    """The file is damaged, or is empty although job folders exist; the message says so, and what to do."""


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection for use by one thread at a time; invalid bytes in a text are read as U+FFFD."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.text_factory = lambda text: text.decode(errors="replace")
    return db


def open_database(path: Path) -> sqlite3.Connection:
    """Return a connection for writing; create the file if it is missing.

    Raises :class:`sqlite3.Error`, and :class:`UnknownFormatError` or :class:`DamagedError` for a file that
    must not be written.
    """
    if path.exists():
        # Read-only first: closing the last writable connection would checkpoint the log into the database.
        with (
            contextlib.suppress(
                sqlite3.OperationalError
            ),  # an interrupted write, which only a writer can roll back
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
    """Raise DamagedError if ``path`` is missing or empty although job folders exist beside it.

    A new list would contain none of them, and `arkor-dev local gc` would offer to delete their files.
    """
    if path.exists() and path.stat().st_size > 1:  # SQLite opens a file of one byte as an empty one, too
        return
    if count := len(job_ids(path.parent)):
        problem = "is empty" if path.exists() else "is missing"
        jobs = "the folder of a job" if count == 1 else f"the folders of {count} jobs"
        raise _damaged(path, f"{problem}, while {jobs} lie{'s' if count == 1 else ''} beside it")


@contextlib.contextmanager
def _damage_in(path: Path) -> Iterator[None]:
    """Convert SQLite's errors about a damaged or foreign file to DamagedError."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        raise _damaged(path, f"is damaged: {error}") from None


def is_damage(error: BaseException) -> bool:
    """Return whether SQLite's ``error`` means that the file is damaged."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGE


def _refuse_damaged(db: sqlite3.Connection, path: Path) -> None:
    """Check every page: a tenth of a second for 100 MiB."""
    (problem,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if problem != "ok":
        raise _damaged(path, f"is damaged: {' '.join(str(problem).split())}")


def _damaged(path: Path, problem: str) -> DamagedError:
    return DamagedError(
        f"{path} {problem}. Nothing was changed. `arkor-dev local rebuild` restores the list of jobs from "
        f"its readable parts and the job folders; or move {path.parent} away to start over."
    )


def _is_new(db: sqlite3.Connection, path: Path) -> bool:
    """Return whether the file is empty. Raises UnknownFormatError for another format."""
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
            row = db.execute("SELECT value FROM meta WHERE key = 'writtenBy'").fetchone()
        except sqlite3.OperationalError:  # an unknown format
            row = None
        writer = f"arkor-dev {row[0]}" if row else "a later arkor-dev"
    raise UnknownFormatError(
        f"{path} was written by {writer}, in a format that this arkor-dev {__version__} does not read. "
        f"Nothing was changed. Use that version, or move {path.parent} away to start over."
    )


def _create(db: sqlite3.Connection) -> None:
    with transaction(db):
        for statement in SCHEMA:
            db.execute(statement)
        db.execute("INSERT INTO meta VALUES ('writtenBy', ?)", (__version__,))
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {FORMAT}")


def unused_bytes(db: sqlite3.Connection) -> int:
    """Return the unused bytes of the file; 0 if compacting is not worthwhile."""
    size, pages, spare = (
        db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count", "freelist_count")
    )
    worthwhile = spare * size >= UNUSED_BYTES and spare >= UNUSED_SHARE * pages
    return int(spare * size) if worthwhile else 0


def give_back(db: sqlite3.Connection) -> int:
    """Rewrite the file compactly, which needs free space; return the bytes saved. Safe on sqlite3.Error."""
    freed = unused_bytes(db)
    if freed:
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return freed


T = TypeVar("T")


def stored_object(text: object) -> dict[str, Any]:
    """Return the object that a column holds as JSON; an empty one if that is missing or damaged."""
    try:
        value = strict_json.parse(text.encode()) if isinstance(text, str) else None
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {}


def stored_as(shape: type[T], text: object) -> T:
    """Return `stored_object` as ``shape``, which this program has written."""
    stored: Any = stored_object(text)
    shaped: T = stored
    return shaped


class transaction:  # noqa: N801 - reads as the statement it is
    """A transaction on the database, as a context manager: all or nothing."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *rest: object) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:  # COMMIT may also fail, on a full disk
                self._db.execute("ROLLBACK")
