"""Receives a job's files from a node, trusting none of them.

The node may be under anybody's control. So a file must have a valid job file name and suffix, and exactly
the announced size and hash; programs are refused. A folder appears complete or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from itertools import chain
from typing import TYPE_CHECKING, Final

from arkor_dev.contract import strict_json
from arkor_dev.contract.events import CHECKPOINT_REMOVED, CHECKPOINT_SAVED, TRAINING_RESUMED
from arkor_dev.local.checkpoints.resume_points import drop_before, drop_later
from arkor_dev.local.execution.messages import Ended, ResumePoint, TrainingEvent
from arkor_dev.local.jobs.atomic_folder import PART
from arkor_dev.local.jobs.job_folder import (
    CHECKPOINTS,
    FINAL,
    RESUME,
    belongs,
    checkpoint_folder,
    drop_checkpoint,
    job_folder,
    resume_folder,
)

from .errors import ProtocolError
from .protocol import CHUNK, RETURNED_FOLDERS, SHA256, file_entry
from .storage.shared import SHARED_FOLDERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from arkor_dev.local.execution.messages import Report, WorkerEvent

    from .protocol import ListedFile
    from .storage.shared import SharedFiles

    Read = Callable[[str, int], bytes]

ATOMIC_PARENTS: Final = (CHECKPOINTS, RESUME)
"""Folders whose subfolders are replaced as a whole; so is ``final`` itself."""
MAX_FILES: Final = 10_000


class IncomingFiles:
    """Receives a job's files. ``read(name, offset)`` returns a chunk of a node's file.

    Files in ``shared`` storage are copied from it instead. ``received`` counts the bytes of the others.
    """

    def __init__(self, data: Path, job_id: str, read: Read, shared: SharedFiles | None = None) -> None:
        self._data, self._job = data, job_id
        self._home = job_folder(data, job_id)
        self._read, self._shared = read, shared
        self.received = 0

    def handle(self, message: Report, snapshot: Callable[[str], bytes]) -> bool:
        """Fetch the files that a worker's ``message`` mentions; return whether to pass the message on.

        ``snapshot(below)`` returns the node's list of the job's files in a folder. Raises the errors of
        `fetch`.
        """
        match message:
            case TrainingEvent(event):
                self._handle_event(event, snapshot)
            case ResumePoint(step):
                return self._take_resume_point(step, snapshot)
            case Ended():
                self.fetch(snapshot("."))
        return True

    def _handle_event(self, event: WorkerEvent, snapshot: Callable[[str], bytes]) -> None:
        if event["type"] == CHECKPOINT_SAVED:
            self.fetch(snapshot(f"{CHECKPOINTS}/{event['step']}"))
        elif event["type"] == TRAINING_RESUMED:
            drop_later(self._data, self._job, event["step"])
        elif (
            event["type"] == CHECKPOINT_REMOVED
            and checkpoint_folder(self._data, self._job, event["step"]).is_dir()
        ):
            drop_checkpoint(self._data, self._job, event["step"])

    def _take_resume_point(self, step: int, snapshot: Callable[[str], bytes]) -> bool:
        if not checkpoint_folder(self._data, self._job, step).is_dir():
            self.fetch(snapshot(f"{RESUME}/{step}"))
            if not resume_folder(self._data, self._job, step).is_dir():
                return False  # the node already has a later one, reported by a later message
        drop_before(self._data, self._job, step)
        return True

    def fetch(self, listing: bytes) -> None:
        """Fetch the files of a node's ``listing`` that differ or are missing here.

        Raises HostileError, and OSError if this machine's disk fails; incomplete folders are removed.
        """
        entries = _parse_listing(listing)
        folders: dict[str, list[ListedFile]] = {}
        for entry in entries:
            parts = entry["name"].split("/")
            depth = 1 if parts[0] == FINAL else 2 if parts[0] in ATOMIC_PARENTS else 0
            folders.setdefault("/".join(parts[:depth]), []).append(entry)
        self._home.mkdir(parents=True, exist_ok=True)
        files = [entry for entry in folders.pop("", []) if not self._has(entry)]
        folders = {name: content for name, content in folders.items() if not all(map(self._has, content))}
        needed = sum(entry["bytes"] for entry in (*files, *chain.from_iterable(folders.values())))
        if needed > shutil.disk_usage(self._home).free:
            raise OSError(errno.ENOSPC, "Not enough disk space for the files of the job")
        for entry in files:
            self._fetch_file(entry)
        for name, content in folders.items():
            self._fetch_folder(name, content)

    def _has(self, entry: ListedFile) -> bool:
        """Return whether the same file already exists here."""
        path = self._home / entry["name"]
        with contextlib.suppress(OSError):
            if path.is_symlink() or path.stat().st_size != entry["bytes"]:
                return False
            return file_entry(path)["sha256"] == entry["sha256"]
        return False

    def _fetch_file(self, entry: ListedFile) -> None:
        target = self._home / entry["name"]
        part = target.with_name(f"{target.name}{PART}")
        self._download(entry, part)
        part.replace(target)

    def _fetch_folder(self, name: str, entries: Iterable[ListedFile]) -> None:
        target = self._home / name
        part, old = (target.with_name(f"{target.name}{end}{PART}") for end in ("", ".old"))
        for leftover in (part, old):
            shutil.rmtree(leftover, ignore_errors=True)
        try:
            for entry in entries:
                path = part / entry["name"].removeprefix(f"{name}/")
                path.parent.mkdir(parents=True, exist_ok=True)
                if self._has(entry):
                    shutil.copyfile(self._home / entry["name"], path)
                else:
                    self._download(entry, path)
            if target.exists():
                target.rename(old)
            part.rename(target)
        finally:
            for leftover in (part, old):
                shutil.rmtree(leftover, ignore_errors=True)

    def _download(self, entry: ListedFile, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        shared = self._shared if entry["name"].split("/")[0] in SHARED_FOLDERS else None
        if shared and shared.fetch(entry["sha256"], entry["bytes"], target):
            return
        digest, done = hashlib.sha256(), 0
        with target.open("wb") as file:
            while done < entry["bytes"]:
                chunk = self._read(entry["name"], done)
                if not 0 < len(chunk) <= min(CHUNK, entry["bytes"] - done):
                    raise ProtocolError(f"{entry['name']} with a different size than announced")
                digest.update(chunk)
                file.write(chunk)
                done += len(chunk)
            file.flush()
            os.fsync(file.fileno())
        self.received += done
        if digest.hexdigest() != entry["sha256"]:
            raise ProtocolError(f"{entry['name']} with different content than announced")


def _parse_listing(listing: bytes) -> list[ListedFile]:
    try:
        entries = strict_json.parse(listing)
    except ValueError:
        raise ProtocolError("an invalid list of files") from None
    if not isinstance(entries, list) or len(entries) > MAX_FILES:
        raise ProtocolError("an invalid list of files")
    names_so_far = set()
    files: list[ListedFile] = []
    for entry in entries:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not _belongs(name):
            raise ProtocolError(f"a file {str(name)[:80]!r}, which is not a file of a job")
        size, sha256 = entry.get("bytes"), entry.get("sha256")
        is_valid = type(size) is int and size >= 0 and isinstance(sha256, str) and SHA256.fullmatch(sha256)
        if not is_valid or name in names_so_far:
            raise ProtocolError(f"a file {name[:80]!r} without a size or a hash")
        names_so_far.add(name)
        files.append({"name": name, "bytes": size, "sha256": sha256})
    return files


def _belongs(name: str) -> bool:
    """Return whether a training run may have written a file of this name; programs are excluded."""
    return belongs(name) and name.split("/")[0] in RETURNED_FOLDERS
