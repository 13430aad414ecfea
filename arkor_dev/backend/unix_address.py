"""Addresses of backends that listen on a Unix socket: ``http+unix://<the path's bytes in hex>``.

They are base URLs like others, so that whoever calls a backend need not know what it listens on; only the
HTTP client does. Hex, since a host is put into lower case on its way, and a path is not what it was after
that.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from yarl import URL

SCHEME: Final = "http+unix"


def address_of(socket: str | Path) -> str:
    """The base URL of what listens at ``socket``."""
    return f"{SCHEME}://{os.fsencode(socket).hex()}"


def socket_of(url: URL) -> Path | None:
    """The socket that an address names; None when it names none."""
    if url.scheme != SCHEME or not url.host:
        return None
    try:
        return Path(os.fsdecode(bytes.fromhex(url.host)))
    except ValueError:
        return None


def on_socket(url: URL) -> URL:
    """What to ask for over the socket: the same path and query of ``localhost``."""
    return URL(f"http://localhost{url.raw_path_qs}", encoded=True)


def is_private(socket: Path) -> bool:
    """Whether nobody but this user (and root) can have put it there. Raises OSError when it is gone.

    Its folder may lie in one that everybody writes to, and another account could make one of the same name
    after ours has gone.
    """
    folder, end = socket.parent.lstat(), socket.lstat()
    mine = all(each.st_uid == os.geteuid() for each in (folder, end))
    return mine and stat.S_ISDIR(folder.st_mode) and stat.S_ISSOCK(end.st_mode) and not folder.st_mode & 0o077
