"""What a person sees at the terminal of a running Studio: the banner, progress, and one line a problem."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from . import __version__

if TYPE_CHECKING:
    from .embedded import Notice
    from .settings import Settings

PLAIN_PAUSE = 5.0
"""Seconds between two progress lines where the terminal cannot redraw one."""


def clean(text: object) -> str:
    """Hostile text without control characters, on one line and bounded."""
    return "".join(c if c.isprintable() else " " for c in str(text)[:2000])


class Terminal:
    """Prints to stderr, so that stdout stays free for pipes."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress: Progress | None = None
        self._bars: dict[str, TaskID] = {}
        self._last_line = 0.0

    def use_for_logs(self, level: str) -> None:
        """Send this process's log records here, one line each."""
        handler = RichHandler(console=self._console, show_path=False, markup=False, rich_tracebacks=False)
        logging.basicConfig(level=level.upper(), format="%(message)s", datefmt="%H:%M:%S", handlers=[handler])

    def banner(self, settings: Settings, port: int, *, moved: bool) -> None:
        """Where to go, and what stands behind it."""
        if moved:
            self._console.print("[yellow]Port 4000 is taken; using the next free one.[/]")
        backend = "this machine (local training)" if settings.local else "the managed backend"
        rows = (
            ("Studio", Text(f"http://localhost:{port}", style="bold underline")),
            ("Project", Text(str(settings.project))),
            ("Backend", Text(backend)),
        )
        self._console.print(Text.assemble(("Arkor Studio", "bold"), f"  {__version__}"))
        for name, value in rows:
            self._console.print(Text.assemble((f"  {name:<9}", "dim"), value))
        self._console.print(Text("  Ctrl-C stops it.", style="dim"))

    def identity(self, line: str) -> None:
        """Who is signed in where: ``<mode> · <org>[ / <project>][ · <host>]``."""
        self._console.print(Text.assemble(("  Identity".ljust(11), "dim"), clean(line)))

    def error(self, text: str) -> None:
        """Why the command cannot go on."""
        self._console.print(Text.assemble(("error: ", "bold red"), clean(text)))

    def notice(self, notice: Notice) -> None:
        """Something the backend has to tell: a message, or how far a long step has come."""
        if notice.get("notice") == "progress":
            self._show_progress(
                clean(notice.get("label", "")), notice.get("done"), notice.get("total"), notice.get("unit")
            )
        elif notice.get("notice") == "message":
            style = {"warning": "yellow", "error": "bold red"}.get(str(notice.get("level")), "dim")
            self._console.print(f"[{style}]{escape(clean(notice.get('text', '')))}[/]")

    def _show_progress(self, label: str, done: object, total: object, unit: object) -> None:
        done = done if isinstance(done, int) else 0
        total = total if isinstance(total, int) else None
        finished = total is not None and done >= total
        if not self._console.is_terminal:
            now = time.monotonic()
            if finished or now - self._last_line >= PLAIN_PAUSE:
                self._last_line = now
                share = f" {100 * done // total} %" if total else ""
                self._console.print(Text(f"{label}{share}"))
            return
        if self._progress is None:
            amount = DownloadColumn() if unit == "B" else TextColumn("{task.completed}/{task.total}")
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                amount,
                TimeRemainingColumn(),
                console=self._console,
            )
            self._progress.start()
        if label not in self._bars:
            self._bars[label] = self._progress.add_task(escape(label), total=total)
        self._progress.update(self._bars[label], completed=done, total=total)
        if self._progress.finished:
            self._progress.stop()
            self._progress, self._bars = None, {}

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._progress is not None:
            self._progress.stop()
        sys.stderr.flush()
