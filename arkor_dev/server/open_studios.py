"""Which Studios of this user are open: at most one for a project and a backend.

Each holds a lock on a file of its own, with its port in it, for as long as it runs; whatever ends it, the
system gives the lock back. The file says nothing that a person at this machine may not know: no token.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arkor_dev.core.settings import Settings

FOLDER: Final = "studios"
STARTING_SECONDS: Final = 3.0
"""How long a Studio that is just starting gets to say its port."""


class OpenElsewhere(Exception):  # noqa: N818 (no error: the person is shown the way)
    """Another Studio is open on this project and backend, on ``port`` of this machine."""

    def __init__(self, port: int) -> None:
        super().__init__(f"http://localhost:{port}")
        self.port = port


class Place:
    """This Studio's own entry, which others find once the port is :meth:`told`."""

    def __init__(self, file: IO[str] | None, project: Path) -> None:
        self._file = file
        self._project = project

    def told(self, port: int) -> None:
        """Let others know on which port this Studio is."""
        if self._file is not None:
            with suppress(OSError):
                self._file.seek(0)
                self._file.write(json.dumps({"port": port, "project": str(self._project)}))
                self._file.flush()

    def left(self) -> None:
        """Say no port: none is served yet, or none any more."""
        if self._file is not None:
            with suppress(OSError):
                self._file.truncate(0)


@contextmanager
def taken(settings: Settings) -> Iterator[Place]:
    """Be the one Studio of this project and backend while the block runs.

    Raises OpenElsewhere when there is one already. A disk that keeps no such file, or knows no locks, is no
    reason not to start.
    """
    try:
        file = _opened(settings.data / FOLDER / f"{_key(settings)}.json")
    except OSError:
        yield Place(None, settings.project)
        return
    with file:
        mine = _taken(file)
        place = Place(file if mine else None, settings.project)
        place.left()
        yield place
        place.left()


def _taken(file: IO[str]) -> bool:
    """Lock the file; OpenElsewhere when another Studio has it, false when that does not say its port."""
    deadline = time.monotonic() + STARTING_SECONDS
    while not _locked(file):
        port, _ = _entry(file)
        if port is not None:
            raise OpenElsewhere(port)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def project_on(settings: Settings, port: int) -> str | None:
    """The project whose Studio is open on ``port``, where it is one of this user's."""
    with suppress(OSError):
        for path in sorted((settings.data / FOLDER).glob("*.json")):
            with suppress(OSError), _opened(path) as file:
                known, project = _entry(file)
                if known == port and not _locked(file):
                    return project
    return None


def _key(settings: Settings) -> str:
    """One for each project and backend: another account, or training here, has a Studio of its own."""
    parts = [str(settings.project), str(settings.home), settings.local, settings.cloud_url, settings.ssh]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


def _opened(path: Path) -> IO[str]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "r+")


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _entry(file: IO[str]) -> tuple[int | None, str]:
    """The port and the project in a file; no port where none is said yet, or it makes no sense."""
    try:
        file.seek(0)
        said = json.loads(file.read(1 << 16))
        port, project = said["port"], said["project"]
    except (OSError, ValueError, TypeError, KeyError):
        return None, ""
    good = isinstance(port, int) and not isinstance(port, bool) and 0 < port < 65536
    return (port if good else None), str(project)
