"""How often the kernel has killed a process because memory ran out."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

VMSTAT: Final = Path("/proc/vmstat")


def out_of_memory_kills() -> int | None:
    """Return the number of such kills since the kernel started, those of control groups included.

    None if it is unknown, as on systems other than Linux.
    """
    with contextlib.suppress(OSError, ValueError, KeyError):
        return int(dict(line.split(" ", 1) for line in VMSTAT.read_text().splitlines())["oom_kill"])
    return None
