"""Corrected answers: ``data/corrections.jsonl`` of the project, one chat per line.

A line is added by one write to a file opened for appending and flushed to disk, not by replacing the file. So
nothing that another program (an editor, ``git``, a second Studio) writes meanwhile is lost. A line is
complete, or is taken back if the disk accepts only a part of it; after a power cut in the middle, the next
line still begins on its own.

No link leads out of the project: neither ``data`` nor the file may be one. Studios take turns by a lock on
the file. These calls block.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from arkor_dev.contract.errors import BadRequestError, ConflictError, InternalError, TooLargeError
from arkor_dev.contract.regular_files import MIB

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from arkor_dev.contract.dataset_shapes import Correction, CorrectionAdded

FOLDER: Final = "data"
NAME: Final = "corrections.jsonl"
FILE: Final = f"{FOLDER}/{NAME}"
LINE_LIMIT: Final = MIB // 4
FILE_LIMIT: Final = 16 * MIB
SHOWN: Final = 200
"""Lines that are read back, newest ones."""
PATIENCE: Final = 5.0
"""Seconds to wait for another Studio, which holds the lock only during a write."""
_CLOSED: Final = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_OPEN: Final = os.O_RDWR | os.O_APPEND | getattr(os, "O_NONBLOCK", 0) | _CLOSED
_TOKEN: Final = re.compile(r"([na])\.(\d{1,12})\.(\d{1,12})\.(\d{1,20})\.(\d{1,20})\.([0-9a-f]{32})")

LINKED: Final = f"{FILE} is a symlink, or lies in one. Studio does not write through it: put a file there."
CHANGED: Final = f"{FILE} has changed since, so nothing was removed. Remove the line by hand."


def add_correction(
    project: Path, messages: Sequence[dict[str, Any]], instead: str, by: str
) -> CorrectionAdded:
    """Append a conversation whose last message is the ideal answer.

    ``instead`` is the answer that was given, ``by`` what gave it. Raises ConflictError if the same
    conversation exists already, TooLargeError beyond the limits, and BadRequestError or InternalError for a
    file that cannot be written.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    row = {"messages": list(messages), "corrected": {"at": now, "by": by, "instead": instead}}
    line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    if len(line) > LINE_LIMIT:
        raise TooLargeError(
            f"A correction has at most {LINE_LIMIT // 1024} KiB including the messages before it."
        )
    with _opened(project, make=True) as file:
        content = file.read()
        if len(content) + len(line) > FILE_LIMIT:
            raise TooLargeError(f"{FILE} has {FILE_LIMIT // MIB} MiB: move its lines elsewhere first.")
        said, asked = _said(messages), _said(messages[:-1])
        others = []
        for number, known in _rows(content):
            if _said(known["messages"]) == said:
                text = f"The same correction is in line {number} of {FILE} already."
                raise ConflictError(text, line=number)
            if _said(known["messages"][:-1]) == asked:
                others.append(number)
        data = line if not content or content.endswith(b"\n") else b"\n" + line
        file.append(data)
        number = content.count(b"\n") + (1 if data is line else 2)
        undo = file.token(len(content), data)
        return {"file": FILE, "line": number, "sameQuestion": others[-20:], "undo": undo}


def undo_correction(project: Path, token: str) -> None:
    """Remove the line that ``add_correction`` added with this ``undo``, if the file is unchanged since.

    Raises ConflictError if it is not, and BadRequestError for an invalid token.
    """
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise BadRequestError("This is not a valid undo token.")
    start, length = int(found[2]), int(found[3])
    try:
        with _opened(project, make=False) as file:
            content = file.read()
            data = content[start:]
            if len(data) != length or file.token(start, data, new=found[1] == "n") != token:
                raise ConflictError(CHANGED)
            file.cut(start, remove=found[1] == "n")
    except FileNotFoundError:
        raise ConflictError(CHANGED) from None


def read_corrections(project: Path) -> tuple[list[Correction], int]:
    """Return the newest corrections in the file's order, and how many older ones there are.

    Invalid lines are skipped.
    """
    try:
        with _opened(project, make=False) as file:
            content = file.read()
    except FileNotFoundError:
        return [], 0
    rows: list[Correction] = []
    for number, row in _rows(content):
        messages = [{"role": each["role"], "content": each["content"]} for each in row["messages"]]
        read: Correction = {"line": number, "messages": messages}  # type: ignore[typeddict-item]
        told = row.get("corrected")
        if isinstance(told, dict):
            for key in ("at", "by", "instead"):
                if isinstance(told.get(key), str):
                    read[key] = told[key]
        rows.append(read)
    return rows[-SHOWN:], max(0, len(rows) - SHOWN)


