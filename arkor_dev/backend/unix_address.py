"""Addresses of backends that listen on a Unix socket: ``http+unix://<the path's bytes in hex>``.

They are base URLs like others, so that only the HTTP client needs to know what a backend listens on. They use
hex because hosts are lower-cased on the way, and paths are case-sensitive.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from yarl import URL

SCHEME: Final = "http+unix"


def address_of(socket: str | Path) -> str:
    """Return the base URL of a backend at ``socket``."""
    return f"{SCHEME}://{os.fsencode(socket).hex()}"


def socket_of(url: URL) -> Path | None:
    """Return the socket of an address; None if it has none."""
    if url.scheme != SCHEME or not url.host:
        return None
    try:
        return Path(os.fsdecode(bytes.fromhex(url.host)))
    except ValueError:
        return None


def on_socket(url: URL) -> URL:
    """Return the URL to request over the socket: the same path and query on ``localhost``."""
    return URL(f"http://localhost{url.raw_path_qs}", encoded=True)


def is_private(socket: Path) -> bool:
    """Return whether only this user (or root) can have created it. Raises OSError if it is gone.

    Its folder may be inside a world-writable one, where another account could take over its name.
    """
    folder, end = socket.parent.lstat(), socket.lstat()
    mine = all(status.st_uid == os.geteuid() for status in (folder, end))
    return mine and stat.S_ISDIR(folder.st_mode) and stat.S_ISSOCK(end.st_mode) and not folder.st_mode & 0o077
