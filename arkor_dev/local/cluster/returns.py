"""What comes back from a node: messages, and files with their hashes. None of it is trusted.

A node may be anybody's. Its messages have to be those of a training worker, its files those that a job has,
by their names and endings, of the size and with the hash that it told; no program is among them. A folder is
in its place whole, or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract import strict_json
from arkor_dev.contract.events import CHECKPOINT_REMOVED, CHECKPOINT_SAVED, TRAINING_RESUMED
from arkor_dev.local.checkpoints.points import drop_before, drop_later
from arkor_dev.local.jobs.artifacts import checkpoint_folder, drop_checkpoint, job_folder, resume_folder
from arkor_dev.local.jobs.whole_folder import PART
from arkor_dev.local.workers.errors import JobFailure

from .names import CHUNK, SHA256, described, is_safe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from .shared import Shared

    Read = Callable[[str, int], bytes]

WHOLE: Final = ("checkpoints", "resume")
"""Folders of folders that are written whole; ``final`` is one of its own."""
LOOSE: Final = "evaluation"
ENDINGS: Final = (".safetensors", ".json", ".jsonl", ".md", ".txt", ".jinja", ".model")
STATE: Final = "state.pt"
"""It is read as data (``checkpoints.state``), never as a program."""
FILES: Final = 10_000
ENDS: Final = ("completed", "failed", "paused", "cancelled")
NAME: Final = 100


class HostileError(Exception):
    """A node has sent what no worker sends; ``str()`` says what."""


def messages_of(answer: bytes) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """The messages of a node's answer, and how its worker ended, where it has. Raises HostileError."""
    try:
        told = strict_json.parse(answer)
        messages, over = told["messages"], told["over"]
        sound = isinstance(messages, list) and all(_is_message(message) for message in messages)
        sound &= over is None or isinstance(over["cause"], str)
    except (ValueError, KeyError, TypeError):
        sound = False
    if not sound:
        raise HostileError("a message that is none")
    return messages, over


def meeting_of(answer: bytes) -> tuple[int | None, dict[str, Any] | None]:
    """The port of a node's answer at which workers meet, once it is there; its end as `messages_of` has it.

    Raises HostileError, and JobFailure with the reason of a worker that has failed.
    """
    with contextlib.suppress(ValueError, KeyError, TypeError):
        if (told := strict_json.parse(answer))["messages"]:
            first, port = told["messages"][0], told["messages"][0]["meets"]
            if len(first) == 1 and type(port) is int and 0 < port < 1 << 16:
                return port, None
    messages, over = messages_of(answer)
    if messages and messages[0].get("end") == "failed":
        raise JobFailure(str(messages[0]["fields"].get("error")))
    if messages:
        raise HostileError("something else than where its workers meet")
    return None, over


def _is_message(message: object) -> bool:
    if not isinstance(message, dict) or len(message) > 2:
        return False
    fields = isinstance(message.get("fields"), dict)
    if "event" in message:
        name = message["event"]
        return fields and isinstance(name, str) and 0 < len(name) <= NAME and name.isprintable()
    if "end" in message:
        return fields and message["end"] in ENDS
    if "kept" in message:
        return type(message["kept"]) is int and 0 <= message["kept"] < 1 << 62
    progress = message.get("progress")
    if not isinstance(progress, dict) or progress.keys() != {"label", "done", "total", "unit"}:
        return False
    numbers = (int, float)
    return (
        isinstance(progress["label"], str)
        and isinstance(progress["unit"], str)
        and isinstance(progress["done"], numbers)
        and isinstance(progress["total"], (*numbers, type(None)))
    )


def renamed(value: Any, there: str, here: Mapping[str, str]) -> Any:
    """``value`` with every folder of the node's ``there`` in its texts called as it is ``here``, by name."""
    if isinstance(value, str):
        if there in value:
            for name, folder in here.items():
                value = value.replace(f"{there}/{name}", folder)
        return value
    if isinstance(value, list):
        return [renamed(each, there, here) for each in value]
    if isinstance(value, dict):
        return {key: renamed(each, there, here) for key, each in value.items()}
    return value


class Returns:
    """A job's files on this machine, as they come. ``read(name, offset)`` is a piece of one on the node.

    What lies in a ``shared`` folder is taken from there.
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
            self.take(snapshot(f"checkpoints/{step}"))
        elif name == CHECKPOINT_REMOVED and checkpoint_folder(self._data, self._job, step).is_dir():
            drop_checkpoint(self._data, self._job, step)
        elif name == TRAINING_RESUMED:
            drop_later(self._data, self._job, step)
        elif "kept" in message:
            step = message["kept"]
            if not checkpoint_folder(self._data, self._job, step).is_dir():
                self.take(snapshot(f"resume/{step}"))
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
            whole = parts[0] == "final" or parts[0] in WHOLE
            depth = 0 if not whole else 1 if parts[0] == "final" else 2
            folders.setdefault("/".join(parts[:depth]), []).append(entry)
        needed = sum(entry["bytes"] for entry in entries)
        self._home.mkdir(parents=True, exist_ok=True)
        if needed > shutil.disk_usage(self._home).free:
            raise OSError(errno.ENOSPC, "The disk has no room for what the job has made")
        for entry in folders.pop("", []):
            self._take_file(entry)
        for name, inside in folders.items():
            self._take_folder(name, inside)

    def _take_file(self, entry: Mapping[str, Any]) -> None:
        target = self._home / entry["name"]
        if not _same(target, entry):
            part = target.with_name(f"{target.name}{PART}")
            self._fetch(entry, part)
            part.replace(target)

    def _take_folder(self, name: str, entries: Iterable[Mapping[str, Any]]) -> None:
        target = self._home / name
        part, old = (target.with_name(f"{target.name}{end}{PART}") for end in ("", ".old"))
        entries = list(entries)
        if all(_same(self._home / entry["name"], entry) for entry in entries):
            return
        for rest in (part, old):
            shutil.rmtree(rest, ignore_errors=True)
        try:
            for entry in entries:
                place = part / entry["name"].removeprefix(f"{name}/")
                place.parent.mkdir(parents=True, exist_ok=True)
                if _same(known := self._home / entry["name"], entry):
                    shutil.copyfile(known, place)
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
        if self._shared and self._shared.take(entry["sha256"], place) and _sized(place, entry):
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
    """Whether a job has a file of this name, and it is no program."""
    if not is_safe(name):
        return False
    parts = name.split("/")
    if any(part.endswith(PART) for part in parts) or len(parts) < 2:
        return False
    if parts[0] in WHOLE:
        if len(parts) < 3 or not (parts[1].isascii() and parts[1].isdecimal() and len(parts[1]) < 19):
            return False
        if len(parts) == 3 and parts[2] == STATE:
            return True
    elif parts[0] not in ("final", LOOSE):
        return False
    return name.endswith(ENDINGS)


def _sized(path: Path, entry: Mapping[str, Any]) -> bool:
    return bool(path.stat().st_size == entry["bytes"])


def _same(path: Path, entry: Mapping[str, Any]) -> bool:
    with contextlib.suppress(OSError):
        if path.is_symlink() or not _sized(path, entry):
            return False
        return bool(described(path)["sha256"] == entry["sha256"])
    return False
