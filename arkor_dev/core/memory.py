"""Returns free memory to the system.

glibc keeps memory that was freed below something still in use, which after a busy hour is nearly all of it:
hundreds of megabytes that the daemon no longer needs. ``malloc_trim(3)`` returns those pages.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

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
