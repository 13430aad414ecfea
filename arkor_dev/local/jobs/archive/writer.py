"""Exports a job with its events and files as a plain tar for another machine.

``job.json`` comes first and lists what follows, with sizes and SHA-256; then ``events.jsonl`` and the files.
Blocking: call from a thread. ``reader.py`` imports it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, TypedDict

from arkor_dev.contract.errors import BadRequestError, ConflictError

from ..database import DATABASE, connect, stored_object
from ..job_folder import JobFile, belongs, job_folder
from ..records import compact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from arkor_dev.contract.json_types import JsonObject
    from arkor_dev.contract.shapes import Job

FORMAT: Final = 1
BLOCK: Final = 512
CHUNK: Final = 1 << 20
MANIFEST: Final = "job.json"
EVENTS: Final = "events.jsonl"
FILES: Final = "files/"


def export_job(data: Path, job: Job, target: Path) -> int:
    """Write ``job`` with its events and files to ``target``; return the archive's size in bytes.

    ``job`` has the contract's shape. Files that can be made again, such as exports for other programs, are
    left out. ``target`` must not exist; it appears complete or not at all. Raises ConflictError, and
    BadRequestError if it cannot be written.
    """
    if os.path.lexists(target):
        raise ConflictError(f"{target} already exists: choose another name")
    folder, part = job_folder(data, job["id"]), target.with_name(f"{target.name}.part")
    try:
        return _export(data, job, folder, part, target)
    except OSError as error:
        raise BadRequestError(f"{target} cannot be written: {error.strerror}") from None


def _export(data: Path, job: Job, folder: Path, part: Path, target: Path) -> int:
    handle = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        with open(handle, "wb") as out:  # noqa: PTH123 - a descriptor
            events = b"".join(_event_lines(data, job["id"], folder))
            files = [JobFile(folder, name) for name in sorted(_names(folder))]
            listed = [_described(file) for file in files]
            record = {key: value for key, value in job.items() if key not in ("orgId", "projectId", "queue")}
            events_entry = {"bytes": len(events), "sha256": hashlib.sha256(events).hexdigest()}
            manifest = {"format": FORMAT, "job": record, "events": events_entry, "files": listed}
            _add(out, MANIFEST, json.dumps(manifest, ensure_ascii=False).encode())
            _add(out, EVENTS, events)
            for file, entry in zip(files, listed, strict=True):
                _add_file(out, file, entry["bytes"])
            out.write(bytes(2 * BLOCK))
            out.flush()
            os.fsync(out.fileno())
        part.rename(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return target.stat().st_size


def _event_lines(data: Path, job_id: str, folder: Path) -> Iterator[bytes]:
    """Yield each event as a line, with artifact paths relative to the job's folder."""
    with closing(connect(data / DATABASE)) as db:
        rows = db.execute("SELECT name, data FROM events WHERE job = ? ORDER BY id", (job_id,))
        for name, text in rows:
            if not (event := stored_object(text)):
                continue  # damaged
            for artifact in artifacts_of(event):
                path = Path(str(artifact.pop("path", "")))
                if path.is_relative_to(folder):
                    artifact["path"] = path.relative_to(folder).as_posix()
            yield compact([name, event]).encode() + b"\n"


def artifacts_of(event: object) -> list[JsonObject]:
    listed = event.get("artifacts") if isinstance(event, dict) else None
    return [artifact for artifact in listed if isinstance(artifact, dict)] if isinstance(listed, list) else []


def _names(folder: Path) -> Iterator[str]:
    """Yield the names of a job's files to export; skip links."""
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if belongs(name) and path.is_file() and not path.is_symlink():
            yield name


def _described(file: JobFile) -> ArchivedFile:
    with file.open() as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
        return {"path": file.name, "bytes": source.tell(), "sha256": digest}


class ArchivedFile(TypedDict):
    """A file of a job, by its path in the job's folder."""

    path: str
    bytes: int
    sha256: str


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    try:
        return info.tobuf(tarfile.USTAR_FORMAT)
    except ValueError:
        raise BadRequestError(
            f"{name} does not fit into an archive: its name or the file is too long"
        ) from None


def _add(out: IO[bytes], name: str, content: bytes) -> None:
    out.write(_header(name, len(content)) + content + bytes(-len(content) % BLOCK))


def _add_file(out: IO[bytes], file: JobFile, size: int) -> None:
    out.write(_header(f"{FILES}{file.name}", size))
    with file.open() as source:
        shutil.copyfileobj(source, out, CHUNK)
    out.write(bytes(-size % BLOCK))
