"""Imports a job from an archive made by another machine (``writer.py``), trusting nothing in it.

Anything unexpected ends the import without a trace: a header other than a plain file's (a link, a device, a
sparse file, a long name), an unknown file name, an oversized file, field or event, a wrong size or hash.
Blocking: call from a thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import secrets
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from arkor_dev.contract import strict_json
from arkor_dev.contract.bodies import JOB_CHANGES
from arkor_dev.contract.errors import MAKE_ROOM, BadRequestError
from arkor_dev.contract.events import END, PING
from arkor_dev.contract.forget import FORGETTING
from arkor_dev.contract.placement import CLUSTER, INSECURE, STORAGE
from arkor_dev.contract.regular_files import NotRegularError, is_safe_name, open_regular
from arkor_dev.contract.schema import SchemaError, check
from arkor_dev.contract.settings.own_sets import FIELD, importable
from arkor_dev.contract.settings.reward import ENVIRONMENT, OF_ENVIRONMENT
from arkor_dev.contract.shapes import TERMINAL
from arkor_dev.contract.units import format_bytes

from ..database import connect
from ..disk import remove_files
from ..job_config import check_config
from ..job_folder import IMPORTING, belongs, job_folder, jobs_folder, limit_of
from ..job_row import METRICS
from ..records import compact
from .writer import BLOCK, CHUNK, EVENTS, FILES, FORMAT, MANIFEST, artifacts_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arkor_dev.contract.shapes import DatasetSource
    from arkor_dev.local.jobs.job_row import JobRecord

MANIFEST_LIMIT: Final = 8 << 20
EVENTS_LIMIT: Final = 256 << 20
"""Size limit of all events, in bytes."""
MOST_EVENTS: Final = 500_000
"""Maximum number of events: these take a few seconds to read."""
LINE_LIMIT: Final = 1 << 20
"""Size limit of one event, in bytes."""
EVENTS_PER_PARSE: Final = 40
"""Number of events parsed together: few enough for the parser to reject deep nesting."""
FILES_LIMIT: Final = 10_000
ERROR_LIMIT: Final = 100_000
FACTS_LIMIT: Final = 64 << 10
"""Size limit of one JSON field of a job (its metrics or its verdict), in characters."""
CONFIG_LIMIT: Final = 1 << 20
NAME_LIMIT: Final = 100
FLUSHES: Final = 16
"""Number of files flushed together: a disk flushes many in the time of one."""
SPARE: Final = 256 << 20
"""Bytes to leave free on the disk."""
REPORTS: Final = "reportTo"
DATA_FIELDS: Final = ("datasetSource", "evalDatasetSource")
DATA_NAME: Final = "data.jsonl"
"""Stands for an address that names no file."""
ID: Final = re.compile(r"job_[0-9a-f]{12}")


class ImportedJob:
    """A job read from an archive into its own folder until it is committed.

    ``events`` is a database with its validated events, in the store's table.
    """

    def __init__(self, data: Path, folder: Path, job: JobRecord) -> None:
        self.job = job
        self.events = folder / "events.sqlite"
        self.home = job_folder(data, job["id"])
        self._data = data
        self._folder = folder

    def install_files(self) -> None:
        """Move the files to the job's own folder, replacing leftovers of a deleted job. Raises OSError."""
        remove_files(self._data, self.job["id"])
        (self._folder / FILES).rename(self.home)

    def remove_files(self) -> None:
        """Remove the files from the job's folder."""
        with contextlib.suppress(OSError):
            remove_files(self._data, self.job["id"])

    def drop(self) -> None:
        """Remove what was read, unless it was already moved into place."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _wrong(reason: str) -> BadRequestError:
    return BadRequestError(f"The file cannot be imported: {reason}. Nothing was changed")


def import_job(data: Path, source: Path) -> ImportedJob:
    """Read the archive ``source`` into a new folder and validate all parts."""
    folder = jobs_folder(data) / f"{IMPORTING}{secrets.token_hex(6)}"
    try:
        opened = open_regular(source)
    except NotRegularError:
        raise _wrong("it is not a regular file") from None
    except OSError as error:
        raise BadRequestError(f"{source} cannot be read: {error.strerror}") from None
    with opened as file:
        try:
            imported = _read(data, folder, file)
            _read_events(imported, folder / EVENTS)
        except (OSError, sqlite3.Error) as error:
            shutil.rmtree(folder, ignore_errors=True)
            reason = error.strerror if isinstance(error, OSError) else error
            raise BadRequestError(f"The job could not be imported: {reason}. Nothing was changed") from None
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return imported


def _read(data: Path, folder: Path, file: IO[bytes]) -> ImportedJob:
    size = _next(file, MANIFEST)
    if size > MANIFEST_LIMIT:
        raise _wrong("its record is too long")
    try:
        manifest = strict_json.parse(_exactly(file, size))
        job, events, files = manifest["job"], manifest["events"], manifest["files"]
        if manifest["format"] != FORMAT:
            raise _wrong("a later arkor-dev wrote it: update arkor-dev")
        entries = [(EVENTS, events), *((FILES + entry["path"], entry) for entry in files)]
        sizes = [entry["bytes"] for _, entry in entries]
        is_valid = all(type(entry) is int and entry >= 0 for entry in sizes)
        is_valid &= all(isinstance(entry["sha256"], str) for _, entry in entries)
    except (ValueError, KeyError, TypeError):
        raise _wrong("its record is unreadable") from None
    if not is_valid:
        raise _wrong("its record is unreadable")
    if len(entries) > FILES_LIMIT or sizes[0] > EVENTS_LIMIT:
        raise _wrong("it has more files or events than a job has")
    check_job(job)
    if job["status"] not in TERMINAL:
        raise _wrong("its job has not ended")
    for name, entry in entries[1:]:
        _check_file(name.removeprefix(FILES), entry["bytes"])
    jobs_folder(data).mkdir(parents=True, exist_ok=True)
    # Events are written twice more before they are in the store.
    needed, free = sum(sizes) + 2 * sizes[0] + SPARE, shutil.disk_usage(data).free
    if needed > free:
        space = (
            f"it takes {format_bytes(needed)} while it is read, and the disk has {format_bytes(free)} free"
        )
        raise BadRequestError(f"The file cannot be imported: {space}. Nothing was changed. {MAKE_ROOM}")
    folder.mkdir(mode=0o700)
    (folder / FILES).mkdir()
    _skip_padding(file, size)
    for name, entry in entries:
        if _next(file, name) != entry["bytes"]:
            raise _wrong("one of its files has a different size than recorded")
        if _extract(file, folder / name, entry["bytes"]) != entry["sha256"]:
            raise _wrong("one of its files has changed since the export (its SHA-256 differs)")
    with ThreadPoolExecutor(FLUSHES) as pool:
        list(pool.map(_flush, (folder / name for name, _ in entries)))
    if sets := job["config"].get(FIELD):
        # The archive's author must not choose which of this project's code runs here, nor who gets a key.
        job["config"][FIELD] = importable(sets)
    for field in (ENVIRONMENT, *OF_ENVIRONMENT):
        job["config"].pop(field, None)
    # Nor what this machine connects to when the job is extended: a cluster, a service that figures are sent
    # to with the user's key, or a server of this machine's network, to which a public address may redirect.
    for field in (CLUSTER, INSECURE, STORAGE, REPORTS):
        job["config"].pop(field, None)
    for field in DATA_FIELDS:
        if source := job["config"].get(field):
            job["config"][field] = _without_addresses(source)
    return ImportedJob(data, folder, job)


def _without_addresses(source: DatasetSource) -> DatasetSource:
    """Return a source in which a file of the project, of the same name, takes the place of each address."""
    if source["type"] == "list":
        return {**source, "sources": [_without_addresses(part) for part in source["sources"]]}
    if source["type"] != "blob":
        return source
    name = ""
    with contextlib.suppress(ValueError):  # not an address
        name = urlsplit(source["url"]).path.rpartition("/")[2]
    kept = {key: value for key, value in source.items() if key not in ("url", "token")}
    return {**kept, "type": "file", "path": name if is_safe_name(name) else DATA_NAME}  # type: ignore[typeddict-item]


def _check_file(name: str, size: int) -> None:
    """Raise for a file that no job has, and for one larger than the limit of its kind."""
    if not belongs(name):
        raise _wrong(f"it contains a file that no job has, {name[:80]!a}")
    limit = limit_of(name)
    if limit is not None and size > limit:
        raise _wrong(f"its {name[:80]!a} is larger than {limit >> 20} MiB")


def _read_events(imported: ImportedJob, path: Path) -> None:
    """Validate an archive's events and write them to ``imported.events``.

    A separate database: reading takes seconds, during which the store writes the events of running jobs.
    """
    with contextlib.closing(connect(imported.events)) as db, path.open("rb") as file:
        db.execute("PRAGMA journal_mode=OFF")
        db.execute("PRAGMA synchronous=OFF")
        db.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, name TEXT NOT NULL, data TEXT NOT NULL)")
        db.execute("BEGIN")
        events = _events(file, imported.job["id"], imported.home)
        db.executemany("INSERT INTO events (name, data) VALUES (?, ?)", events)
        db.execute("COMMIT")
    path.unlink()


def _events(file: IO[bytes], job_id: str, home: Path) -> Iterator[tuple[str, str]]:
    """Yield each event's name and data, with artifact paths rewritten for this machine."""
    if sum(content.count(b"\n") for content in iter(lambda: file.read(CHUNK), b"")) > MOST_EVENTS:
        raise _wrong(f"it has more than {MOST_EVENTS:,} events")
    file.seek(0)
    while lines := list(itertools.islice(iter(lambda: file.readline(LINE_LIMIT), b""), EVENTS_PER_PARSE)):
        try:
            events = strict_json.parse(b"[%s]" % b",".join(lines))
        except ValueError:
            raise _wrong("one of its events is unreadable") from None
        if len(events) != len(lines) or not all(map(_is_event, events)):
            raise _wrong("one of its events is unreadable")
        for name, event in events:
            for artifact in artifacts_of(event):
                path = artifact.pop("path", None)
                if isinstance(path, str) and is_safe_name(path):
                    artifact["path"] = str(home / path)
            event["jobId"] = job_id
            yield name, compact(event)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _is_event(value: object) -> bool:
    match value:
        case [str(name), dict()]:
            return name.isprintable() and 0 < len(name) <= NAME_LIMIT and name not in (END, PING)
    return False


