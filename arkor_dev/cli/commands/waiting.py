"""Shows the progress of the backend's background work on one line of a terminal."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from rich.cells import chop_cells

from arkor_dev.contract.units import format_bytes
from arkor_dev.core.plain_text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LINE_SECONDS: Final = 15.0
"""Pause between two lines about the same work if the terminal cannot redraw."""


def progress_words(work: Mapping[str, Any], doing: str) -> str:
    """Describe the progress from ``state`` and ``progress``; ``doing`` until there is any."""
    progress = work.get("progress")
    if not isinstance(progress, dict):
        return "Waiting: a job is training" if work.get("state") == "waiting" else doing
    total = progress.get("total")
    label, unit = one_line(progress.get("label") or "", 80), one_line(progress.get("unit") or "", 20)
    done, seconds_left = progress.get("done"), progress.get("secondsLeft")
    ending = f", {seconds_left:.0f} s left" if _is_number(seconds_left) else ""
    if unit == "B" and _is_number(done) and (not total or _is_number(total)):
        return f"{label}: {format_bytes(done)}{f' of {format_bytes(total)}' if total else ''}{ending}"
    of = f" of {one_line(total, 20)}" if total else ""
    words = f"{label}: {one_line(done, 20)}{of} {unit}".rstrip() if total or unit else label
    return f"{words}{ending}"


def export_words(export: Mapping[str, Any]) -> str:
    """Describe the progress of an export."""
    words = progress_words(export, "Exporting")
    return f"Verifying · {words}" if export.get("state") == "verifying" else words


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e18


@contextlib.contextmanager
def shown_progress(*, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Yield a function that replaces the last words on standard error by new ones.

    Without a terminal, each piece of work gets a line, and further ones from time to time. Empty words clear
    the line. With ``quiet`` nothing is written.
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
        if words and (begins != label or now - printed_at >= LINE_SECONDS):
            sys.stderr.write(f"{words}\n")
            sys.stderr.flush()
            label, printed_at = begins, now

    try:
        yield show
    finally:
        if printed:
            sys.stderr.write("\r\x1b[K")
