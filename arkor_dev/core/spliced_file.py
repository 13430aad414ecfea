"""Replaces parts of a file of a project atomically: a copy with the new parts takes its name.

Folder, file and copy are opened by descriptor, from the project's folder down and without following a link.
So a folder that is swapped for a link meanwhile leads nowhere else.

Other programs (an editor, ``git checkout``, a second Studio) may write the same file. A lock holds off those
that respect locks. The comparison before and after the copy detects what is written meanwhile. A program that
has had the file open for longer would keep writing into the old file, which no longer has a name. If the file
is the user's own and on a local disk of Linux, such a program is found, and nothing is replaced while it has
the file open. Elsewhere (macOS, network file systems) its later writes cannot be detected, and are lost.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
import sys
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

from arkor_dev.contract.regular_files import folder_of

from .atomic_write import ChangedError, state_of, temporary_in

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from .atomic_write import State

PATIENCE: Final = 5.0
"""Seconds to wait for another program's lock."""
CLOSE_PATIENCE: Final = 1.0
"""Seconds to wait until a program that has the file open for writing closes it."""
PIECE: Final = 2**20
CONTEXT: Final = 64
"""Bytes on each side by which a spliced part is found again."""
OPEN_ELSEWHERE: Final = (
    "another program has it open for writing, and what that program writes later would be lost. Close it "
    "there first"
)
LEAST: Final = 16
"""Minimum number of bytes to search for: fewer could match anywhere."""
_EXCHANGE: Final = 2
"""``RENAME_EXCHANGE`` of Linux."""
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Splice(NamedTuple):
    """``size`` bytes at ``offset`` are replaced by ``new``."""

    offset: int
    size: int
    new: bytes


class ReplacedPart(NamedTuple):
    """A replaced part: its offset in the new file, its old and new content, and the bytes around it."""

    offset: int
    old: bytes
    new: bytes
    before: bytes
    after: bytes


