"""Replaces parts of a large file atomically: everything else is copied from the current file.

Other programs (an editor, ``git checkout``, a second Studio) may write the same file. The lock holds off
those that respect locks; the comparison before and after the copy detects those that do not.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import secrets
import stat
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from .atomic_write import ChangedError

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
WRITTEN_AT_ONCE: Final = 2**25
"""Bytes that are copied before the disk is to begin with them."""
CONTEXT: Final = 64
"""Bytes on each side by which a spliced part is found again."""
LEAST: Final = 16
"""Minimum number of bytes to search for: fewer could match anywhere."""
_FULL: Final = (errno.ENOSPC, errno.EIO, errno.EDQUOT)
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
        parts = self._parts(splices)
        temporary = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        out = os.open(temporary, flags, 0o600)
        try:
            try:
                self._reserve(out, sum(len(new) - size for _, size, new in splices))
                at = 0
                for splice in splices:
                    self._copy(out, at, splice.offset)
                    _write(out, splice.new)
                    at = splice.offset + splice.size
                self._copy(out, at, self._stat.st_size)
                os.fchmod(out, stat.S_IMODE(self._stat.st_mode))
                os.fsync(out)
            finally:
                os.close(out)
            if state_of(self.path) != self.state:
                raise ChangedError
            temporary.replace(self.path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
            raise
        return parts

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

    def _reserve(self, out: int, grown: int) -> None:
        """Allocate a large file at once: block by block takes longer than the copy."""
        size = self._stat.st_size + grown
        if size > WRITTEN_AT_ONCE and hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(out, 0, size)
            except OSError as fault:
                if fault.errno in _FULL:
                    raise

    def _copy(self, out: int, start: int, end: int) -> None:
        """Append the bytes between two offsets, within the kernel if possible."""
        while start < end and hasattr(os, "copy_file_range"):
            try:
                done = os.copy_file_range(self._handle, out, min(end - start, WRITTEN_AT_ONCE), start)
            except OSError as fault:
                if fault.errno in _FULL:
                    raise
                break
            if not done:
                break
            start += done
            if done == WRITTEN_AT_ONCE:
                # Linux starts to write pages marked as not needed, so the disk works during the copy.
                os.posix_fadvise(out, os.lseek(out, 0, os.SEEK_CUR) - done, done, os.POSIX_FADV_DONTNEED)
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
            _lock(handle, path, until)
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


def _lock(handle: int, path: Path, until: float) -> None:
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
