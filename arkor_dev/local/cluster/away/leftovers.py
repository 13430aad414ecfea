"""The folder of jobs on a node, and what is left there of those that are gone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import IO, Final

KEPT_SECONDS: Final = 7 * 24 * 3600
"""How long a file stays that no job has used."""


def own_folder() -> Path:
    """A folder of this user's alone for temporary files; another one where somebody else has the name."""
    name = f"arkor-dev-{os.getuid()}"
    folder = Path(tempfile.gettempdir()) / name
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    # The other one is found again as well: what a job has left there would stay else.
    own = filter(_is_own, (folder, *sorted(folder.parent.glob(f"{name}-*"))))
    return next(own, None) or Path(tempfile.mkdtemp(prefix=f"{name}-"))


def _is_own(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        found = folder.lstat()
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return False


def locked(home: Path) -> IO[str]:
    """A lock in a job's folder that lasts as long as this process: without it the folder is a leftover."""
    file = (home / "lock").open("w")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def sweep(files: Path, jobs: Path) -> None:
    """Remove the folders of actors that are gone, and files that no job has used for long."""
    for home in jobs.iterdir():
        with contextlib.suppress(OSError), (home / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(home, ignore_errors=True)
    for path in files.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                path.unlink()
