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
    from collections.abc import Iterator
    from pathlib import Path

    State = tuple[int, ...]

ABANDONED_SECONDS: Final = 60
"""Age from which a temporary file belongs to a process that was killed."""
_NO_LINK: Final = os.O_NOFOLLOW | os.O_CLOEXEC


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
    with _opened(path.parent) as folder, _temporary(folder, path.name, content, 0o600) as temporary:
        if exclusive:
            _publish_once(folder, temporary, path.name, content)
        else:
            os.rename(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)


class ChangedError(Exception):
    """The file has changed since its new content was computed."""


def replace_regular(path: Path, content: bytes, expected: bytes) -> None:
    """Replace a file that holds ``expected`` by ``content``, keeping its mode.

    Raises ChangedError if it holds something else, also if it changes during the write, and OSError for a
    symlink, for anything but a regular file, and when the disk refuses.
    """
    with _opened(path.parent) as folder:
        before = _checked(folder, path.name, expected)
        mode = stat.S_IMODE(before.st_mode)
        with _temporary(folder, path.name, content, mode) as temporary:
            now = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
            if state_of(now) != state_of(before):
                raise ChangedError
            os.rename(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)


def _checked(folder: int, name: str, expected: bytes) -> os.stat_result:
    """Return the state of a regular file that holds ``expected``."""
    # O_NONBLOCK: opening a FIFO does not wait.
    flags = os.O_RDONLY | os.O_NONBLOCK | _NO_LINK
    with os.fdopen(os.open(name, flags, dir_fd=folder), "rb") as file:
        state = os.fstat(file.fileno())
        if not stat.S_ISREG(state.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", name)
        if file.read(len(expected) + 1) != expected:
            raise ChangedError
        return state


def state_of(of: os.stat_result, *, renamed: bool = False) -> State:
    """Return what tells one version of a file from another; a rename since changes the ctime."""
    return (of.st_dev, of.st_ino, of.st_mtime_ns, 0 if renamed else of.st_ctime_ns, of.st_size)


def temporary_in(folder: int, name: str) -> str:
    """Return the name of a new temporary file for ``name``; delete those that our killed processes left."""
    own = re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{16}}\.tmp")
    user, now = getattr(os, "geteuid", lambda: 0)(), time.time()
    with contextlib.suppress(OSError):
        for other in filter(own.fullmatch, os.listdir(folder)):
            state = os.stat(other, dir_fd=folder, follow_symlinks=False)
            # The ctime, too: a file that was just swapped for the new one has its old mtime.
            is_old = now - max(state.st_mtime, state.st_ctime) > ABANDONED_SECONDS
            if is_old and state.st_uid == user and stat.S_ISREG(state.st_mode):
                os.unlink(other, dir_fd=folder)
    return f".{name}.{secrets.token_hex(8)}.tmp"


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Open a folder: what is swapped for its name, or for a link, meanwhile is not written to."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def _temporary(folder: int, name: str, content: bytes, mode: int) -> Iterator[str]:
    """Write ``content`` to a temporary file for ``name``, flushed to disk; leave none behind."""
    temporary = temporary_in(folder, name)
    _write_new(folder, temporary, content, mode)
    try:
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)


def _write_new(folder: int, name: str, content: bytes, mode: int) -> None:
    """Write a file that does not exist yet, flushed to disk; leave none on failure."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK
    handle = os.open(name, flags, 0o600, dir_fd=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        os.unlink(name, dir_fd=folder)
        raise


def _publish_once(folder: int, temporary: str, name: str, content: bytes) -> None:
    """Publish a file by a hard link, which fails if the name exists, and shows only complete files."""
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except FileExistsError:
        raise
    except OSError:
        # No hard links here (FAT, some network mounts): still exclusive, but not atomic.
        _write_new(folder, name, content, 0o600)
