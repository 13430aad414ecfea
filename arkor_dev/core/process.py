"""The limits of this process on open files, and returning memory to the system."""

from __future__ import annotations

import contextlib
import functools
import resource
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable


@functools.cache
def _trim() -> Callable[[int], int] | None:
    import ctypes  # not needed at the start

    # Only glibc has it; other allocators return memory by themselves.
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Release free memory. It takes milliseconds per hundred megabytes, so call it in idle moments."""
    if (trim := _trim()) is not None:
        trim(0)


WANTED: Final = 8192
"""Open files that suffice for everything. Many more would slow down children that close all of them."""


def raise_limit() -> None:
    """Raise the soft limit of this process and its children to `WANTED`, or to the hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = WANTED if hard == resource.RLIM_INFINITY else min(WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        with contextlib.suppress(OSError, ValueError):  # macOS has a third limit, in the kernel
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def connections_at_most() -> int:
    """Return how many connections to serve: each may need one upstream, and files need descriptors, too."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1024 if soft == resource.RLIM_INFINITY else max(16, min(1024, soft // 4))
