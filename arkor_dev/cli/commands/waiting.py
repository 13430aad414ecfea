"""Shows the progress of the backend's background work on one line of a terminal."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from typing import TYPE_CHECKING, Final

from rich.cells import chop_cells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LINE_SECONDS: Final = 15.0
"""Pause between two lines about the same work if the terminal cannot redraw."""


@contextlib.contextmanager
def shown_progress(*, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Yield a function that replaces the last words on standard error by new ones.

    Without a terminal, each piece of work gets a line, and further ones from time to time if the words
    change. Empty words clear the line. With ``quiet`` nothing is written.
    """
    if quiet:
        yield lambda _: None
        return
    printed, label, printed_at = "", "", 0.0
    redraws = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def show(words: str) -> None:
        nonlocal printed, label, printed_at
        if redraws:
            if words != printed:
                # A line that wraps would stay: the next one clears only the last of its rows.
                columns = shutil.get_terminal_size().columns - 1
                sys.stderr.write(f"\r\x1b[K{chop_cells(words, columns)[0] if words else words}")
                sys.stderr.flush()
                printed = words
            return
        now, begins = time.monotonic(), words.partition(": ")[0]
        if words not in ("", printed) and (begins != label or now - printed_at >= LINE_SECONDS):
            sys.stderr.write(f"{words}\n")
            sys.stderr.flush()
            printed, label, printed_at = words, begins, now

    try:
        yield show
    finally:
        if redraws and printed:
            sys.stderr.write("\r\x1b[K")