class SplicedFile:
    """A regular file, open and locked; see `opened`. ``folder`` and ``handle`` are descriptors."""

    def __init__(self, folder: int, name: str, handle: int) -> None:
        self._folder, self._name, self._handle = folder, name, handle
        self._stat = os.fstat(handle)
        self.state = state_of(self._stat)
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

    def replace(self, splices: Sequence[Splice]) -> list[ReplacedPart]:
        """Write the file with its ``splices``, which do not overlap and are in order; return the parts.

        Raises ChangedError if another program changes the file meanwhile, and OSError if the disk refuses or
        another program has the file open for writing. In all cases the file keeps its content.
        """
        parts = self._parts(splices)
        temporary = temporary_in(self._folder, self._name)
        try:
            self._written = self._write_copy(temporary, splices)
            self._put(temporary)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=self._folder)
        with contextlib.suppress(OSError):  # some file systems do not flush folders
            os.fsync(self._folder)
        return parts

    def is_named(self) -> bool:
        """Return whether its name still leads to it."""
        return os.path.samestat(self._stat, self._named())

    def new_state(self) -> State | None:
        """Return the state of the file that was written; None if another program has changed it since."""
        written = self._written
        try:
            now = self._named()
        except OSError:
            return None
        return state_of(now) if written and _is_unchanged(now, written) else None

    def _write_copy(self, temporary: str, splices: Sequence[Splice]) -> os.stat_result:
        """Write a copy with the splices, flushed to disk; return its state."""
        with os.fdopen(os.open(temporary, _NEW, 0o600, dir_fd=self._folder), "wb") as copy:
            at = 0
            for offset, size, new in [*splices, Splice(self._stat.st_size, 0, b"")]:
                while at < offset:
                    piece = self.read(at, min(PIECE, offset - at))
                    copy.write(piece)
                    at += len(piece)
                copy.write(new)
                at += size
            os.fchmod(copy.fileno(), stat.S_IMODE(self._stat.st_mode))
            copy.flush()
            os.fsync(copy.fileno())
            return os.fstat(copy.fileno())

    def _put(self, temporary: str) -> None:
        """Put the copy in place of the file.

        A rename may wait for the disk, and another program put its own file there meanwhile, or write into
        the old one. So the names are swapped where the system can do that, and swapped back in that case.
        """
        if state_of(self._named()) != self.state or state_of(os.fstat(self._handle)) != self.state:
            raise ChangedError
        if not self._swap(temporary):
            self._rename(temporary)
            return
        old = os.stat(temporary, dir_fd=self._folder, follow_symlinks=False)
        if not _is_unchanged(old, self._stat) or has_writer(self._handle):
            self._rename(temporary)
            raise ChangedError

    def _named(self) -> os.stat_result:
        return os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)

    def _rename(self, temporary: str) -> None:
        os.rename(temporary, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def _swap(self, temporary: str) -> bool:
        """Swap two names atomically; return False where only a plain rename is possible."""
        if sys.platform != "linux":
            return False
        import ctypes

        rename = getattr(ctypes.CDLL(None), "renameat2", None)
        if rename is None:  # an old libc
            return False
        names = os.fsencode(temporary), os.fsencode(self._name)
        return bool(rename(self._folder, names[0], self._folder, names[1], _EXCHANGE) == 0)

    def locate(self, parts: Sequence[ReplacedPart]) -> list[Splice]:
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
        """Return the offset of the only bytes like these. Raises ChangedError if there are none, or more."""
        if len(expected) < LEAST:
            raise ChangedError
        found, size = -1, self._stat.st_size
        for start in range(0, size, PIECE):
            # Each piece overlaps the next one, so that no match is cut in two.
            piece = self.read(start, min(PIECE + len(expected) - 1, size - start))
            at = piece.find(expected)
            if at >= 0 and (found >= 0 or piece.find(expected, at + 1) >= 0):
                raise ChangedError
            found = start + at if at >= 0 else found
        if found < 0:
            raise ChangedError
        return found

    def _parts(self, splices: Sequence[Splice]) -> list[ReplacedPart]:
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
            result.append(ReplacedPart(offset, old, new, before, after[:CONTEXT]))
            before_it, at = (before + new)[-CONTEXT:], end
        return result


@contextlib.contextmanager
def opened(root: Path, name: str) -> Iterator[SplicedFile]:
    """Open and lock the file ``name`` below ``root`` to replace parts of it.

    Raises ChangedError, and OSError for anything irregular: neither the file nor a folder on the way may be a
    symlink. A device, a file with a second name (a hard link), one that is locked for long and one that
    another program has open for writing are refused, too.
    """
    until = time.monotonic() + PATIENCE
    until_closed = time.monotonic() + CLOSE_PATIENCE
    with folder_of(root, name) as (folder, base):
        while True:
            handle = os.open(base, _READ, dir_fd=folder)
            try:
                _check_writable(folder, base, handle)
                lock(handle, name, until)
                file = SplicedFile(folder, base, handle)
                # While it waited, the holder may have put another file in its place.
                if file.is_named():
                    if not has_writer(handle):
                        yield file
                        return
                    if time.monotonic() > until_closed:
                        raise OSError(errno.ETXTBSY, OPEN_ELSEWHERE, name)
                elif time.monotonic() > until:
                    raise ChangedError
            finally:
                os.close(handle)
            # The lock is released meanwhile: the writer may be waiting for it.
            time.sleep(0.02)


def _check_writable(folder: int, name: str, handle: int) -> None:
    """Raise OSError unless it is a regular file with one name that this user may write."""
    state = os.fstat(handle)
    if not stat.S_ISREG(state.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", name)
    if state.st_nlink > 1:
        raise OSError(errno.EMLINK, "the file has a second name (a hard link)", name)
    if not os.access(name, os.W_OK, dir_fd=folder):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)


def has_writer(handle: int) -> bool:
    """Return whether any program has the file of this read-only descriptor open, or mapped, for writing.

    Linux grants a read lease only if none has. False where there are no leases.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        # If another program opens the file just now, the signal must be one that is ignored.
        fcntl.fcntl(handle, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as fault:
        return fault.errno == errno.EAGAIN
    return False


def lock(handle: int, path: Path | str, until: float) -> None:
    """Lock an open file, where it can be. Raises OSError (EAGAIN) if others hold it too long."""
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


def _is_unchanged(one: os.stat_result, other: os.stat_result) -> bool:
    """Return whether it is the same file with the same content, though perhaps under another name."""
    return state_of(one, renamed=True) == state_of(other, renamed=True)
