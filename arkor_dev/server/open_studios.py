"""This user's running Studios: at most one for each project and backend.

Each holds a lock on its own file, which contains its port. However the process ends, the system releases the
lock. The file, with mode 0600, contains no token of the page; with ``--agent`` it is also the session file of
coding assistants, with a secret that only reads the status (`agent`).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arkor_dev.core.settings import Settings

FOLDER: Final = "studios"
PATH: Final = "/agent/status"
"""The call that the secret is for."""
STARTING_SECONDS: Final = 3.0
"""How long to wait for a starting Studio to write its port."""


class OpenElsewhere(Exception):  # noqa: N818 (no error: the person is shown the way)
    """Another Studio is open on this project and backend, on ``port`` of this machine."""

    def __init__(self, port: int) -> None:
        super().__init__(f"http://localhost:{port}")
        self.port = port


class Session(NamedTuple):
    """A running Studio; ``secret`` is for its status, None without ``--agent``."""

    port: int
    secret: str | None


class StudioEntry:
    """This Studio's entry, which others find once :meth:`publish` has written its port."""

    def __init__(self, file: IO[str] | None, project: Path, path: Path) -> None:
        self._file = file
        self._project = project
        self.path = path

    def publish(self, port: int, secret: str | None = None) -> bool:
        """Write the entry, as a session file if there is a ``secret``; return whether that was possible."""
        if self._file is None:
            return False
        record: dict[str, object] = {"port": port, "project": str(self._project)}
        if secret is not None:
            record |= {"status": f"http://127.0.0.1:{port}{PATH}", "secret": secret}
        with suppress(OSError):
            self._file.seek(0)
            self._file.write(json.dumps(record))
            self._file.flush()
            return True
        return False

    def clear(self) -> None:
        """Clear the port: the server is not running yet, or has stopped."""
        if self._file is not None:
            with suppress(OSError):
                self._file.truncate(0)


@contextmanager
def claimed(settings: Settings) -> Iterator[StudioEntry]:
    """Claim this project and backend while the block runs.

    Raises OpenElsewhere if another Studio has them. A disk without locks does not prevent the start.
    """
    path = settings.data / FOLDER / f"{_key(settings)}.json"
    try:
        file = _opened(path)
    except OSError:
        yield StudioEntry(None, settings.project, path)
        return
    with file:
        mine = _claim(file)
        entry = StudioEntry(file if mine else None, settings.project, path)
        entry.clear()
        yield entry
        entry.clear()


def _claim(file: IO[str]) -> bool:
    """Lock the file; raise OpenElsewhere if another Studio holds it, or return False if that has no port."""
    deadline = time.monotonic() + STARTING_SECONDS
    while not _locked(file):
        port, *_ = _entry(file)
        if port is not None:
            raise OpenElsewhere(port)
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def project_on(settings: Settings, port: int) -> str | None:
    """Return the project whose Studio is open on ``port``, if it belongs to this user."""
    with suppress(OSError):
        for path in sorted((settings.data / FOLDER).glob("*.json")):
            with suppress(OSError), _opened(path) as file:
                entry_port, project, _ = _entry(file)
                if entry_port == port and not _locked(file):
                    return project
    return None


def session_of(settings: Settings) -> Session | None:
    """Return the Studio that is open on this project and backend, if there is one."""
    with suppress(OSError), _opened(settings.data / FOLDER / f"{_key(settings)}.json") as file:
        if not _locked(file):
            port, _, secret = _entry(file)
            return None if port is None else Session(port, secret)
    return None


def _key(settings: Settings) -> str:
    """Return a key for the project and backend: another account, or the local backend, has its own Studio."""
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


def _entry(file: IO[str]) -> tuple[int | None, str, str | None]:
    """Read the port, the project and the secret from a file; no port if it is missing or invalid."""
    try:
        file.seek(0)
        record = json.loads(file.read(1 << 16))
        port, project, secret = record["port"], record["project"], record.get("secret")
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None, "", None
    good = isinstance(port, int) and not isinstance(port, bool) and 0 < port < 65536
    return (port if good else None), str(project), secret if isinstance(secret, str) else None
