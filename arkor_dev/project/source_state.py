"""Whether the sources of a TypeScript project may have changed, without building it.

Only ``arkor build`` knows which files it bundles, but relative imports rarely leave the repository. So the
state of all files there represents the sources, except for dependencies, which are not bundled, and hidden
files such as ``.git``, ``.arkor`` and ``.venv``.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

MOST_ENTRIES: Final = 5000
"""In a larger repository inspecting every file is expensive."""
SETTLED: Final = 0.1
"""Seconds after which a second write changes a file's time, on every file system in use."""


def source_state(root: Path) -> bytes | None:
    """Return a digest of all files' names, sizes and times below ``root``.

    A file that was written a moment ago makes it unique. None if there are too many files, a folder links to
    elsewhere, or something cannot be read.
    """
    digest, entries, latest = hashlib.blake2b(digest_size=16), 0, time.time() - SETTLED
    folders = [root]
    try:
        while folders:
            with os.scandir(folders.pop()) as entries_found:
                ordered = sorted(entries_found, key=lambda entry: entry.name)
            entries += len(ordered)
            if entries > MOST_ENTRIES:
                return None
            for entry in ordered:
                if entry.name == "node_modules" or entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    if entry.is_symlink():
                        return None
                    folders.append(entry)  # type: ignore[arg-type]
                    continue
                state = entry.stat()
                if max(state.st_mtime, state.st_ctime) > latest:
                    return os.urandom(digest.digest_size)
                facts = (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
                digest.update(f"{entry.path!r} {facts}\n".encode())
    except OSError:
        return None
    return digest.digest()
