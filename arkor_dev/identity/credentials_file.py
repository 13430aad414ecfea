"""``~/.arkor/credentials.json``: its content, and when it may be replaced (docs/contract.md#files).

The ``arkor`` command shares the file, so unknown fields stay in it.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeGuard

from arkor_dev.contract.errors import InternalError
from arkor_dev.contract.regular_files import read_small
from arkor_dev.core.atomic_write import write_private

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ACCOUNT_MODES: Final = ("oauth", "auth0")
FILE_LIMIT: Final = 256 * 1024
"""Size limit in bytes; the largest tokens take some ten thousand."""


class NoCredentialsError(Exception):
    """The file may be replaced; ``damaged`` if there was one that is not JSON."""

    def __init__(self, *, damaged: bool) -> None:
        super().__init__("damaged" if damaged else "absent")
        self.damaged = damaged


class UnknownIdentityError(InternalError):
    """The file is JSON but holds no identity, perhaps a newer version's. Only a person may replace it."""


@dataclass(frozen=True, slots=True)
class StoredCredentials:
    """The file's content, checked for what its mode needs."""

    document: dict[str, object] = field(repr=False)

    @property
    def mode(self) -> str:
        """``anon``, ``oauth`` or ``auth0``."""
        return str(self.document["mode"])

    @property
    def token(self) -> str:
        """The token for the ``Authorization`` header."""
        return str(self.document["token" if self.mode == "anon" else "accessToken"])

    @property
    def org_slug(self) -> str | None:
        """The anonymous identity's own organisation."""
        return str(self.document["orgSlug"]) if self.mode == "anon" else None

    def text(self, key: str) -> str | None:
        """Return a field that is a non-empty string, or None."""
        value = self.document.get(key)
        return value if isinstance(value, str) and value else None

    @property
    def expires_at(self) -> float | None:
        """When the access token expires, in seconds since the epoch; None if unknown.

        Versions of the ``arkor`` command write seconds, milliseconds, or ISO 8601.
        """
        value = self.document.get("expiresAt")
        if isinstance(value, str):
            with suppress(ValueError, OverflowError):
                return datetime.fromisoformat(value).timestamp()
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            with suppress(OverflowError):  # a number of a thousand digits is not a time either
                return value / 1000 if value > 1e11 else float(value)
        return None


def read_credentials(path: Path) -> StoredCredentials:
    """Read the file.

    Raises NoCredentialsError if it is absent or not JSON, and ArkorError if it exists but cannot be read or
    does not hold an identity: such a file is never overwritten.
    """
    try:
        content = read_small(path, FILE_LIMIT)
    except FileNotFoundError:
        raise NoCredentialsError(damaged=False) from None
    except OSError as fault:
        raise InternalError(
            f"{path} cannot be read ({fault.strerror}). Fix its permissions, or move it away."
        ) from None
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise NoCredentialsError(damaged=True) from None
    if not _is_identity(document):
        raise UnknownIdentityError(
            f"{path} has no identity that Studio knows. Run `arkor-dev login`, or move the file away."
        )
    return StoredCredentials(document)


def _is_identity(document: object) -> bool:
    match document:
        case {"mode": "anon", "token": token, "orgSlug": str(org)}:
            return is_token(token) and org != ""
        case {"mode": str(mode), "accessToken": token} if mode in ACCOUNT_MODES:
            return is_token(token)
    return False


def is_token(value: object) -> TypeGuard[str]:
    """Return whether ``value`` is valid in an ``Authorization`` header (RFC 6750 §2.1, a little wider)."""
    return (
        isinstance(value, str)
        and value.isascii()
        and value.isprintable()
        and " " not in value
        and value != ""
    )


def signature(path: Path) -> tuple[int, int, int] | None:
    """Return a value that changes whenever the file does; None if the file is inaccessible."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_ino, state.st_mtime_ns, state.st_size


@asynccontextmanager
async def credentials_lock(path: Path, patience: float = 40.0) -> AsyncIterator[None]:
    """Hold a lock under which one launch of Studio at a time creates or renews the identity.

    It is a courtesy, not a guard: without working locks, or if a holder hangs, we continue without it, and
    atomic writes keep the file intact.
    """
    handle = _open_lock(path.with_name("credentials.lock"))
    try:
        if handle is not None and fcntl is not None:
            deadline = time.monotonic() + patience
            while time.monotonic() < deadline:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await asyncio.sleep(0.05)
                except OSError:
                    break
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _open_lock(path: Path) -> int | None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY, 0o600)
    except OSError:
        return None


def write_credentials(path: Path, document: dict[str, object], *, exclusive: bool = False) -> None:
    """Write the file atomically, for this user only; see `atomic_write.write_private`."""
    write_private(path, json.dumps(document, indent=2).encode() + b"\n", exclusive=exclusive)
    with suppress(OSError):
        path.parent.chmod(0o700)  # the folder may be older, and created by a less careful program
