"""Replaces parts of a large file atomically: everything else is copied from the current file.

Other programs (an editor, ``git checkout``, a second Studio) may write the same file. The lock holds off
those that respect locks; the comparison before and after the copy detects those that do not.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import stat
import sys
import threading
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from .atomic_write import ChangedError, temporary_beside
from .unbuffered_copy import FULL, Segment, write_unbuffered

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    State = tuple[int, ...]

PATIENCE: Final = 5.0
"""Seconds to wait for another program's lock."""
PIECE: Final = 2**20
LARGE: Final = 2**25
"""Size in bytes from which a file is written past the page cache: the flush of a copy in the page cache, and
dropping the old file from it, take longer than writing.
"""
CONTEXT: Final = 64
"""Bytes on each side by which a spliced part is found again."""
LEAST: Final = 16
"""Minimum number of bytes to search for: fewer could match anywhere."""
_HERE: Final = -100
_EXCHANGE: Final = 2
"""``AT_FDCWD`` and ``RENAME_EXCHANGE`` of Linux."""
_OPEN: Final = (
    os.O_RDWR | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
)


class Splice(NamedTuple):
    """``size`` bytes at ``offset`` are replaced by ``new``."""

    offset: int
    size: int
    new: bytes


class Part(NamedTuple):
    """A replaced part: its offset in the new file, its old and new content, and the bytes around it."""

    offset: int
    old: bytes
    new: bytes
    before: bytes
    after: bytes


def state_of(path: Path) -> State:
    """Return what tells one version of a file from another."""
    return _state(path.lstat())


def _state(of: os.stat_result) -> State:
    return (of.st_dev, of.st_ino, of.st_mtime_ns, of.st_ctime_ns, of.st_size)


