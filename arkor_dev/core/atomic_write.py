"""Private files that are whole or absent: a reader never sees half a credential.

Every file of docs/contract.md#files goes through here: a temporary file of mode 0600 in the same folder (the
same file system, so that the rename is atomic), flushed to the disk, then put in place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
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
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if exclusive:
            _publish_once(temporary, path, content)
        else:
            temporary.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


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
