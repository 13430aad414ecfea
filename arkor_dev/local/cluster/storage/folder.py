"""Stores a job's files in a folder that machines share, readable only by this user."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from arkor_dev.local.cluster.protocol import CHUNK, KEPT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class FolderStore:
    """The files of ``job`` in a private folder below ``root``.

    ``writes`` creates it, and removes folders that no job has used for a week. Raises OSError with a reason.
    """

    def __init__(self, root: str, job: str, *, writes: bool) -> None:
        if not Path(root).is_dir():
            raise OSError(f"no such folder: {root}")
        user_folder = Path(root) / f"arkor-dev-{os.getuid()}"
        self._folder = user_folder / job
        if writes:
            user_folder.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            status = user_folder.lstat()
            if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
                raise OSError(f"{user_folder} is not private to this user")
        if writes:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self.touch()
            self._sweep(user_folder)

    def _sweep(self, user_folder: Path) -> None:
        for job_folder in user_folder.iterdir():
            with contextlib.suppress(OSError):
                if job_folder != self._folder and time.time() - job_folder.stat().st_mtime > KEPT_SECONDS:
                    shutil.rmtree(job_folder, ignore_errors=True)

    def touch(self) -> None:
        """Mark the files as in use. Raises OSError if the folder is read-only."""
        os.utime(self._folder)

    def sizes(self) -> dict[str, int]:
        """Return the sizes of the files in bytes, by name; -1 for anything but a regular file."""
        entries = {path.name: path.lstat() for path in self._folder.iterdir()}
        return {
            name: status.st_size if stat.S_ISREG(status.st_mode) else -1 for name, status in entries.items()
        }

    def write(self, name: str, path: Path, step: Callable[[], None]) -> None:
        """Copy a local file into the store, atomically. ``step`` is called after each chunk."""
        part = self._folder / f"{secrets.token_hex(8)}.part"
        try:
            with path.open("rb") as source, part.open("xb") as file:
                while chunk := source.read(CHUNK):
                    file.write(chunk)
                    step()
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._folder / name)
        finally:
            part.unlink(missing_ok=True)

    @contextlib.contextmanager
    def read(self, name: str) -> Iterator[BinaryIO]:
        """Open a regular file of the store; refuse a link or a pipe that another user may have put there."""
        handle = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError("not a regular file")
            yield file

    def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)
