"""How many files and connections this process may have open at once."""

from __future__ import annotations

import contextlib
import resource
from typing import Final

WANTED: Final = 8192
"""Open files that are enough for everything. Many more would slow down children that close all of them."""


def raise_limit() -> None:
    """Raise the soft limit of this process and its children to :data:`WANTED`, or as far as the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # macOS has a third limit, of the kernel
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connections_at_most() -> int:
    """How many connections to serve: each may need an upstream one too, and files and children need room."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1024 if soft == resource.RLIM_INFINITY else max(16, min(1024, soft // 4))
