"""How long something takes by itself, on a machine that does other things as well."""

from __future__ import annotations

import os
import time
from pathlib import Path


class OwnTime:
    """Seconds since it was made, without those in which the processes at work waited for a processor.

    These are this one and ``pids``. Of a process's threads the one that waited longest counts. Where the
    system does not tell (Linux does), all seconds count.
    """

    def __init__(self, *pids: int) -> None:
        self._pids = (os.getpid(), *pids)
        self._waited = {pid: _waited(pid) for pid in self._pids}
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """So far; a process that has ended by now has waited for nothing."""
        took = time.monotonic() - self._began
        for pid in self._pids:
            before = self._waited[pid]
            took -= (
                max((now - before.get(thread, 0) for thread, now in _waited(pid).items()), default=0) / 1e9
            )
        return took


def _waited(pid: int) -> dict[str, int]:
    """The nanoseconds for which each thread of a process has waited for a processor."""
    found = {}
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        try:
            found[thread.name] = int((thread / "schedstat").read_text().split()[1])
        except (OSError, IndexError):  # it has ended meanwhile, or this system has no such file
            continue
    return found
