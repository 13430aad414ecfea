"""A job's files in a folder that machines share, for this user alone."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from arkor_dev.local.cluster.away.leftovers import KEPT_SECONDS
from arkor_dev.local.cluster.names import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Folder:
    """The files of ``job`` in ``root``, in a folder of this user's own.

    With ``writes`` it is made, and what jobs have left for a week goes. Raises OSError with a reason.
    """

    def __init__(self, root: str, job: str, *, writes: bool) -> None:
        if not Path(root).is_dir():
            raise OSError(f"there is no folder {root}")
        own = Path(root) / f"arkor-dev-{os.getuid()}"
        self._folder = own / job
        if writes:
            own.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            found = own.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
                raise OSError(f"{own} is not of this user alone")
        if writes:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self.touch()
            self._sweep(own)

    def _sweep(self, own: Path) -> None:
        for other in own.iterdir():
            with contextlib.suppress(OSError):
                if other != self._folder and time.time() - other.stat().st_mtime > KEPT_SECONDS:
                    shutil.rmtree(other, ignore_errors=True)

    def touch(self) -> None:
        """Say that it is in use. Raises OSError where it may be read alone."""
        os.utime(self._folder)

    def sizes(self) -> dict[str, int]:
        """What lies there, by name, in bytes; -1 for what is no file."""
        found = {path.name: path.lstat() for path in self._folder.iterdir()}
        return {name: each.st_size if stat.S_ISREG(each.st_mode) else -1 for name, each in found.items()}

    def write(self, name: str, path: Path, step: Callable[[], None]) -> None:
        """Keep a file of this machine there, whole or not at all."""
        part = self._folder / f"{secrets.token_hex(8)}.part"
        try:
            with path.open("rb") as source, part.open("xb") as file:
                while piece := source.read(CHUNK):
                    file.write(piece)
                    step()
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._folder / name)
        finally:
            part.unlink(missing_ok=True)

    @contextlib.contextmanager
    def read(self, name: str) -> Iterator[BinaryIO]:
        """Open a file there: neither a link nor a pipe, which somebody else may have put in its place."""
        handle = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError("it is no file")
            yield file

    def remove(self, name: str) -> None:
        """Remove a file there."""
        (self._folder / name).unlink(missing_ok=True)
