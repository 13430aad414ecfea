"""The most memory that this process has held: resident pages, those of its libraries included.

It is counted from a moment on (:func:`forget`), since pages of a weights file that are read while a model is
loaded are the system's cache: they cost nobody anything, and are gone when the model is there.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Final

STATUS: Final = Path("/proc/self/status")
FORGET: Final = Path("/proc/self/clear_refs")
PEAK_ONLY: Final = "5"
"""What is written there to set the peak to what is resident now."""


def forget() -> None:
    """Count from now on, where the system can (Linux); elsewhere the process's start stays the beginning."""
    with contextlib.suppress(OSError):
        FORGET.write_text(PEAK_ONLY)


def peak() -> int:
    """The most resident memory since then, in bytes; 0 where the system does not say."""
    return _status("VmHWM") or _usage()


def resident() -> int:
    """The resident memory of this moment, in bytes; 0 where the system does not say."""
    return _status("VmRSS")


def _status(name: str) -> int:
    try:
        for line in STATUS.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return 0


def _usage() -> int:
    try:
        import resource
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
