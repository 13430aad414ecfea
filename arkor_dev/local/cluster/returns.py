"""The files that come back from a node, with their hashes. None of them is trusted.

A node may be anybody's. Its files have to be those that a job has, by their names and endings, of the size
and with the hash that it told; no program is among them. A folder is in its place whole, or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract import strict_json
from arkor_dev.contract.events import CHECKPOINT_REMOVED, CHECKPOINT_SAVED, TRAINING_RESUMED
from arkor_dev.local.checkpoints.points import drop_before, drop_later
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
from arkor_dev.local.jobs.whole_folder import PART

from .answers import HostileError
from .names import CHUNK, FOLDERS, SHA256, described
from .storage.shared import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from .storage.shared import Shared

    Read = Callable[[str, int], bytes]

WHOLE: Final = (CHECKPOINTS, RESUME)
"""Folders of folders that are written whole; ``final`` is one of its own."""
FILES: Final = 10_000


class Returns:
    """A job's files on this machine, as they come. ``read(name, offset)`` is a piece of one on the node.

    What machines share, in a folder or a store, is taken from there: ``shared``.
    """

    def __init__(self, data: Path, job_id: str, read: Read, shared: Shared | None = None) -> None:
        self._data, self._job = data, job_id
        self._home = job_folder(data, job_id)
        self._read, self._shared = read, shared
        self.received = 0

    def bring(self, message: Mapping[str, Any], snapshot: Callable[[str], bytes]) -> bool:
        """Bring what a worker's ``message`` tells of; whether it is true here, and may be passed on.

        ``snapshot(below)`` is the node's listing of the job's files there. Raises as `take` does.
        """
        step, name = message.get("fields", {}).get("step"), message.get("event")
        if name in (CHECKPOINT_SAVED, CHECKPOINT_REMOVED, TRAINING_RESUMED) and type(step) is not int:
            raise HostileError(f"{name} without a step")
        if name == CHECKPOINT_SAVED:
            self.take(snapshot(f"{CHECKPOINTS}/{step}"))
        elif name == CHECKPOINT_REMOVED and checkpoint_folder(self._data, self._job, step).is_dir():
            drop_checkpoint(self._data, self._job, step)
        elif name == TRAINING_RESUMED:
            drop_later(self._data, self._job, step)
        elif "kept" in message:
            step = message["kept"]
            if not checkpoint_folder(self._data, self._job, step).is_dir():
                self.take(snapshot(f"{RESUME}/{step}"))
                if not resume_folder(self._data, self._job, step).is_dir():
                    return False  # a later one has taken its place on the node, and will come
            drop_before(self._data, self._job, step)
        elif "end" in message:
            self.take(snapshot("."))
        return True

    def take(self, listing: bytes) -> None:
        """Bring the files of a node's ``listing`` that are not here as they are there.

        Raises HostileError, and OSError where this disk refuses; what is not whole is not there then.
        """
        entries = _checked(listing)
        folders: dict[str, list[dict[str, Any]]] = {}
        for entry in entries:
            parts = entry["name"].split("/")
            whole = parts[0] == FINAL or parts[0] in WHOLE
            depth = 0 if not whole else 1 if parts[0] == FINAL else 2
            folders.setdefault("/".join(parts[:depth]), []).append(entry)
        self._home.mkdir(parents=True, exist_ok=True)
        files = [entry for entry in folders.pop("", []) if not self._has(entry)]
        folders = {name: inside for name, inside in folders.items() if not all(map(self._has, inside))}
        needed = sum(entry["bytes"] for entry in (*files, *chain.from_iterable(folders.values())))
        if needed > shutil.disk_usage(self._home).free:
            raise OSError(errno.ENOSPC, "The disk has no room for what the job has made")
        for entry in files:
            self._take_file(entry)
        for name, inside in folders.items():
            self._take_folder(name, inside)

    def _has(self, entry: Mapping[str, Any]) -> bool:
        """Whether the file is here as it is there."""
        path = self._home / entry["name"]
        with contextlib.suppress(OSError):
            if path.is_symlink() or not _sized(path, entry):
                return False
            return bool(described(path)["sha256"] == entry["sha256"])
        return False

    def _take_file(self, entry: Mapping[str, Any]) -> None:
        target = self._home / entry["name"]
        part = target.with_name(f"{target.name}{PART}")
        self._fetch(entry, part)
        part.replace(target)

    def _take_folder(self, name: str, entries: Iterable[Mapping[str, Any]]) -> None:
        target = self._home / name
        part, old = (target.with_name(f"{target.name}{end}{PART}") for end in ("", ".old"))
        for rest in (part, old):
            shutil.rmtree(rest, ignore_errors=True)
        try:
            for entry in entries:
                place = part / entry["name"].removeprefix(f"{name}/")
                place.parent.mkdir(parents=True, exist_ok=True)
                if self._has(entry):
                    shutil.copyfile(self._home / entry["name"], place)
                else:
                    self._fetch(entry, place)
            if target.exists():
                target.rename(old)
            part.rename(target)
        finally:
            for rest in (part, old):
                shutil.rmtree(rest, ignore_errors=True)

    def _fetch(self, entry: Mapping[str, Any], place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        shared = self._shared if entry["name"].split("/")[0] in KINDS else None
        if shared and shared.take(entry["sha256"], entry["bytes"], place):
            return
        digest, done = hashlib.sha256(), 0
        with place.open("wb") as file:
            while done < entry["bytes"]:
                piece = self._read(entry["name"], done)
                if not 0 < len(piece) <= min(CHUNK, entry["bytes"] - done):
                    raise HostileError(f"{entry['name']} with another size than it told")
                digest.update(piece)
                file.write(piece)
                done += len(piece)
            file.flush()
            os.fsync(file.fileno())
        self.received += done
        if digest.hexdigest() != entry["sha256"]:
            raise HostileError(f"{entry['name']} with other bytes than it told")


def _checked(listing: bytes) -> list[dict[str, Any]]:
    try:
        entries = strict_json.parse(listing)
    except ValueError:
        raise HostileError("a list of files that is none") from None
    if not isinstance(entries, list) or len(entries) > FILES:
        raise HostileError("a list of files that is none")
    seen = set()
    for entry in entries:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not _belongs(name):
            raise HostileError(f"a file {str(name)[:80]!r}, which no job has")
        size, sha256 = entry.get("bytes"), entry.get("sha256")
        sound = type(size) is int and size >= 0 and isinstance(sha256, str) and SHA256.fullmatch(sha256)
        if not sound or name in seen:
            raise HostileError(f"a file {name[:80]!r} without a size or a hash")
        seen.add(name)
    return entries


def _belongs(name: str) -> bool:
    """Whether a run has made a file of this name, which is no program."""
    return belongs(name) and name.split("/")[0] in FOLDERS


def _sized(path: Path, entry: Mapping[str, Any]) -> bool:
    return bool(path.stat().st_size == entry["bytes"])
