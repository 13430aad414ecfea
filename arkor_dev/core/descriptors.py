"""The limit on open files and connections of this process."""

from __future__ import annotations

import contextlib
import resource
from typing import Final

WANTED: Final = 8192
"""Open files that suffice for everything. Many more would slow down children that close all of them."""


def raise_limit() -> None:
    """Raise the soft limit of this process and its children to `WANTED`, or to the hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # macOS has a third limit, in the kernel
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connections_at_most() -> int:
    """Return how many connections to serve: each may need an upstream one, and files need descriptors,
    too.
    """
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1024 if soft == resource.RLIM_INFINITY else max(16, min(1024, soft // 4))
