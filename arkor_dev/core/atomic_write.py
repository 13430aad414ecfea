"""Atomic file writes: a reader never sees half a credential, nor half a project.

Every file of docs/contract.md#files is written here, and so are a user's own files that Studio edits: into a
temporary file of mode 0600 in the same folder (the same file system, so that the rename is atomic), flushed
to disk, then renamed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

ABANDONED_SECONDS: Final = 60
"""Age from which a temporary file belongs to a process that was killed."""


def check_writable(folder: Path, mode: int = 0o700) -> None:
    """Create ``folder`` if needed; raise OSError if no file can be created in it.

    For work that must not start if its result could not be stored.
    """
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def write_private(path: Path, content: bytes, *, exclusive: bool = False, folder_mode: int = 0o700) -> None:
    """Write ``content`` to ``path`` with mode 0600, creating its folder with ``folder_mode`` if needed.

    With ``exclusive`` an existing file stays and FileExistsError is raised, also if another process creates
    it between the check and the write. Raises OSError when the disk refuses.
    """
    path.parent.mkdir(mode=folder_mode, parents=True, exist_ok=True)
    temporary = _temporary(path, content, 0o600)
    try:
        if exclusive:
            _publish_once(temporary, path, content)
        else:
            temporary.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


class ChangedError(Exception):
    """The file has changed since its new content was computed."""


def replace_regular(path: Path, content: bytes, expected: bytes) -> None:
    """Replace a file that holds ``expected`` by ``content``, keeping its mode.

    Raises ChangedError if it holds something else, also if it changes during the write, and OSError for a
    symlink, for anything but a regular file, and when the disk refuses.
    """
    before = _checked_state(path, expected)
    temporary = _temporary(path, content, stat.S_IMODE(before.st_mode))
    try:
        now = path.lstat()
        if _state(now) != _state(before):
            raise ChangedError
        temporary.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _checked_state(path: Path, expected: bytes) -> os.stat_result:
    """Return the state of a regular file that holds ``expected``."""
    # O_NONBLOCK: opening a FIFO does not wait.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if file.read(len(expected) + 1) != expected:
            raise ChangedError
        return state


def _state(of: os.stat_result) -> tuple[int, ...]:
    return (of.st_dev, of.st_ino, of.st_mtime_ns, of.st_ctime_ns, of.st_size)


def temporary_beside(path: Path) -> Path:
    """Return a new temporary file's name for ``path``; delete those that our killed processes left."""
    own = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{16}}\.tmp")
    user, now = getattr(os, "geteuid", lambda: 0)(), time.time()
    with contextlib.suppress(OSError):
        for other in [entry for entry in path.parent.iterdir() if own.fullmatch(entry.name)]:
            state = other.lstat()
            # The ctime, too: a file that was just swapped for the new one has its old mtime.
            is_old = now - max(state.st_mtime, state.st_ctime) > ABANDONED_SECONDS
            if is_old and state.st_uid == user and stat.S_ISREG(state.st_mode):
                other.unlink()
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")


def _temporary(path: Path, content: bytes, mode: int) -> Path:
    """Write ``content`` to a temporary file beside ``path``, flushed to disk; leave none on failure."""
    temporary = temporary_beside(path)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink()
        raise
    return temporary


def _publish_once(temporary: Path, path: Path, content: bytes) -> None:
    """Publish a file by a hard link, which fails if the name exists, and shows only complete files."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        # No hard links here (FAT, some network mounts): still exclusive, but not atomic.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