def lists_corrections(source: object) -> bool:
    """Return whether a ``DatasetSource`` includes the file."""
    if not isinstance(source, dict):
        return False
    if source.get("type") == "list":
        parts = source.get("sources")
        return isinstance(parts, list) and any(map(lists_corrections, parts))
    path = source.get("path")
    return source.get("type") == "file" and isinstance(path, str) and path in (FILE, FOLDER, ".")


def _rows(content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each line that is a chat ending in an answer, with its number from 1."""
    for number, line in enumerate(content.split(b"\n"), 1):
        try:
            row = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError):
            continue
        messages = row.get("messages") if isinstance(row, dict) else None
        if (
            isinstance(row, dict)
            and isinstance(messages, list)
            and messages
            and all(map(_is_message, messages))
            and messages[-1]["role"] == "assistant"
        ):
            yield number, row


def _is_message(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("role"), str)
        and isinstance(value.get("content"), str)
    )


def _said(messages: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["role"], each["content"].strip()) for each in messages]


@dataclass(slots=True)
class _File:
    """The open, locked file; ``made`` if it was just created."""

    folder: int
    handle: int
    made: bool

    def read(self) -> bytes:
        size = os.fstat(self.handle).st_size
        if size > FILE_LIMIT:
            raise TooLargeError(f"{FILE} has more than {FILE_LIMIT // MIB} MiB: move its lines elsewhere.")
        parts, at = [], 0
        while part := os.pread(self.handle, MIB, at):
            parts.append(part)
            at += len(part)
            if at > FILE_LIMIT:
                raise TooLargeError(f"{FILE} grew while it was read.")
        return b"".join(parts)

    def append(self, data: bytes) -> None:
        before = os.fstat(self.handle).st_size
        try:
            written = os.write(self.handle, data)
            if written < len(data):
                raise InternalError(f"The disk is full: the correction is not in {FILE}.")
            os.fsync(self.handle)
            if self.made:
                os.fsync(self.folder)
        except BaseException as fault:
            # Only our own bytes: what others have added meanwhile stays.
            if before < os.fstat(self.handle).st_size <= before + len(data):
                os.ftruncate(self.handle, before)
            if isinstance(fault, OSError):
                raise InternalError(f"{FILE} cannot be written: {fault.strerror}. It is as it was.") from None
            raise

    def cut(self, size: int, *, remove: bool) -> None:
        os.ftruncate(self.handle, size)
        os.fsync(self.handle)
        if remove and size == 0:
            os.unlink(NAME, dir_fd=self.folder)
            os.fsync(self.folder)

    def token(self, start: int, data: bytes, *, new: bool | None = None) -> str:
        """Return a token for ``data`` as the last bytes in the file, and for the file's current state."""
        state, made = os.fstat(self.handle), self.made if new is None else new
        digest = hashlib.sha256(data).hexdigest()[:32]
        return f"{'n' if made else 'a'}.{start}.{len(data)}.{state.st_ino}.{state.st_mtime_ns}.{digest}"


@contextlib.contextmanager
def _opened(project: Path, *, make: bool) -> Iterator[_File]:
    """Open and lock the file. Raises FileNotFoundError if it does not exist and must not be created."""
    with contextlib.ExitStack() as stack:
        try:
            if make:
                with contextlib.suppress(FileExistsError):
                    (project / FOLDER).mkdir(mode=0o755)
            folder = os.open(project / FOLDER, os.O_RDONLY | os.O_DIRECTORY | _CLOSED)
            stack.callback(os.close, folder)
            until = time.monotonic() + PATIENCE
            while True:
                handle, made = _handle(folder, make=make)
                with contextlib.ExitStack() as trying:
                    trying.callback(os.close, handle)
                    _lock(handle, until)
                    # While we waited the holder may have removed it: then this file has no name any longer.
                    if os.fstat(handle).st_nlink:
                        stack.push(trying.pop_all())
                        break
        except FileNotFoundError:
            raise
        except OSError as fault:
            linked = (project / FOLDER).is_symlink() or (project / FILE).is_symlink()
            text = LINKED if linked else f"{FILE} cannot be written: {fault.strerror}."
            raise BadRequestError(text) from None
        yield _File(folder, handle, made)


def _handle(folder: int, *, make: bool) -> tuple[int, bool]:
    """Open a regular file with a single name; return its descriptor and whether it was created."""
    made = False
    try:
        handle = os.open(NAME, _OPEN, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
        made = True
        handle = os.open(NAME, _OPEN | os.O_CREAT, 0o644, dir_fd=folder)
    state = os.fstat(handle)
    if not stat.S_ISREG(state.st_mode) or state.st_nlink > 1:
        os.close(handle)
        raise BadRequestError(f"{FILE} isn't a regular file (it is a device, or a hard link).")
    return handle, made


def _lock(handle: int, until: float) -> None:
    while fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise ConflictError(f"Another program holds {FILE}. Try again.") from None
            time.sleep(0.02)
        except OSError:
            return  # no locks on this file system
        else:
            return
