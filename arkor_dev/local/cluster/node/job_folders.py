"""Job folders on a node, and the removal of ended jobs' leftovers."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import IO

from arkor_dev.local.cluster.protocol import KEPT_SECONDS


def user_folder() -> Path:
    """Return a folder for temporary files that only this user can use, creating it if needed.

    Another name is used if the usual folder belongs to another user.
    """
    name = f"arkor-dev-{os.getuid()}"
    folder = Path(tempfile.gettempdir()) / name
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    # Later jobs must find the same replacement folder, or its files would never be deleted.
    own = filter(_is_private, (folder, *sorted(folder.parent.glob(f"{name}-*"))))
    return next(own, None) or Path(tempfile.mkdtemp(prefix=f"{name}-"))


def _is_private(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        status = folder.lstat()
        return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
    return False


def lock_folder(home: Path) -> IO[str]:
    """Lock a job's folder while this process lives. `sweep` removes folders without a lock."""
    file = (home / "lock").open("w")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def sweep(files: Path, jobs: Path) -> None:
    """Remove the folders of jobs whose actor is gone, and files unused for a long time."""
    for home in jobs.iterdir():
        with contextlib.suppress(OSError), (home / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(home, ignore_errors=True)
    for path in files.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                path.unlink()
