"""Takes in a job from an archive that another machine has made (``writer.py``), and trusts nothing of it.

A header that is no plain file's (a link, a device, a sparse or a long-named one), a name that could leave its
folder, a size or a hash that differs ends it, and nothing of the job is there then. Blocks: called from a
thread.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, Final

from arkor_dev.contract import strict_json
from arkor_dev.contract.bodies import JOB_CHANGES
from arkor_dev.contract.errors import ArkorError, BadRequestError
from arkor_dev.contract.placement.address import CLUSTER, INSECURE, STORAGE
from arkor_dev.contract.regular_files import NotRegularError, open_regular
from arkor_dev.contract.schema import SchemaError, check
from arkor_dev.contract.settings.own_sets import FIELD, without_functions
from arkor_dev.contract.shapes import TERMINAL

from ..artifacts import job_folder
from ..job_config import check_config
from ..records import compact
from .writer import BLOCK, CHUNK, EVENTS, FILES, FORMAT, MANIFEST, artifacts_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANIFEST_LIMIT: Final = 16 << 20
EVENTS_LIMIT: Final = 256 << 20
LINE_LIMIT: Final = 16 << 20
FILES_LIMIT: Final = 10_000
DEPTH_LIMIT: Final = 20
ERROR_LIMIT: Final = 100_000
NAME_LIMIT: Final = 100
SPARE: Final = 256 << 20
"""Bytes that stay free on the disk."""
ID: Final = re.compile(r"job_[0-9a-f]{12}")
PART: Final = re.compile(r"[^\x00-\x1f\x7f/\\]{1,255}")


class Imported:
    """A job that was read from an archive and lies in a folder of its own until it is taken in."""

    def __init__(self, data: Path, folder: Path, job: dict[str, Any]) -> None:
        self.job = job
        self._data = data
        self._folder = folder

    def events(self) -> Iterator[tuple[str, str]]:
        """Name and data of each event, with its artifacts' paths on this machine."""
        home = job_folder(self._data, self.job["id"])
        with (self._folder / EVENTS).open("rb") as lines:
            while line := lines.readline(LINE_LIMIT):
                try:
                    name, event = strict_json.parse(line)
                    sound = isinstance(event, dict) and name.isprintable() and 0 < len(name) <= NAME_LIMIT
                except (ValueError, TypeError, AttributeError):
                    sound = False
                if not sound:
                    raise _wrong("an event of it cannot be read")
                for artifact in artifacts_of(event):
                    path = artifact.pop("path", None)
                    if isinstance(path, str) and _is_safe(path):
                        artifact["path"] = str(home / path)
                yield name, compact({**event, "jobId": self.job["id"]})

    def put_in_place(self) -> None:
        """Give the files the job's own folder, which nobody else has."""
        home = job_folder(self._data, self.job["id"])
        shutil.rmtree(home, ignore_errors=True)  # it belongs to no job
        (self._folder / FILES).rename(home)
        self.drop()

    def drop(self) -> None:
        """Remove what was read."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _wrong(why: str) -> BadRequestError:
    return BadRequestError(f"The file is no job that can be taken in: {why}. Nothing was changed")


def import_job(data: Path, source: Path) -> Imported:
    """Read the archive ``source`` into a folder of its own, checked in all its parts."""
    folder = data / "jobs" / f".import-{secrets.token_hex(6)}"
    try:
        opened = open_regular(source)
    except NotRegularError:
        raise _wrong("it is no regular file") from None
    except OSError as error:
        raise BadRequestError(f"{source} cannot be read: {error.strerror}") from None
    with opened as file:
        try:
            return _read(data, folder, file)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise BadRequestError(f"The job could not be taken in: {error.strerror}") from None
        except ArkorError:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _read(data: Path, folder: Path, file: IO[bytes]) -> Imported:
    size = _next(file, MANIFEST)
    if size > MANIFEST_LIMIT:
        raise _wrong("its description is too long")
    try:
        manifest = strict_json.parse(_exactly(file, size))
        job, events, files = manifest["job"], manifest["events"], manifest["files"]
        if manifest["format"] != FORMAT:
            raise _wrong("a later arkor-dev wrote it: update arkor-dev")
        entries = [(EVENTS, events), *((FILES + each["path"], each) for each in files)]
        sizes = [entry["bytes"] for _, entry in entries]
        sound = all(type(each) is int and each >= 0 for each in sizes)
        sound &= all(isinstance(entry["sha256"], str) for _, entry in entries)
    except (ValueError, KeyError, TypeError):
        raise _wrong("its description cannot be read") from None
    if not sound:
        raise _wrong("its description cannot be read")
    if len(entries) > FILES_LIMIT or sizes[0] > EVENTS_LIMIT:
        raise _wrong("it has more files or events than a job has")
    _check_job(job)
    for name, _ in entries[1:]:
        if not _is_safe(name):
            raise _wrong("a file of it has a name that leads elsewhere")
    (data / "jobs").mkdir(parents=True, exist_ok=True)
    if sum(sizes) + SPARE > shutil.disk_usage(data).free:
        raise _wrong("the disk has no room for it")
    folder.mkdir(mode=0o700)
    (folder / FILES).mkdir()
    _skip_padding(file, size)
    for name, entry in entries:
        if _next(file, name) != entry["bytes"]:
            raise _wrong("a file of it has another size than it says")
        if _extract(file, folder / name, entry["bytes"]) != entry["sha256"]:
            raise _wrong("a file of it has changed since it was exported (its SHA-256 differs)")
    if sets := job["config"].get(FIELD):
        # Whoever made the file does not choose what of this project's code is run here.
        job["config"][FIELD] = without_functions(sets)
    # Nor where it goes on, with the data and the model of this machine.
    for field in (CLUSTER, INSECURE, STORAGE):
        job["config"].pop(field, None)
    return Imported(data, folder, job)


def _next(file: IO[bytes], wanted: str) -> int:
    """The size of the next member, which has to be the plain file ``wanted``."""
    block = _exactly(file, BLOCK)
    try:
        told = int(block[148:156].strip(b" \0"), 8)
        size = int(block[124:136].strip(b" \0"), 8)
        name, prefix = (block[a:b].split(b"\0", 1)[0].decode() for a, b in ((0, 100), (345, 500)))
    except ValueError:
        raise _wrong("it is no archive of arkor-dev") from None
    if block[257:262] != b"ustar" or told != sum(block) - sum(block[148:156]) + 8 * 32 or size < 0:
        raise _wrong("it is no archive of arkor-dev")
    if block[156:157] not in (b"0", b"\0"):
        raise _wrong("it holds a link, a device or something else that is no plain file")
    if (f"{prefix}/{name}" if prefix else name) != wanted:
        raise _wrong("it holds other files than it says")
    return size


def _exactly(file: IO[bytes], size: int) -> bytes:
    content = file.read(size)
    if len(content) != size:
        raise _wrong("it is cut off")
    return content


def _skip_padding(file: IO[bytes], size: int) -> None:
    _exactly(file, -size % BLOCK)


def _extract(file: IO[bytes], target: Path, size: int) -> str:
    """Write the next ``size`` bytes to a new file; their SHA-256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, left = hashlib.sha256(), size
    with target.open("xb") as out:
        while left:
            content = _exactly(file, min(left, CHUNK))
            digest.update(content)
            out.write(content)
            left -= len(content)
        out.flush()
        os.fsync(out.fileno())
    _skip_padding(file, size)
    return digest.hexdigest()


