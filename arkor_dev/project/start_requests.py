"""Training runs that a program wants to start, and a person allows or denies on Studio's page.

A request is a file in this user's data folder, locked by its program for as long as that waits: one whose
program has ended is no longer locked, and disappears. The answer is a file next to it. The folder belongs to
this user alone, so other users' programs can neither request nor answer. These calls block.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import time
from typing import IO, TYPE_CHECKING, Any, Final, Self

from arkor_dev.contract.errors import BadRequestError, ConflictError, NotFoundError
from arkor_dev.contract.regular_files import read_small
from arkor_dev.core.atomic_write import write_private
from arkor_dev.core.plain_text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from arkor_dev.contract.shapes import StartRequest
    from arkor_dev.core.settings import Settings

SECONDS: Final = 300.0
"""How long a request waits for its answer."""
MOST: Final = 5
"""Maximum number of requests of a project that wait at the same time."""
LENGTH: Final = 1000
"""Longest text of a request, in characters; one that cannot be shown in full is refused."""
CHANGES: Final = 200
"""Maximum number of changed settings; there are fewer, and each changes once."""
CLIENT_LENGTH: Final = 60
COUNT_SECONDS: Final = 1.0
"""How long a count of the waiting requests is used."""


def folder_of(settings: Settings) -> Path:
    digest = hashlib.sha256(str(settings.project).encode()).hexdigest()[:20]
    return settings.data / "start-requests" / digest


class PendingStart:
    """A request that waits for its answer while the block runs.

    Raises BadRequestError if the page cannot show all of it, and ConflictError for too many at once.
    """

    def __init__(self, folder: Path, request: Mapping[str, object]) -> None:
        self.id = secrets.token_hex(16)
        self._expires_at = int(time.time() + SECONDS)
        self._request = {**request, "expiresAt": self._expires_at}
        try:
            _start_request(self.id, self._request)
        except ValueError as fault:
            raise BadRequestError(
                f"Studio's page cannot show this run in full: {fault}. Set that in arkor.toml instead."
            ) from None
        self._path = folder / f"{self.id}.json"
        self._answer = folder / f"{self.id}.answer"
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        if len(list(waiting(self._path.parent))) >= MOST:
            raise ConflictError(
                f"{MOST} requests to start a run wait for an answer on Studio's page. Answer those first."
            )
        # Locked before it has its name, so that it is never taken for one whose program has ended.
        hidden = self._path.with_suffix(".new")
        hidden.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.fdopen(os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._file.write(json.dumps(self._request).encode())
        self._file.flush()
        hidden.rename(self._path)
        return self

    def __exit__(self, *_: object) -> None:
        for path in (self._path, self._answer):
            with contextlib.suppress(OSError):
                path.unlink()
        if self._file is not None:
            self._file.close()

    def answer(self) -> bool | None:
        """Return whether the run was allowed; None without an answer. Raises ConflictError if it is late."""
        try:
            return read_small(self._answer) == b"allow"
        except FileNotFoundError:
            if time.time() > self._expires_at:
                raise ConflictError(
                    f"Nobody answered on Studio's page within {SECONDS / 60:.0f} minutes. No run was started."
                ) from None
            return None


def waiting(folder: Path) -> Iterator[StartRequest]:
    """Yield the requests that wait for an answer; delete those whose program has ended."""
    with contextlib.suppress(FileNotFoundError):
        for path in sorted(folder.glob("*.json")):
            with contextlib.suppress(OSError, ValueError):
                if _is_abandoned(path):
                    path.unlink()
                elif not path.with_suffix(".answer").exists():
                    start_request = _start_request(path.stem, json.loads(read_small(path)))
                    if start_request["expiresAt"] > time.time():
                        yield start_request


class WaitingCount:
    """The number of waiting requests, counted in a thread at most once in `COUNT_SECONDS`.

    Every tab asks for it with each list of jobs: counting each time would cost more than the list.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._count: asyncio.Future[int] | None = None
        self._expires = 0.0

    async def get(self) -> int:
        """Return the count."""
        if self._count is None or self._clock() >= self._expires:
            self._count = asyncio.ensure_future(asyncio.to_thread(lambda: len(list(waiting(self._folder)))))
            self._expires = self._clock() + COUNT_SECONDS
        return self._count.result() if self._count.done() else await asyncio.shield(self._count)

    def expire(self) -> None:
        """Count again next time: a request was answered."""
        self._count = None


def answer(folder: Path, request_id: str, *, allow: bool) -> None:
    """Answer a request, once. Raises NotFoundError if it no longer waits."""
    ids = {pending["id"] for pending in waiting(folder)}
    path = folder / f"{request_id}.answer"
    try:
        if request_id not in ids:
            raise FileNotFoundError
        write_private(path, b"allow" if allow else b"deny", exclusive=True)
        if not path.with_suffix(".json").exists():  # its program ended meanwhile
            path.unlink()
            raise FileNotFoundError
    except OSError:
        raise NotFoundError("The request no longer waits for an answer. Nothing was started.") from None


def _is_abandoned(path: Path) -> bool:
    with os.fdopen(os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _start_request(request_id: str, record: Any) -> StartRequest:
    """Return a request as the page shows it, in full. Raises ValueError for anything else."""
    try:
        changes = [[_line(key), _line(value)] for key, value in record["changes"]]
        if len(changes) > CHANGES or len({key for key, _ in changes}) < len(changes):
            raise ValueError("a setting is changed twice")
        return {
            "id": request_id,
            "client": one_line(str(record["client"]), CLIENT_LENGTH),
            "name": _line(record["name"]),
            "model": _line(record["model"]),
            "data": _line(record["data"]),
            "changes": changes,
            "dryRun": record["dryRun"] is True,
            "expiresAt": int(record["expiresAt"]),
        }
    except (KeyError, TypeError, OverflowError):
        raise ValueError("it is not a request") from None


def _line(text: object) -> str:
    """Return a text that a line shows as it is. Raises ValueError."""
    if not isinstance(text, str) or one_line(text, LENGTH) != " ".join(text.split()):
        raise ValueError(f"{one_line(text, 60)} is longer than {LENGTH:,} characters, or not plain text")
    return text
