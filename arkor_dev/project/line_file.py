"""Files of the project that Studio adds lines to: ``data/corrections.jsonl``, ``data/preferences.jsonl``.

A line is added by one write to a file opened for appending and flushed to disk, not by replacing the file. So
nothing that another program (an editor, ``git``, a second Studio) writes meanwhile is lost. A line is written
completely, or removed if the disk accepts only a part of it; after a power cut in the middle, the next line
still begins on its own.

No link leads out of the project: neither ``data`` nor the file may be one. A lock on the file serialises
writes of several Studios. These calls block.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from arkor_dev.contract.errors import BadRequestError, ConflictError, TooLargeError, unwritten
from arkor_dev.contract.regular_files import MIB
from arkor_dev.core.spliced_file import lock

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FOLDER: Final = "data"
FILE_LIMIT: Final = 16 * MIB
LINE_LIMIT: Final = MIB // 4
PATIENCE: Final = 5.0
"""Seconds to wait for another Studio, which holds the lock only during a write."""
_CLOSED: Final = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_OPEN: Final = os.O_RDWR | os.O_APPEND | getattr(os, "O_NONBLOCK", 0) | _CLOSED
PART: Final = ".part"
"""Suffix of a file that is about to replace another."""


def includes(source: object, file: str) -> bool:
    """Return whether a ``DatasetSource`` includes a file of the folder ``data``."""
    if not isinstance(source, dict):
        return False
    if source.get("type") == "list":
        parts = source.get("sources")
        return isinstance(parts, list) and any(includes(part, file) for part in parts)
    path = source.get("path")
    return source.get("type") == "file" and isinstance(path, str) and path in (file, FOLDER, ".")


@dataclass(slots=True)
class LineFile:
    """The open, locked file ``data/<name>``; ``created`` if it was just created."""

    name: str
    folder: int
    handle: int
    created: bool

    @property
    def path(self) -> str:
        return f"{FOLDER}/{self.name}"

    def read(self) -> bytes:
        """Return its content. Raises TooLargeError."""
        size = os.fstat(self.handle).st_size
        if size > FILE_LIMIT:
            raise TooLargeError(
                f"{self.path} has more than {FILE_LIMIT // MIB} MiB: move its lines elsewhere."
            )
        parts, at = [], 0
        while part := os.pread(self.handle, MIB, at):
            parts.append(part)
            at += len(part)
            if at > FILE_LIMIT:
                raise TooLargeError(f"{self.path} grew while it was read.")
        return b"".join(parts)

    def add(self, line: bytes, content: bytes) -> int:
        """Add a ``line`` that ends with a line feed to its ``content``; return how many bytes it added."""
        data = line if not content or content.endswith(b"\n") else b"\n" + line
        self._append(data, FILE_LIMIT)
        return len(data)

    def append(self, lines: bytes, limit: int) -> None:
        """Add ``lines`` that end with a line feed, all or none, to a file of up to ``limit`` bytes."""
        size = os.fstat(self.handle).st_size
        unfinished = size > 0 and os.pread(self.handle, 1, size - 1) != b"\n"
        self._append(b"\n" + lines if unfinished else lines, limit)

    def _append(self, data: bytes, limit: int) -> None:
        before = os.fstat(self.handle).st_size
        if before + len(data) > limit:
            raise TooLargeError(f"{self.path} has {limit // MIB} MiB: move its lines elsewhere first.")
        try:
            count = os.write(self.handle, data)
            if count < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self.handle)
            if self.created:
                os.fsync(self.folder)
        except BaseException as fault:
            # Only our own bytes: what others have added meanwhile stays.
            if before < os.fstat(self.handle).st_size <= before + len(data):
                os.ftruncate(self.handle, before)
            if self.created and os.fstat(self.handle).st_size == 0:
                os.unlink(self.name, dir_fd=self.folder)
            if isinstance(fault, OSError):
                raise unwritten(self.path, fault) from None
            raise

    def replace(self, content: bytes) -> None:
        """Replace the file by one with this ``content``; those waiting for the lock open the new one."""
        mode = stat.S_IMODE(os.fstat(self.handle).st_mode)
        part = f".{self.name}{PART}"
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part, dir_fd=self.folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOSED
            with os.fdopen(os.open(part, flags, mode, dir_fd=self.folder), "wb") as new:
                new.write(content)
                new.flush()
                os.fsync(new.fileno())
            os.rename(part, self.name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
            os.fsync(self.folder)
        except OSError as fault:
            raise unwritten(self.path, fault) from None

    def cut(self, size: int, *, remove: bool) -> None:
        """Shorten it; with ``remove``, an empty file is removed."""
        os.ftruncate(self.handle, size)
        os.fsync(self.handle)
        if remove and size == 0:
            os.unlink(self.name, dir_fd=self.folder)
            os.fsync(self.folder)

    def token(self, start: int, data: bytes, *, new: bool | None = None) -> str:
        """Return an undo token for ``data``, the last bytes of the file, and the file's current state."""
        state, created = os.fstat(self.handle), self.created if new is None else new
        digest = hashlib.sha256(data).hexdigest()[:32]
        return f"{'n' if created else 'a'}.{start}.{len(data)}.{state.st_ino}.{state.st_mtime_ns}.{digest}"


@contextlib.contextmanager
def opened(project: Path, name: str, *, make: bool) -> Iterator[LineFile]:
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
                handle, created = _handle(folder, name, make=make)
                with contextlib.ExitStack() as trying:
                    trying.callback(os.close, handle)
                    try:
                        lock(handle, name, until)
                    except BlockingIOError:
                        text = f"Another program holds {FOLDER}/{name}. Try again."
                        raise ConflictError(text) from None
                    # While we waited, the holder may have removed it: this file then has no name left.
                    if os.fstat(handle).st_nlink:
                        stack.push(trying.pop_all())
                        break
        except FileNotFoundError:
            raise
        except OSError as fault:
            path = f"{FOLDER}/{name}"
            linked = (project / FOLDER).is_symlink() or (project / path).is_symlink()
            text = f"{path} cannot be written: {fault.strerror}."
            if linked:
                text = f"{path} is a symlink, or lies in one. Studio does not write through it: put a file "
                text += "there."
            raise BadRequestError(text) from None
        yield LineFile(name, folder, handle, created)


def json_rows(content: bytes) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield each line that is a JSON object, with its number from 1."""
    for number, line in enumerate(content.split(b"\n"), 1):
        with contextlib.suppress(ValueError, RecursionError):
            row = json.loads(line) if line.strip() else None
            if isinstance(row, dict):
                yield number, row


def to_line(row: Mapping[str, object], name: str) -> bytes:
    """Return a row as a line. Raises TooLargeError beyond LINE_LIMIT; ``name`` says what is too long."""
    line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    if len(line) > LINE_LIMIT:
        limit = f"{LINE_LIMIT // 1024} KiB including the messages before it"
        raise TooLargeError(f"A {name} has at most {limit}.")
    return line


def _handle(folder: int, name: str, *, make: bool) -> tuple[int, bool]:
    """Open a regular file with a single name; return its descriptor and whether it was created."""
    created = False
    try:
        handle = os.open(name, _OPEN, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
        created = True
        handle = os.open(name, _OPEN | os.O_CREAT, 0o644, dir_fd=folder)
    state = os.fstat(handle)
    if not stat.S_ISREG(state.st_mode) or state.st_nlink > 1:
        os.close(handle)
        raise BadRequestError(f"{FOLDER}/{name} isn't a regular file (it is a device, or a hard link).")
    return handle, created