def _is_safe(name: str) -> bool:
    """Whether a file's name stays in its folder."""
    parts = name.split("/")
    return len(parts) <= DEPTH_LIMIT and all(
        PART.fullmatch(part) and part not in (".", "..") for part in parts
    )


def _check_job(job: object) -> None:
    if not isinstance(job, dict) or not isinstance(job.get("id"), str) or not ID.fullmatch(job["id"]):
        raise _wrong("it has no job's id")
    try:
        check({"name": None, **job}, JOB_CHANGES)
        check_config(job.get("config"))
    except (SchemaError, BadRequestError) as fault:
        raise _wrong(str(fault)) from None
    if job.get("status") not in TERMINAL:
        raise _wrong("its job is not over")
    for field in ("createdAt", "startedAt", "completedAt"):
        _check_time(job.get(field), needed=field == "createdAt")
    error = job.get("error")
    if not isinstance(job.get("metrics", {}), dict) or not isinstance(job.get("settings", {}), dict):
        raise _wrong("its figures or settings are none")
    if error is not None and not (isinstance(error, str) and len(error) <= ERROR_LIMIT):
        raise _wrong("its error is no text")


def _check_time(value: object, *, needed: bool) -> None:
    if value is None and not needed:
        return
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        raise _wrong("one of its times is none") from None
