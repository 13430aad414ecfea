"""A limit on the memory of this process, for one that reads a file which may need any amount."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path


def limit_memory(size: int) -> None:
    """Limit allocation to ``size`` bytes beyond what this process has now."""
    now = 0
    with contextlib.suppress(OSError, ValueError):
        now = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    with contextlib.suppress(OSError, ValueError):  # a system may not have this limit
        resource.setrlimit(resource.RLIMIT_AS, (now + size, now + size))
