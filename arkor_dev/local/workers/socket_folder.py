"""The folder of a socket: private to this user, and with a sufficiently short path.

A token would admit anyone who learns it; but other accounts on the machine cannot even reach a socket in a
folder of mode 0700. The process holds a lock on its folder while it lives, so that no other process removes
it as stale; an unlocked folder is left over from a killed process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME: Final = "backend.sock"
STORE: Final = "store"
"""The file in which workers on several GPUs find each other."""
PREFIX: Final = "arkor-dev-"
LONGEST: Final = 103
"""Maximum bytes of a socket's path: macOS has space for 104 with the final NUL, Linux for 108."""
_TEMPORARY = re.compile(rf"{PREFIX}[a-z0-9_]{{8}}")  # in mkdtemp's format


class SocketFolder:
    """A folder for one socket, locked by this process. ``socket`` is the socket's path."""

    def __init__(self, folder: Path, handle: int) -> None:
        self._folder = folder
        self._handle: int | None = handle
        self.socket = folder / NAME

    @classmethod
    def make(cls) -> Self:
        """Create a folder, and remove those of killed processes. Raises OSError if that fails."""
        reason = OSError("no folder for a socket: set XDG_RUNTIME_DIR to a private folder with a short path")
        for base in _bases():
            _sweep(base)
            try:
                return cls(*_hold(base))
            except OSError as error:
                reason = error
        raise reason

    def remove(self) -> None:
        """Remove the socket and the folder; open connections stay open."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                _remove(self._folder, self._handle)
            os.close(self._handle)
            self._handle = None


def _bases() -> Iterator[Path]:
    """Yield possible parent folders, best first."""
    seen = set()
    for name in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):  # noqa: S108 (checked)
        base = Path(name)
        length = len(os.fsencode(base / f"{PREFIX}12345678" / NAME))
        if base not in seen and base.is_absolute() and length <= LONGEST and _safe(base):
            yield base
        seen.add(base)


def _safe(base: Path) -> bool:
    """Return whether no other user can replace a folder in it."""
    try:
        status = base.stat()
    except OSError:
        return False
    writable = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return status.st_uid in (0, os.geteuid()) and bool(not writable or status.st_mode & stat.S_ISVTX)


def _hold(base: Path) -> tuple[Path, int]:
    """Create a folder in ``base``, and lock it. Return it with its lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        try:
            handle = _open(folder)
        except FileNotFoundError:  # another process already considered it stale
            continue
        with contextlib.suppress(OSError):  # the file system does not support locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        # A process that has just started may have considered it stale before it was locked.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(folder.lstat(), os.fstat(handle)):
                return folder, handle
        os.close(handle)


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _sweep(base: Path) -> None:
    """Remove the unlocked folders in ``base``."""
    with contextlib.suppress(OSError):
        for folder in base.iterdir():
            if _TEMPORARY.fullmatch(folder.name):
                _settle(folder)


def _settle(folder: Path) -> None:
    with contextlib.suppress(OSError):
        if folder.lstat().st_uid != os.geteuid():
            return
        handle = _open(folder)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(folder, handle)
        finally:
            os.close(handle)


def _remove(folder: Path, handle: int) -> None:
    """Remove only our own files: keep a folder that contains anything else."""
    for name in (NAME, STORE):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=handle)
    folder.rmdir()
