"""Locks a model or file in the shared cache while it is prepared: one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Progress = Callable[[str, float, float | None, str], None]


@contextlib.contextmanager
def locked(path: Path, progress: Progress) -> Iterator[None]:
    """Hold a lock on ``path``; report that while another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        began = time.monotonic()
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                waited = round(time.monotonic() - began)
                progress("Waiting: another Studio is preparing this model", waited, None, "s")
                time.sleep(0.5)
        yield
