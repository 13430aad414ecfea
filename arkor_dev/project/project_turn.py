"""A lock for builds and starts of one project, also between two Studios.

``arkor build`` writes the bundle in place and ``arkor start`` reads it: at the same time, it would read an
incomplete bundle.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Final

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FOLDER: Final = ".arkor"
LOCK: Final = "build.lock"
NEXT: Final = "build.next"
"""The lock of the next process in line: whoever just had the turn queues behind it."""
PATIENCE: Final = 120.0
"""Seconds to wait for another process: longer than a build, a load and a start may take together."""
_CLOSED: Final = getattr(os, "O_CLOEXEC", 0)


class ProjectTurn:
    """The turn of one project, for any number of users."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._lock = asyncio.Lock()

    async def take(self) -> Callable[[], None]:
        """Wait for the turn; call the returned function, once or more often, to give it back."""
        await self._lock.acquire()
        handle: int | None = None
        lock_file: int | None = None
        try:
            handle, lock_file = await asyncio.to_thread(self._open)
            deadline = asyncio.get_running_loop().time() + PATIENCE
            await _lock(lock_file, deadline)
            await _lock(handle, deadline)
        except BaseException:
            self._give_back(handle)
            raise
        finally:
            if lock_file is not None:
                os.close(lock_file)
        holding = True

        def give_back() -> None:
            nonlocal holding
            if holding:
                holding = False
                self._give_back(handle)

        return give_back

    def _give_back(self, handle: int | None) -> None:
        if handle is not None:
            os.close(handle)
        self._lock.release()

    def _open(self) -> tuple[int | None, int | None]:
        """Open the lock files, each None if that is impossible: nobody is delayed then."""
        folder: int | None = None
        try:
            with contextlib.suppress(FileExistsError):
                (self._project / FOLDER).mkdir()
            # A link may lead out of the project, where nothing of ours must be written.
            folder = os.open(self._project / FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | _CLOSED)
            return _opened(LOCK, folder), _opened(NEXT, folder)
        except OSError:
            return None, None
        finally:
            if folder is not None:
                os.close(folder)


def _opened(name: str, folder: int) -> int | None:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | _CLOSED
    try:
        return os.open(name, flags, 0o600, dir_fd=folder)
    except OSError:
        return None


async def _lock(handle: int | None, deadline: float) -> None:
    if handle is None or fcntl is None:
        return
    loop = asyncio.get_running_loop()
    while loop.time() < deadline:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(0.05)
        except OSError:
            return  # no locks on this file system
        else:
            return
