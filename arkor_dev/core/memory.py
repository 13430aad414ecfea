"""Giving memory back to the system.

glibc keeps what is freed below something that is still in use, which after a busy hour is nearly all of it:
hundreds of megabytes that the daemon no longer needs. ``malloc_trim(3)`` hands those pages back.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@functools.cache
def _trim() -> Callable[[int], int] | None:
    import ctypes  # a start does without it

    # Only glibc has it; other allocators give back by themselves.
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Give back what is free. Milliseconds for each hundred megabytes, so for idle moments."""
    if (trim := _trim()) is not None:
        trim(0)
