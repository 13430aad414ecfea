"""Downloads into the shared cache: one process at a time, with progress even where none is reported."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Progress = Callable[[str, float, float | None, str], None]


@contextlib.contextmanager
def locked(path: Path, progress: Progress) -> Iterator[None]:
    """Hold a lock on ``path``; report it if another process holds the lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        started = time.monotonic()
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = round(time.monotonic() - started)
                progress("Waiting: another Studio is preparing this model", waited, None, "s")
                time.sleep(0.5)
        yield


PERIOD: Final = 0.4


def size_of(folder: Path) -> int:
    """Return the bytes of all files below ``folder``; files that vanish meanwhile count 0."""
    size = 0
    for folder_path, _, names in os.walk(folder):  # not rglob, which fails if a folder vanishes
        for name in names:
            with contextlib.suppress(OSError):
                status = os.lstat(os.path.join(folder_path, name))  # noqa: PTH118 - a tenth of a Path's time
                if stat.S_ISREG(status.st_mode):
                    size += status.st_size
    return size


@contextlib.contextmanager
def every(tick: Callable[[], None]) -> Iterator[None]:
    """Call ``tick`` every 0.4 s from a thread while the body runs, and once afterwards."""
    done = threading.Event()

    def loop() -> None:
        while not done.wait(PERIOD):
            tick()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        tick()
