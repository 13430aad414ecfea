"""Tracks a download by the size of its files, for programs that report no progress."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PERIOD: Final = 0.4


def size_of(folder: Path) -> int:
    """Return the bytes of all files under ``folder``; files that vanish meanwhile count 0."""
    size = 0
    for at, _, names in os.walk(folder):  # not rglob, which fails if a folder vanishes
        for name in names:
            with contextlib.suppress(OSError):
                found = os.lstat(os.path.join(at, name))  # noqa: PTH118 - a tenth of a Path's time
                if stat.S_ISREG(found.st_mode):
                    size += found.st_size
    return size


@contextlib.contextmanager
def every(tick: Callable[[], None]) -> Iterator[None]:
    """Call ``tick`` every 0.4 s from a thread while the body runs, and once after it."""
    over = threading.Event()

    def loop() -> None:
        while not over.wait(PERIOD):
            tick()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        tick()
