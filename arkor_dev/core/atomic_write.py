"""Files that are whole or absent: a reader never sees half a credential, nor half a project.

Every file of docs/contract.md#files goes through here, and a person's own file that is edited: a temporary
file of mode 0600 in the same folder (the same file system, so that the rename is atomic), flushed to the
disk, then put in place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def check_writable(folder: Path, mode: int = 0o700) -> None:
    """Make ``folder`` where it is missing; raise ``OSError`` when no file could be put into it.

    For work that must not be done when its result could not be kept.
    """
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def write_private(path: Path, content: bytes, *, exclusive: bool = False, folder_mode: int = 0o700) -> None:
    """Put ``content`` at ``path`` with mode 0600, making its folder with ``folder_mode`` when it is missing.

    With ``exclusive`` an existing file stays as it is and ``FileExistsError`` is raised, also when another
    process gets there between our look and our write. Raises ``OSError`` for everything the disk refuses.
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
    """The file does not hold any more what its new content was made from."""


def replace_regular(path: Path, content: bytes, expected: bytes) -> None:
    """Put ``content`` in the place of a file that holds ``expected``, with the mode that the file has.

    Raises ChangedError when it holds something else, also when it is changed while the new content is on its
    way, and ``OSError`` for a symlink, for what is no file, and for all that the disk refuses.
    """
    seen = _held(path, expected)
    temporary = _temporary(path, content, stat.S_IMODE(seen.st_mode))
    try:
        now = path.lstat()
        if _state(now) != _state(seen):
            raise ChangedError
        temporary.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _held(path: Path, expected: bytes) -> os.stat_result:
    """The state of a regular file that holds ``expected``."""
    # O_NONBLOCK: a FIFO opens at once.
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


def _temporary(path: Path, content: bytes, mode: int) -> Path:
    """A file beside ``path`` that holds ``content`` and is on the disk; none is left when that fails."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
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
    """A hard link fails when the name is taken, and shows the file only once it is whole."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:
        # No hard links here (FAT, some network mounts): still exclusive, no longer whole at once.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