def _next(file: IO[bytes], expected: str) -> int:
    """Return the size of the next member, which must be the plain file ``expected``."""
    block = _exactly(file, BLOCK)
    try:
        checksum = int(block[148:156].strip(b" \0"), 8)
        size = int(block[124:136].strip(b" \0"), 8)
        name, prefix = (block[a:b].split(b"\0", 1)[0].decode() for a, b in ((0, 100), (345, 500)))
    except ValueError:
        raise _wrong("it is not an arkor-dev archive") from None
    if block[257:262] != b"ustar" or checksum != sum(block) - sum(block[148:156]) + 8 * 32 or size < 0:
        raise _wrong("it is not an arkor-dev archive")
    if block[156:157] not in (b"0", b"\0"):
        raise _wrong("it contains a link, a device or something else that is not a plain file")
    if (f"{prefix}/{name}" if prefix else name) != expected:
        raise _wrong("its files differ from its list")
    return size


def _exactly(file: IO[bytes], size: int) -> bytes:
    content = file.read(size)
    if len(content) != size:
        raise _wrong("it is truncated")
    return content


def _skip_padding(file: IO[bytes], size: int) -> None:
    _exactly(file, -size % BLOCK)


def _extract(file: IO[bytes], target: Path, size: int) -> str:
    """Write the next ``size`` bytes to a new file; return their SHA-256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, remaining = hashlib.sha256(), size
    with target.open("xb") as out:
        while remaining:
            content = _exactly(file, min(remaining, CHUNK))
            digest.update(content)
            out.write(content)
            remaining -= len(content)
    _skip_padding(file, size)
    return digest.hexdigest()


def check_job(job: object) -> JobRecord:
    """Return ``job`` if it is a valid record within limits. Raises BadRequestError."""
    if not isinstance(job, dict) or not isinstance(job.get("id"), str) or not ID.fullmatch(job["id"]):
        raise _wrong("it has no job id")
    try:
        check(job, JOB_CHANGES)
        check(job.get("metrics", {}), METRICS, "metrics", "metrics.")
        check_config(job.get("config"))
        check(job["config"], FORGETTING, "config", "config.")
    except (SchemaError, BadRequestError) as fault:
        raise _wrong(str(fault)) from None
    if not isinstance(job.get("name"), str):
        raise _wrong("its job has no name")
    if not isinstance(job.get("status"), str):
        raise _wrong("its job has no status")
    for field in ("createdAt", "startedAt", "completedAt"):
        _check_time(job.get(field), needed=field == "createdAt")
    for field, limit in (("metrics", FACTS_LIMIT), ("settings", FACTS_LIMIT), ("config", CONFIG_LIMIT)):
        facts = job.get(field, {})
        if not isinstance(facts, dict) or len(compact(facts)) > limit:
            raise _wrong(f"its {field} cannot be those of a job")
    error = job.get("error")
    if error is not None and not (isinstance(error, str) and len(error) <= ERROR_LIMIT):
        raise _wrong("its error is not text, or too long")
    checked: Any = job
    record: JobRecord = checked
    return record


def _check_time(value: object, *, needed: bool) -> None:
    if value is None and not needed:
        return
    try:
        if not isinstance(value, str):
            raise ValueError
        datetime.fromisoformat(value)
    except ValueError:
        raise _wrong("one of its times is invalid") from None
