"""Processor cores available to this process, and its memory use.

Memory is counted in resident pages, including those of libraries. The peak can be reset, because the pages of
a weights file that are read while a model loads are only the system's page cache.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Final

STATUS: Final = Path("/proc/self/status")
CLEAR_REFS: Final = Path("/proc/self/clear_refs")
RESET_PEAK: Final = "5"
"""Value that sets the peak to the current resident memory when written to that file."""


def available_cores() -> int:
    """Return the number of cores that this process may use; all if the system does not report it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def reset_peak_memory() -> None:
    """Measure the peak from now on (Linux only; elsewhere it counts from the start of the process)."""
    with contextlib.suppress(OSError):
        CLEAR_REFS.write_text(RESET_PEAK)


def peak_memory() -> int:
    """Return the peak resident memory in bytes; 0 if the system does not report it."""
    return _status("VmHWM") or _usage()


def resident_memory() -> int:
    """Return the current resident memory in bytes; 0 if the system does not report it."""
    return _status("VmRSS") or _resident()


def data_memory() -> int:
    """Return the bytes that count against ``ulimit -d``; 0 if the system does not report them."""
    return _status("VmData")


def address_space() -> int:
    """Return the bytes that count against ``ulimit -v``; 0 if the system does not report them."""
    return _status("VmSize")


def _status(name: str) -> int:
    try:
        for line in STATUS.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return 0


def _resident() -> int:
    try:
        import psutil  # type: ignore[import-untyped]  # comes with accelerate, which peft needs
    except ImportError:
        return 0
    return int(psutil.Process().memory_info().rss)


def _usage() -> int:
    try:
        import resource
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
