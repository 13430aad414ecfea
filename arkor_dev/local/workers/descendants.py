"""Ends all processes that a process has started, in whatever process group or session.

A process that adopts orphans (Linux's child subreaper) becomes the parent of each descendant whose own parent
has ended, so it can end all of them. On other systems it can only end its children.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36
SECONDS: Final = 10.0
"""Seconds that killed processes, and those that they still start, may take to end."""


def adopt_orphans() -> None:
    """Become the parent of orphaned descendants, and receive SIGTERM when our own parent ends."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def end_descendants() -> None:
    """Kill and reap descendants of this process until none is left."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for pid in _descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.005)


def _descendants(pid: int) -> list[int]:
    """Return the ids of all descendants (Linux only)."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    descendants, pending = [], [pid]
    while pending:
        direct = children.get(pending.pop(), [])
        descendants += direct
        pending += direct
    return descendants
