"""Where the backend's socket lies: in a folder of this user's alone, under a path that is short enough.

A token alone would leave the way in open to whoever learns it; other accounts of the machine cannot even
reach a socket in a folder of mode 0700. The process holds a lock on its folder for as long as it lives (so
that nobody clears it away as old), and a folder that nobody holds is what a killed process has left.
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
PREFIX: Final = "arkor-dev-"
LONGEST: Final = 103
"""Bytes of a socket's path: macOS has room for 104 with the NUL at the end, Linux for 108."""
_MADE = re.compile(rf"{PREFIX}[a-z0-9_]{{8}}")  # as mkdtemp names them


class SocketFolder:
    """A folder for one socket, held by this process. ``socket`` is the socket's path."""

    def __init__(self, folder: Path, handle: int) -> None:
        self._folder = folder
        self._handle: int | None = handle
        self.socket = folder / NAME

    @classmethod
    def make(cls) -> Self:
        """A new one; what killed processes have left goes. Raises OSError where there is no place."""
        reason = OSError("no folder for a socket: set XDG_RUNTIME_DIR to a short path of a folder of yours")
        for base in _bases():
            _sweep(base)
            try:
                return cls(*_hold(base))
            except OSError as error:
                reason = error
        raise reason

    def remove(self) -> None:
        """Take socket and folder away; open connections stay."""
        if self._handle is not None:
            with contextlib.suppress(OSError):
                _remove(self._folder, self._handle)
            os.close(self._handle)
            self._handle = None


def _bases() -> Iterator[Path]:
    """The folders that may hold ours, the best first."""
    seen = set()
    for name in (os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"):  # noqa: S108 (checked)
        base = Path(name)
        length = len(os.fsencode(base / f"{PREFIX}12345678" / NAME))
        if base not in seen and base.is_absolute() and length <= LONGEST and _safe(base):
            yield base
        seen.add(base)


def _safe(base: Path) -> bool:
    """Whether nobody else can put another folder in the place of ours."""
    try:
        status = base.stat()
    except OSError:
        return False
    writable = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return status.st_uid in (0, os.geteuid()) and bool(not writable or status.st_mode & stat.S_ISVTX)


def _hold(base: Path) -> tuple[Path, int]:
    """A new folder in ``base``, and what holds it."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        try:
            handle = _open(folder)
        except FileNotFoundError:  # it was taken for an old one even before that
            continue
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        # Another process that has just started may have taken it for an old one before it was held.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(folder.lstat(), os.fstat(handle)):
                return folder, handle
        os.close(handle)


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _sweep(base: Path) -> None:
    """Take away the folders in ``base`` that nobody holds."""
    with contextlib.suppress(OSError):
        for folder in base.iterdir():
            if _MADE.fullmatch(folder.name):
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
    """Only what we put there: a folder that holds something else stays."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(NAME, dir_fd=handle)
    folder.rmdir()