class SplicedFile:
    """A regular file, open and locked; see `opened`."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path, self._handle = path, handle
        self._stat = os.fstat(handle)
        self.state = _state(self._stat)
        self._written: os.stat_result | None = None

    def read(self, offset: int, size: int) -> bytes:
        """Return ``size`` bytes from ``offset`` on. Raises ChangedError if the file ends before."""
        parts = []
        while size > 0:
            if not (part := os.pread(self._handle, min(size, PIECE), offset)):
                raise ChangedError
            parts.append(part)
            offset, size = offset + len(part), size - len(part)
        return b"".join(parts)

    def replace(self, splices: Sequence[Splice]) -> list[Part]:
        """Write the file with its ``splices``, which do not overlap and are in order; return the parts.

        Raises ChangedError if another program changes the file meanwhile, and OSError if the disk refuses. In
        both cases the file keeps its content.
        """
        parts, segments = self._parts(splices), self._segments(splices)
        size = segments[-1].end if segments else 0
        temporary = temporary_beside(self.path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        out = os.open(temporary, flags, 0o600)
        try:
            try:
                if size < LARGE or not write_unbuffered(out, self._handle, segments):
                    self._write(out, segments)
                os.fchmod(out, stat.S_IMODE(self._stat.st_mode))
                os.fsync(out)
                self._written = os.fstat(out)
            finally:
                os.close(out)
            if state_of(self.path) != self.state:
                raise ChangedError
            self._put(temporary)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
            raise
        _flush_folder(self.path.parent)
        if size >= LARGE:
            self._settle()
        return parts

    def new_state(self) -> State | None:
        """Return the state of the file that was written; None if another program has changed it since."""
        try:
            now, written = self.path.lstat(), self._written
        except OSError:
            return None
        # Not the ctime, which the rename has changed.
        unchanged = written and _state(now)[:3] == _state(written)[:3] and now.st_size == written.st_size
        return _state(now) if unchanged else None

    def _put(self, temporary: Path) -> None:
        """Put the new file in place of the old one.

        A rename may wait for the disk, and another program put its own file there meanwhile. So the names
        are swapped where the system can do that, and swapped back if it was not the old file.
        """
        if not _swap(temporary, self.path):
            temporary.replace(self.path)
            return
        old = temporary.lstat()
        # Not the ctime, which a rename changes.
        if _state(old)[:3] != self.state[:3] or old.st_size != self._stat.st_size:
            temporary.replace(self.path)
            raise ChangedError
        temporary.unlink()

    def _settle(self) -> None:
        """Read the new content into the page cache, then free the old one, while the caller continues."""
        with contextlib.suppress(OSError, RuntimeError):
            # Closing the last descriptor of a removed file frees it, which takes as long as writing it.
            threading.Thread(target=_read_once, args=(os.dup(self._handle), self.path)).start()

    def locate(self, parts: Sequence[Part]) -> list[Splice]:
        """Return the splices that undo ``parts``, wherever they have moved to.

        Raises ChangedError if one is no longer there, or is there more than once.
        """
        splices = []
        for part in parts:
            expected = part.before + part.new + part.after
            start = part.offset - len(part.before)
            if not self._is_at(start, expected):
                start = self._only(expected)
            splices.append(Splice(start + len(part.before), len(part.new), part.old))
        splices.sort(key=lambda splice: splice.offset)
        if any(first.offset + first.size > second.offset for first, second in pairwise(splices)):
            raise ChangedError
        return splices

    def _is_at(self, offset: int, expected: bytes) -> bool:
        return (
            0 <= offset <= self._stat.st_size - len(expected) and self.read(offset, len(expected)) == expected
        )

    def _only(self, expected: bytes) -> int:
        if len(expected) < LEAST or not self._stat.st_size:
            raise ChangedError
        with mmap.mmap(self._handle, 0, access=mmap.ACCESS_READ) as content:
            at = content.find(expected)
            if at < 0 or content.find(expected, at + 1) >= 0:
                raise ChangedError
            return at

    def _parts(self, splices: Sequence[Splice]) -> list[Part]:
        """Return the parts with their context, as they will be in the new file."""
        parts, shift = [], 0
        for splice in splices:
            end = splice.offset + splice.size
            old = self.read(splice.offset, splice.size)
            parts.append((splice.offset + shift, old, splice.new, end))
            shift += len(splice.new) - splice.size
        before_it, result = b"", []
        at = 0
        for index, (offset, old, new, end) in enumerate(parts):
            splice = splices[index]
            start = max(at, splice.offset - CONTEXT)
            before = (before_it + self.read(start, splice.offset - start))[-CONTEXT:]
            after, nearest = b"", end
            for later in splices[index + 1 :]:
                if len(after) >= CONTEXT:
                    break
                after += self.read(nearest, min(CONTEXT, later.offset - nearest))
                if len(after) >= CONTEXT:
                    break
                after, nearest = after + later.new, later.offset + later.size
            if len(after) < CONTEXT:
                after += self.read(nearest, min(CONTEXT, self._stat.st_size - nearest))
            result.append(Part(offset, old, new, before, after[:CONTEXT]))
            before_it, at = (before + new)[-CONTEXT:], end
        return result

    def _segments(self, splices: Sequence[Splice]) -> list[Segment]:
        """Return what the new file consists of, in order."""
        segments, at, end = [], 0, 0
        for offset, size, new in [*splices, Splice(self._stat.st_size, 0, b"")]:
            for source, length, content in ((at, offset - at, None), (0, len(new), new)):
                if length:
                    segments.append(Segment(end, end := end + length, source, content))
            at = offset + size
        return segments

    def _write(self, out: int, segments: Sequence[Segment]) -> None:
        for segment in segments:
            if segment.content is None:
                self._copy(out, segment.source, segment.source + segment.end - segment.start)
            else:
                _write(out, segment.content)

    def _copy(self, out: int, start: int, end: int) -> None:
        """Append the bytes between two offsets, within the kernel if possible."""
        while start < end and hasattr(os, "copy_file_range"):
            try:
                done = os.copy_file_range(self._handle, out, end - start, start)
            except OSError as fault:
                if fault.errno in FULL:
                    raise
                break
            if not done:
                break
            start += done
        while start < end:
            piece = self.read(start, min(PIECE, end - start))
            _write(out, piece)
            start += len(piece)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[SplicedFile]:
    """Open and lock a file to replace parts of it. Raises ChangedError, and OSError for anything irregular.

    A symlink, a device, a file with a second name (a hard link) and one that is locked for long are refused.
    """
    until = time.monotonic() + PATIENCE
    while True:
        handle = os.open(path, _OPEN)
        try:
            state = os.fstat(handle)
            if not stat.S_ISREG(state.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", str(path))
            lock(handle, path, until)
            # While it waited, the holder may have put another file in its place.
            if _state(os.fstat(handle))[:2] == state_of(path)[:2]:
                if os.fstat(handle).st_nlink > 1:
                    raise OSError(errno.EMLINK, "the file has a second name (a hard link)", str(path))
                yield SplicedFile(path, handle)
                return
        finally:
            os.close(handle)
        if time.monotonic() > until:
            raise ChangedError


def lock(handle: int, path: Path | str, until: float) -> None:
    """Lock an open file for writing, where it can be. Raises OSError (EAGAIN) if others hold it too long."""
    while fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise OSError(errno.EAGAIN, "another program has locked it", str(path)) from None
            time.sleep(0.02)
        except OSError:
            return  # no locks on this file system
        else:
            return


def _write(out: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(out, view) :]


def _swap(one: Path, other: Path) -> bool:
    """Swap two names atomically; return False where only a plain rename is possible."""
    if sys.platform != "linux":
        return False
    import ctypes

    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:  # an old libc
        return False
    return bool(rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0)


def _read_once(old: int, path: Path) -> None:
    with contextlib.suppress(OSError), path.open("rb", buffering=0) as file:
        room = bytearray(PIECE)
        while file.readinto(room):
            pass
    os.close(old)


def _flush_folder(folder: Path) -> None:
    """Flush a rename in ``folder`` to disk, where folders can be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0))
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
